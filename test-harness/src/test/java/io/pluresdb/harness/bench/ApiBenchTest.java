package io.pluresdb.harness.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * A small version of {@code bench api}, which fails by itself when an event is lost. {@code
 * -Dapi.import.mebibytes=1024 -Dapi.watchers=10000} for the large one.
 */
@Timeout(900)
class ApiBenchTest {
  private static final int WATCHERS = Integer.getInteger("api.watchers", 300);
  private static final int MEBIBYTES = Integer.getInteger("api.import.mebibytes", 32);

  @TempDir Path directory;

  @Test
  void daemon_withWatchersAndAnImport_losesNoEventInBoundedMemory() throws Exception {
    Report report = ApiBench.run(directory, WATCHERS, MEBIBYTES);
    assertThat(report.figure("heapMebibytesAfterTarget").toString()).endsWith(" met");
    assertThat(report.figure("residentMebibytesGreatestTarget").toString()).endsWith(" met");
  }
}
