package io.pluresdb.crdt.codec;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The hex examples of docs/protocol/change-format.md. */
public final class Documented {
  private Documented() {}

  /** The hex that stands under {@code Example: name}. */
  public static String example(String name) {
    Path document =
        Path.of(System.getProperty("pluresdb.root", ".."))
            .resolve("docs/protocol/change-format.md");
    try {
      Matcher block =
          Pattern.compile(
                  "Example: " + Pattern.quote(name) + "\\R+```hex\\R(.*?)```", Pattern.DOTALL)
              .matcher(Files.readString(document));
      assertThat(block.find()).as("example %s in %s", name, document).isTrue();
      return block.group(1).replaceAll("#.*|\\s", "");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
