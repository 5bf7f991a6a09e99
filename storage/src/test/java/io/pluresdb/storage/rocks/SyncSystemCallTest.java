package io.pluresdb.storage.rocks;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Killing a process cannot show a missing sync, because the page cache survives: count the calls.
 */
class SyncSystemCallTest {
  private static final int COMMITS = 200;

  @TempDir Path temporary;

  @Test
  void commit_synced_callsFdatasyncEachTimeAndBufferedNever() throws Exception {
    Assumptions.assumeTrue(
        canTrace(), "commit_synced_callsFdatasyncEachTimeAndBufferedNever needs strace and ptrace");
    long synced = logSyncs(Durability.SYNCED);
    long buffered = logSyncs(Durability.BUFFERED);
    assertThat(buffered).as("control: opening and closing alone").isLessThan(COMMITS / 4);
    assertThat(synced - buffered).isGreaterThanOrEqualTo(COMMITS);
  }

  private static boolean canTrace() throws InterruptedException {
    try {
      return new ProcessBuilder("strace", "-o", "/dev/null", "true").start().waitFor() == 0;
    } catch (IOException missing) {
      return false;
    }
  }

  private long logSyncs(Durability durability) throws IOException, InterruptedException {
    Path trace = temporary.resolve(durability + ".trace");
    int status =
        new ProcessBuilder(
                "strace",
                "-f",
                "-y",
                "-e",
                "trace=fdatasync,fsync",
                "-o",
                trace.toString(),
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                Committer.class.getName(),
                temporary.resolve(durability.name()).toString(),
                durability.name())
            .inheritIO()
            .start()
            .waitFor();
    assertThat(status).isZero();
    try (Stream<String> calls = Files.lines(trace)) {
      return calls.filter(call -> call.contains("sync(") && call.contains(".log>")).count();
    }
  }

  /** Commits one row at a time with the given durability. */
  static final class Committer {
    private Committer() {}

    public static void main(String[] arguments) {
      try (RocksStorage storage = RocksStorage.open(Path.of(arguments[0]), Directories.options())) {
        for (long seq = 0; seq < COMMITS; seq++) {
          try (var batch = storage.newBatch()) {
            batch.put(Table.LOG, CommittingChild.key(seq), CommittingChild.value(seq));
            storage.commit(batch, Durability.valueOf(arguments[1]));
          }
        }
      }
    }
  }
}
