package io.pluresdb.harness.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;

/**
 * How one text came to be, edit by edit.
 *
 * @param name where it comes from
 * @param end the text after the last edit
 */
record TextTrace(String name, List<Splice> edits, String end) {
  private static final int SYNTHETIC_EDITS = 260_000;

  /** One edit; positions and lengths in Unicode code points. */
  record Splice(int at, int deleted, String inserted) {}

  /**
   * A trace in the format of josephg/editing-traces, which may be gzipped; without a file, {@code
   * automerge-paper} from the nearest {@code shared/vectors/traces} above the project, or one made
   * up here.
   */
  static TextTrace load(@Nullable Path file) throws IOException {
    if (file != null) {
      return read(file);
    }
    Path start = Path.of("").toAbsolutePath();
    for (Path folder = start; folder != null; folder = folder.getParent()) {
      Path found = folder.resolve("shared/vectors/traces/automerge-paper.json.gz");
      if (Files.isRegularFile(found)) {
        return read(found);
      }
    }
    System.err.println(
        "No trace given and none in shared/vectors/traces above "
            + start
            + ": typing is made up. --trace names a file of josephg/editing-traces.");
    return synthetic();
  }

  private static TextTrace read(Path file) throws IOException {
    try (InputStream raw = Files.newInputStream(file);
        InputStream in = file.toString().endsWith(".gz") ? new GZIPInputStream(raw) : raw) {
      JsonNode trace = new ObjectMapper().readTree(in);
      var edits = new ArrayList<Splice>();
      String start = trace.path("startContent").asText();
      if (!start.isEmpty()) {
        edits.add(new Splice(0, 0, start));
      }
      for (JsonNode transaction : trace.path("txns")) {
        for (JsonNode patch : transaction.path("patches")) {
          edits.add(
              new Splice(patch.path(0).asInt(), patch.path(1).asInt(), patch.path(2).asText()));
        }
      }
      Path name = file.getFileName();
      return new TextTrace(
          name == null ? file.toString() : name.toString(),
          edits,
          trace.path("endContent").asText());
    }
  }

  /** Runs of typing and of backspaces, with jumps between, as a person writes. */
  private static TextTrace synthetic() {
    var random = new SplittableRandom(1);
    var edits = new ArrayList<Splice>(SYNTHETIC_EDITS);
    var text = new StringBuilder();
    int cursor = 0;
    while (edits.size() < SYNTHETIC_EDITS) {
      if (random.nextInt(20) == 0) {
        cursor = random.nextInt(text.length() + 1);
      }
      boolean erase = random.nextInt(4) == 0;
      for (int i = random.nextInt(1, 12); i > 0; i--) {
        if (!erase) {
          String letter = Character.toString('a' + random.nextInt(26));
          edits.add(new Splice(cursor, 0, letter));
          text.insert(cursor++, letter);
        } else if (cursor > 0) {
          edits.add(new Splice(--cursor, 1, ""));
          text.deleteCharAt(cursor);
        }
      }
    }
    return new TextTrace("synthetic", edits, text.toString());
  }
}
