package io.pluresdb.harness.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What SIGTERM does to a daemon as a process of its own, while it starts. */
@Timeout(120)
class StopTest {
  /** Of a process that SIGTERM ended: 128 + 15. */
  private static final int TERMINATED = 143;

  @TempDir Path temporary;

  @ParameterizedTest
  @ValueSource(strings = {"device.key", "databases", "api-token", "pluresdb.sock", "ports.json"})
  void stop_onceAFileIsThere_endsQuietly_andTheNextStartServes(String file) throws Exception {
    Path directory = temporary.resolve("a");
    Path log = temporary.resolve("a.log");
    Process starting =
        new ProcessBuilder(DaemonProcess.serve(directory, DaemonProcess.freePort()))
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    try {
      while (!Files.exists(directory.resolve(file)) && starting.isAlive()) {
        Thread.onSpinWait();
      }
      starting.destroy();
      assertThat(starting.waitFor(30, TimeUnit.SECONDS)).isTrue();
      assertThat(starting.exitValue()).isEqualTo(TERMINATED);
      assertThat(Files.readString(log)).doesNotContain("Error", "WARN", "->");
    } finally {
      starting.destroyForcibly();
    }
    try (DaemonProcess daemon = DaemonProcess.start(directory)) {
      daemon.put("x", "1");
      assertThat(daemon.get("x")).isEqualTo("1");
    }
  }
}
