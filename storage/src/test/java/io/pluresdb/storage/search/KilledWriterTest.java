package io.pluresdb.storage.search;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.store.Finding;
import io.pluresdb.crdt.store.Inspection;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A writer killed at random points: indexes, documents and fingerprints agree each time.
 *
 * <p>{@code -Dtest.jvm="-Dsearch.kills=200"} kills so often; a few times by default.
 */
class KilledWriterTest {
  private static final int KILLS = Integer.getInteger("search.kills", 3);
  private static final long WAIT_MILLIS = 60_000;

  @TempDir Path folder = Path.of("");

  @Test
  void indexes_afterKills_agreeWithTheDocuments() throws IOException, InterruptedException {
    long seed = Long.getLong("search.seed", 5);
    var random = new Random(seed);
    int saved = 0;
    for (int round = 0; round < KILLS; round++) {
      killAfter(random.nextInt(30), random.nextInt(40), seed + round);
      try (var open = new OpenSearches(WritingChild.storage(folder), folder)) {
        String where = "seed " + seed + " kill " + round;
        // What was saved is used, and not made anew each time.
        saved +=
            open.searches.status().stream().filter(index -> index.arrivals() > 0).count() == 4
                ? 1
                : 0;
        assertThat(open.searches.differences(5, WAIT_MILLIS)).as(where).isEmpty();
        assertThat(open.searches.status()).as(where).hasSize(4);
        assertThat(Inspection.of(open.store.replica()))
            .as(where)
            .noneMatch(finding -> finding.status() == Finding.Status.ERROR);
      }
    }
    assertThat(saved).as("opened with all indexes").isPositive();
  }

  /** Starts a writer, waits for some of its lines and a little more, and kills it. */
  private void killAfter(int lines, int millis, long seed)
      throws IOException, InterruptedException {
    Process child =
        new ProcessBuilder(
                List.of(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "--enable-native-access=ALL-UNNAMED",
                    "-XX:TieredStopAtLevel=1",
                    "-cp",
                    System.getProperty("java.class.path"),
                    WritingChild.class.getName(),
                    folder.toString(),
                    Long.toString(seed)))
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    try (var out =
        new BufferedReader(new InputStreamReader(child.getInputStream(), StandardCharsets.UTF_8))) {
      for (int i = 0; i <= lines; i++) {
        assertThat(out.readLine()).as("the writer ended by itself").isNotNull();
      }
      assertThat(child.waitFor(millis, TimeUnit.MILLISECONDS)).isFalse();
      child.destroyForcibly();
      assertThat(child.waitFor(20, TimeUnit.SECONDS)).isTrue();
    }
  }
}
