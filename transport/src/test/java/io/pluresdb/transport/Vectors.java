package io.pluresdb.transport;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Assumptions;

/** Test vectors made elsewhere, found in the first {@code shared/vectors} above the project. */
public final class Vectors {
  private Vectors() {}

  /** Reads a JSON file below {@code shared/vectors}; skips the test, loudly, when it is absent. */
  public static JsonNode read(String name) {
    Path start = Path.of(System.getProperty("pluresdb.root", ".")).toAbsolutePath().normalize();
    for (Path folder = start; folder != null; folder = folder.getParent()) {
      Path file = folder.resolve("shared/vectors").resolve(name);
      if (Files.isRegularFile(file)) {
        return parse(file);
      }
    }
    skip("the test vectors shared/vectors/" + name + " are not above " + start);
    throw new AssertionError("unreachable");
  }

  /** Says on the console what is skipped and why, then skips the running test. */
  public static void skip(String why) {
    System.err.println("SKIPPED: " + why);
    Assumptions.abort(why);
  }

  private static JsonNode parse(Path file) {
    try (InputStream raw = Files.newInputStream(file);
        InputStream in = file.toString().endsWith(".gz") ? new GZIPInputStream(raw) : raw) {
      return new ObjectMapper().readTree(in);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
