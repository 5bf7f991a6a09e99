package io.pluresdb.harness.cluster;

import static io.pluresdb.harness.cluster.DaemonProcess.await;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What SIGHUP does to a daemon as a process of its own. */
class ReloadTest {
  private static final Duration DEADLINE = Duration.ofSeconds(30);

  @TempDir Path temporary;

  private static void hangUp(DaemonProcess daemon) {
    try {
      Process kill = new ProcessBuilder("kill", "-HUP", Long.toString(daemon.pid())).start();
      assertThat(kill.waitFor()).isZero();
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  private static void awaitLog(DaemonProcess daemon, String words) {
    await(words + " in " + daemon.log(), DEADLINE, () -> daemon.log().contains(words));
  }

  @Test
  void hangup_takesOverWhatItCan_namesTheRest_andKeepsAllOfAWrongFile() throws IOException {
    Path directory = temporary.resolve("a");
    // Whoever runs the tests may ignore the signal (nohup), and so would the daemon.
    List<String> hearing = List.of("env", "--default-signal=HUP");
    String listen = "127.0.0.1:" + DaemonProcess.freePort();
    try (DaemonProcess daemon = DaemonProcess.start(directory, hearing, listen, List.of())) {
      daemon.put("x", "1");
      Path file = directory.resolve("config.toml");
      Files.writeString(file, "log.level = \"debug\"\nhistory.keep-days = 1\napi.bind = \"::1\"\n");
      hangUp(daemon);
      awaitLog(
          daemon,
          "read the configuration again: changed history.keep-days, log.level; takes a restart:"
              + " api.bind");
      Files.writeString(file, "log.level = \"loud\"\n");
      hangUp(daemon);
      awaitLog(daemon, "the configuration stays as it was: log.level must be error, warn, info");
      Files.delete(file);
      hangUp(daemon);
      awaitLog(daemon, "changed history.keep-days, log.level\n");
      assertThat(daemon.get("x")).isEqualTo("1");
    }
  }
}
