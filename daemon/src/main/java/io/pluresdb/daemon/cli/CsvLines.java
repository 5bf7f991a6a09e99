package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.JsonWriter;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PushbackReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A CSV file (RFC 4180, UTF-8) read as NDJSON documents: the header names the fields, every value
 * is a string, and the column {@code id} is the document's id.
 */
final class CsvLines extends InputStream {
  private static final int MAX_CELL_CHARS = 1 << 20;
  private static final int MAX_COLUMNS = 1_000;

  private final PushbackReader in;
  private final List<String> header;
  private final int idColumn;
  private final JsonWriter json = new JsonWriter();
  private int sent;
  private long record = 1;

  /**
   * @throws CliException when the header is missing or has no column {@code id}
   */
  CsvLines(InputStream csv) throws IOException {
    in =
        new PushbackReader(
            new BufferedReader(new InputStreamReader(csv, StandardCharsets.UTF_8), 1 << 16));
    List<String> first = cells();
    header = first == null ? List.of() : first;
    idColumn = header.indexOf("id");
    if (idColumn < 0) {
      throw CliException.file(
          "the CSV header must name a column id, but names " + header, "add the column");
    }
    if (header.stream().distinct().count() < header.size()) {
      throw CliException.file("the CSV header names a column twice: " + header, "rename one");
    }
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  @Override
  public int read(byte[] target, int offset, int length) throws IOException {
    if (length == 0) {
      return 0;
    }
    while (sent == json.size()) {
      List<String> cells = cells();
      if (cells == null) {
        return -1;
      }
      document(cells);
    }
    int count = Math.min(length, json.size() - sent);
    System.arraycopy(json.array(), sent, target, offset, count);
    sent += count;
    return count;
  }

  private void document(List<String> cells) throws IOException {
    record++;
    if (cells.size() != header.size()) {
      throw new IOException(
          "CSV record "
              + record
              + " must have "
              + header.size()
              + " cells, but has "
              + cells.size());
    }
    sent = 0;
    json.clear().beginObject().name("id").string(cells.get(idColumn)).name("data").beginObject();
    for (int i = 0; i < header.size(); i++) {
      if (i != idColumn) {
        json.name(header.get(i)).string(cells.get(i));
      }
    }
    json.endObject().endObject().newline();
  }

  /** The cells of the next record, or null at the end. Empty lines are skipped. */
  private @Nullable List<String> cells() throws IOException {
    int c = in.read();
    while (c == '\r' || c == '\n' || c == '\ufeff') {
      c = in.read();
    }
    if (c < 0) {
      return null;
    }
    in.unread(c);
    var cells = new ArrayList<String>();
    do {
      if (cells.size() == MAX_COLUMNS) {
        throw new IOException("a CSV record must have at most " + MAX_COLUMNS + " cells");
      }
      cells.add(cell());
      c = in.read();
    } while (c == ',');
    if (c == '\r') {
      c = in.read();
      if (c >= 0 && c != '\n') {
        in.unread(c);
      }
    }
    return cells;
  }

  private String cell() throws IOException {
    var text = new StringBuilder();
    int c = in.read();
    boolean quoted = c == '"';
    if (quoted) {
      c = in.read();
    }
    while (c >= 0 && (quoted || (c != ',' && c != '\n' && c != '\r'))) {
      if (quoted && c == '"') {
        c = in.read();
        if (c != '"') {
          quoted = false;
          continue;
        }
      }
      if (text.length() == MAX_CELL_CHARS) {
        throw new IOException("a CSV cell must have at most " + MAX_CELL_CHARS + " characters");
      }
      text.append((char) c);
      c = in.read();
    }
    if (quoted) {
      throw new IOException("a quoted CSV cell has no closing quote");
    }
    if (c >= 0) {
      in.unread(c);
    }
    return text.toString();
  }
}
