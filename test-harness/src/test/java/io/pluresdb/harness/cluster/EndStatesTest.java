package io.pluresdb.harness.cluster;

import static io.pluresdb.harness.cluster.DaemonProcess.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import io.pluresdb.daemon.api.ApiException;
import io.pluresdb.daemon.api.Request;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Where a device ends up that went astray, shown on processes: nobody does more than start the
 * daemon again.
 */
class EndStatesTest {
  private static final Duration DEADLINE = Duration.ofSeconds(90);

  @TempDir Path temporary;
  private final List<DaemonProcess> daemons = new ArrayList<>();

  @AfterEach
  void stop() {
    daemons.forEach(DaemonProcess::close);
  }

  /** A daemon that takes off its log at once what all members have. */
  private DaemonProcess daemon(String name) {
    Path directory = temporary.resolve(name);
    try {
      Files.createDirectories(directory);
      Files.writeString(directory.resolve("config.toml"), "[history]\nkeep-days = 0\n");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return start(directory);
  }

  private DaemonProcess start(Path directory) {
    DaemonProcess daemon = DaemonProcess.start(directory);
    daemons.add(daemon);
    return daemon;
  }

  private static void awaitEqual(DaemonProcess... all) {
    await(
        "all equal",
        DEADLINE,
        () -> Stream.of(all).skip(1).allMatch(other -> all[0].equalTo(other)));
  }

  private static void write(DaemonProcess daemon, String prefix, int count) {
    for (int i = 0; i < count; i++) {
      daemon.put(prefix + ":" + i, "{\"n\":" + i + "}");
    }
  }

  /** Takes off the log of {@code daemon} everything up to now. */
  private static void cut(DaemonProcess daemon) {
    await(
        "a log that is cut",
        DEADLINE,
        () -> {
          JsonNode log = daemon.post("/api/vacuum", "{}");
          return log.get("floor").asLong() == log.get("arrivals").asLong();
        });
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Path target = to.resolve(from.relativize(file).toString());
        if (Files.isDirectory(file)) {
          Files.createDirectories(target);
        } else if (Files.isRegularFile(file)) {
          Files.copy(file, target);
        }
      }
    }
  }

  private static void delete(Path directory) throws IOException {
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  private static String deviceId(DaemonProcess daemon) {
    return daemon.call(Request.get("/api/status")).get("deviceId").asText();
  }

  /** The row of {@code device} in what {@code daemon} knows of the members. */
  private static JsonNode member(DaemonProcess daemon, String device) {
    JsonNode devices = daemon.call(Request.get("/api/devices"));
    return StreamSupport.stream(devices.spliterator(), false)
        .filter(row -> row.get("deviceId").asText().equals(device))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void deviceBehindTheCut_joinsBySnapshot_andItsOwnWritesReachTheOthers() {
    DaemonProcess a = daemon("a");
    write(a, "early", 200);
    a.delete("early:7");
    cut(a);
    DaemonProcess b = daemon("b");
    write(b, "own", 20);
    a.admit(b);
    awaitEqual(a, b);
    assertThat(a.get("own:19")).isEqualTo("{\"n\":19}");
    assertThat(b.get("early:199")).isEqualTo("{\"n\":199}");
    assertThat(b.get("early:7")).isEqualTo("none");
    assertThat(b.call(Request.get("/api/history").with("id", "early:1")).toString())
        .contains("\"versions\":[]");
  }

  @Test
  void restoredBackupBehindTheCut_goesOnUnderANewActor_andLosesNothingThatOthersHave()
      throws IOException {
    DaemonProcess a = daemon("a");
    DaemonProcess b = daemon("b");
    a.admit(b);
    write(a, "a", 20);
    write(b, "b", 20);
    awaitEqual(a, b);
    b.stop();
    Path backup = temporary.resolve("backup");
    copy(b.directory().resolve("databases"), backup);
    b.start();
    write(b, "later", 20);
    a.delete("b:3");
    awaitEqual(a, b);
    // Both have said what they have, so the log goes on both.
    cut(a);
    b.kill();
    delete(b.directory().resolve("databases"));
    copy(backup, b.directory().resolve("databases"));
    int actors = a.status().get("frontier").size();
    b.start();
    b.put("after", "{}");
    awaitEqual(a, b);
    assertThat(b.get("later:19")).isEqualTo("{\"n\":19}");
    assertThat(b.get("b:3")).isEqualTo("none");
    assertThat(a.get("after")).isEqualTo("{}");
    assertThat(a.status().get("frontier").size()).isEqualTo(actors + 1);
  }

  @Test
  void revokedDeviceWithUnsentChanges_isTold_andMayBringThemBackWhenLetInAgain() {
    DaemonProcess a = daemon("a");
    DaemonProcess b = daemon("b");
    a.admit(b);
    b.put("sent", "{\"x\":1}");
    awaitEqual(a, b);
    String device = deviceId(b);
    a.stop();
    b.put("unsent", "{\"x\":2}");
    b.put("sent", "{\"x\":3}");
    b.stop();
    a.start();
    a.post("/api/revoke", "{\"device\":\"" + device + "\"}");
    b.start();
    await("told", DEADLINE, () -> b.status().get("role").asText().equals("removed"));
    assertThat(b.get("unsent")).isEqualTo("none");
    assertThat(b.get("sent")).isEqualTo("{\"x\":1}");
    assertThatThrownBy(() -> b.put("more", "{}"))
        .isInstanceOfSatisfying(
            ApiException.class, e -> assertThat(e.code()).isEqualTo("CORE_NOT_ALLOWED"));
    assertThat(a.get("unsent")).isEqualTo("none");

    a.post("/api/approve", "{\"device\":\"" + device + "\",\"role\":\"write\"}");
    await("let in again", DEADLINE, () -> b.status().get("role").asText().equals("write"));
    assertThat(b.post("/api/adopt", "{\"device\":\"" + device + "\"}").get("changes").asLong())
        .isEqualTo(2);
    awaitEqual(a, b);
    assertThat(a.get("unsent")).isEqualTo("{\"x\":2}");
    assertThat(a.get("sent")).isEqualTo("{\"x\":3}");
  }

  @Test
  void cloneOfADataDirectory_isNoticed_andTheWritesOfBothCopiesStay() throws IOException {
    DaemonProcess a = daemon("a");
    DaemonProcess b = daemon("b");
    a.admit(b);
    b.put("before", "{}");
    awaitEqual(a, b);
    String device = deviceId(b);
    b.stop();
    a.stop();
    Path copied = temporary.resolve("clone");
    copy(b.directory(), copied);
    DaemonProcess clone = start(copied);
    b.start();
    write(b, "original", 10);
    write(clone, "clone", 10);
    a.start();
    await("the fork is proved", DEADLINE, () -> member(a, device).get("forked").asBoolean());
    await(
        "both copies' writes",
        DEADLINE,
        () -> a.get("original:9").equals("{\"n\":9}") && a.get("clone:9").equals("{\"n\":9}"));
    awaitEqual(a, b, clone);
    b.put("goes on", "{}");
    await("writes go on", DEADLINE, () -> clone.get("goes on").equals("{}"));
    assertThat(a.get("before")).isEqualTo("{}");
  }
}
