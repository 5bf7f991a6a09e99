package io.pluresdb.daemon.access;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Who did what to the device: one JSON object a line in {@code DATA_DIR/audit.log} (0600), {@link
 * #FILE_BYTES} of it and {@link #OLD_FILES} older files of that size. Safe from any thread.
 *
 * <p>An act that cannot be logged is done all the same, with a warning in the log: a full disk must
 * not keep an administrator from making room.
 */
public final class AuditLog {
  /** A file that is larger than this is put aside. */
  public static final int FILE_BYTES = 1 << 20;

  /** Files put aside, {@code audit.log.1} the newest. */
  public static final int OLD_FILES = 3;

  private static final Logger log = LoggerFactory.getLogger(AuditLog.class);
  private static final ObjectWriter WRITER = JsonMapper.builder().build().writerFor(Entry.class);
  private static final ObjectReader READER =
      JsonMapper.builder()
          .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .build()
          .readerFor(Entry.class);

  /**
   * An act.
   *
   * @param time milliseconds since 1970
   * @param who the caller's name
   * @param act method and path
   * @param database empty when it was about the whole device
   * @param subject the device, token or other thing it was done to; empty when there is none
   * @param outcome {@code ok} or an error code
   */
  public record Entry(
      long time, String who, String act, String database, String subject, String outcome) {}

  private final @Nullable Path file;

  private AuditLog(@Nullable Path file) {
    this.file = file;
  }

  /** The log in a file, which is made when the first act is written. */
  public static AuditLog at(Path file) {
    return new AuditLog(file);
  }

  /** One that nobody keeps. */
  public static AuditLog none() {
    return new AuditLog(null);
  }

  /** Adds an act; it is in the file when this returns. */
  public synchronized void add(Entry entry) {
    Path to = file;
    if (to == null) {
      return;
    }
    try {
      byte[] line = (WRITER.writeValueAsString(entry) + "\n").getBytes(StandardCharsets.UTF_8);
      if (!Files.exists(to)) {
        Files.createFile(
            to, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
      } else if (Files.size(to) + line.length > FILE_BYTES) {
        rotate(to);
        add(entry);
        return;
      }
      Files.write(to, line, StandardOpenOption.APPEND);
    } catch (IOException e) {
      log.warn("an act is not in the audit log act={} who={}", entry.act(), entry.who(), e);
    }
  }

  private static void rotate(Path file) throws IOException {
    for (int i = OLD_FILES; i > 0; i--) {
      Path from = i == 1 ? file : old(file, i - 1);
      if (Files.exists(from)) {
        Files.move(from, old(file, i), StandardCopyOption.REPLACE_EXISTING);
      }
    }
  }

  private static Path old(Path file, int number) {
    return file.resolveSibling(file.getFileName() + "." + number);
  }

  /** The newest acts, newest first; a line that cannot be read is left out. */
  public synchronized List<Entry> newest(int limit) {
    var entries = new ArrayList<Entry>();
    Path newest = file;
    for (int i = 0; newest != null && i <= OLD_FILES && entries.size() < limit; i++) {
      Path from = i == 0 ? newest : old(newest, i);
      if (Files.exists(from)) {
        List<String> lines = lines(from).reversed();
        for (String line : lines) {
          if (entries.size() < limit) {
            read(line, entries);
          }
        }
      }
    }
    return entries;
  }

  private static List<String> lines(Path from) {
    try {
      return Files.readAllLines(from);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void read(String line, List<Entry> to) {
    try {
      to.add(READER.readValue(line));
    } catch (IOException e) {
      log.debug("a line of the audit log is none", e);
    }
  }
}
