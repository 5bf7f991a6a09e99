package io.pluresdb.harness.cluster;

import static io.pluresdb.harness.cluster.DaemonProcess.await;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Backups by the command line of daemons that run, and what is restored from them. */
class BackupTest {
  private static final Duration DEADLINE = Duration.ofSeconds(60);

  @TempDir Path temporary;

  private record Outcome(int code, String out) {}

  private static Outcome pluresdb(Path dataDir, String... arguments)
      throws IOException, InterruptedException {
    List<String> command = DaemonProcess.java("io.pluresdb.daemon.cli.Main");
    command.addAll(List.of("--data-dir", dataDir.toString()));
    command.addAll(List.of(arguments));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String out =
        new String(
            process.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    return new Outcome(process.exitValue(), out);
  }

  @Test
  void backupOfADaemonThatIsWrittenTo_replacesTheDevice_andThePeersGiveBackTheRest()
      throws Exception {
    Path backup = temporary.resolve("backup");
    try (DaemonProcess laptop = DaemonProcess.start(temporary.resolve("laptop"));
        DaemonProcess phone = DaemonProcess.start(temporary.resolve("phone"))) {
      laptop.put("before", "1");
      laptop.admit(phone);
      var stop = new AtomicBoolean();
      var written = new AtomicInteger();
      Thread writer =
          Thread.ofPlatform()
              .start(
                  () -> {
                    while (!stop.get()) {
                      laptop.put("n" + written.get(), "{\"n\":" + written.get() + "}");
                      written.incrementAndGet();
                    }
                  });
      await("some writes", DEADLINE, () -> written.get() > 30);
      int begun = written.get();
      Outcome made = pluresdb(laptop.directory(), "backup", backup.toString(), "--keys", "--json");
      assertThat(made.code()).as(made.out()).isZero();
      int ended = written.get();
      assertThat(ended).isGreaterThan(begun);
      stop.set(true);
      writer.join();
      await("the phone has all", DEADLINE, () -> phone.equalTo(laptop));
      JsonNode lost = laptop.status();
      laptop.stop();

      Path table = firstTable(backup);
      byte[] whole = Files.readAllBytes(table);
      byte[] flipped = whole.clone();
      flipped[whole.length / 3] ^= 16;
      Files.write(table, flipped);
      Outcome refused = pluresdb(temporary.resolve("new"), "restore", backup.toString());
      assertThat(refused.code()).isEqualTo(1);
      assertThat(refused.out())
          .contains("Error [BACKUP_DAMAGED]", "store/" + table.getFileName(), "  -> ");
      Files.write(table, whole);

      Outcome restored = pluresdb(temporary.resolve("new"), "restore", backup.toString());
      assertThat(restored.code()).as(restored.out()).isZero();
      assertThat(restored.out()).startsWith("restored ");
      try (DaemonProcess again = DaemonProcess.start(temporary.resolve("new"))) {
        assertThat(again.status().get("documents").asInt()).isGreaterThan(begun);
        again.post("/api/connect", "{\"address\":\"127.0.0.1:" + phone.peerPort() + "\"}");
        await("the restored device has all", DEADLINE, () -> phone.equalTo(again));
        assertThat(again.status().get("stateHash")).isEqualTo(lost.get("stateHash"));
        again.put("after", "2");
        await("the phone sees the new actor", DEADLINE, () -> phone.get("after").equals("2"));
        assertThat(actors(again))
            .containsAll(actorsOf(lost))
            .hasSizeGreaterThan(actorsOf(lost).size());
      }
      Outcome twice = pluresdb(temporary.resolve("new"), "restore", backup.toString());
      assertThat(twice.out()).contains("Error [BACKUP_TARGET_EXISTS]");
    }
  }

  private static Path firstTable(Path backup) throws IOException {
    try (var files = Files.newDirectoryStream(backup.resolve("store"), "*.sst")) {
      return files.iterator().next();
    }
  }

  private static List<String> actors(DaemonProcess daemon) {
    return actorsOf(daemon.status());
  }

  private static List<String> actorsOf(JsonNode status) {
    var actors = new ArrayList<String>();
    status.get("frontier").fieldNames().forEachRemaining(actors::add);
    return actors;
  }
}
