package io.pluresdb.harness.cluster;

import static io.pluresdb.harness.cluster.DaemonProcess.await;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.pluresdb.daemon.api.ApiException;
import io.pluresdb.daemon.api.Request;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What must work between two devices, shown on two processes. */
class TwoDaemonsTest {
  private static final Duration DEADLINE = Duration.ofSeconds(60);

  @TempDir Path temporary;
  private final List<DaemonProcess> daemons = new ArrayList<>();
  private DaemonProcess a;
  private DaemonProcess b;

  @BeforeEach
  void start() {
    a = daemon("a");
    b = daemon("b");
  }

  @AfterEach
  void stop() {
    daemons.forEach(DaemonProcess::close);
  }

  private DaemonProcess daemon(String name) {
    DaemonProcess daemon = DaemonProcess.start(temporary.resolve(name));
    daemons.add(daemon);
    return daemon;
  }

  private void awaitEqual() {
    await("both equal\n" + a.status() + "\n" + b.status(), DEADLINE, () -> a.equalTo(b));
  }

  @Test
  void join_takesSnapshotOfOneAndDataOfTheOther_thenPutsAndDeletesTravelLive() throws IOException {
    var lines = new StringBuilder();
    for (int i = 0; i < 5_000; i++) {
      lines.append("{\"id\":\"n:%05d\",\"data\":{\"n\":%d}}\n".formatted(i, i));
    }
    Path file = temporary.resolve("lines.jsonl");
    Files.writeString(file, lines);
    assertThat(a.importLines(file, false).get("imported").asInt()).isEqualTo(5_000);
    b.put("joiner", "{\"was\":\"here\"}");
    a.admit(b);
    awaitEqual();
    assertThat(b.get("n:04999")).isEqualTo("{\"n\":4999}");
    assertThat(a.get("joiner")).isEqualTo("{\"was\":\"here\"}");

    a.put("live:a", "{\"x\":1}");
    b.put("live:b", "{\"x\":2}");
    await("live puts", DEADLINE, () -> b.get("live:a").equals("{\"x\":1}"));
    await("live puts", DEADLINE, () -> a.get("live:b").equals("{\"x\":2}"));
    b.delete("live:a");
    await("live delete", DEADLINE, () -> a.get("live:a").equals("none"));
    awaitEqual();
  }

  @Test
  void deleteWhileThePeerIsOffline_staysDeleted_andRestartsInEitherOrderReconnect() {
    a.put("d", "{\"x\":1}");
    a.admit(b);
    awaitEqual();
    b.stop();
    a.delete("d");
    b.start();
    awaitEqual();
    assertThat(b.get("d")).isEqualTo("none");

    // Both away; first one, then the other comes back first.
    a.stop();
    b.stop();
    a.start();
    a.put("first", "{}");
    b.start();
    awaitEqual();
    a.kill();
    b.kill();
    b.start();
    b.put("second", "{}");
    a.start();
    awaitEqual();
    assertThat(a.get("second")).isEqualTo("{}");
    assertThat(b.get("first")).isEqualTo("{}");
    assertThat(b.get("d")).isEqualTo("none");
  }

  @Test
  void editsDuringAPartition_disjointFieldsSurvive_andTheSameFieldConverges() {
    a.put("d", "{\"left\":0,\"right\":0,\"same\":0}");
    a.admit(b);
    awaitEqual();
    a.stop();
    b.post("/api/patch", "{\"id\":\"d\",\"patch\":{\"right\":1,\"same\":\"b\"}}");
    b.stop();
    a.start();
    a.post("/api/patch", "{\"id\":\"d\",\"patch\":{\"left\":1,\"same\":\"a\"}}");
    b.start();
    awaitEqual();
    assertThat(a.get("d")).isEqualTo("{\"left\":1,\"right\":1,\"same\":\"a\"}");
    JsonNode conflicts = b.call(Request.get("/api/conflicts").with("id", "d"));
    assertThat(conflicts.toString()).contains("\"same\"").contains("b");
    assertThat(conflicts).isEqualTo(a.call(Request.get("/api/conflicts").with("id", "d")));
  }

  @Test
  void wrongToken_andAForeignDatabase_areRefused() throws IOException, InterruptedException {
    JsonNode ports =
        new com.fasterxml.jackson.databind.ObjectMapper()
            .readTree(a.directory().resolve("ports.json").toFile());
    var http = java.net.http.HttpClient.newHttpClient();
    var uri = java.net.URI.create("http://" + ports.get("http").asText() + "/api/status");
    var none =
        http.send(
            java.net.http.HttpRequest.newBuilder(uri).build(),
            java.net.http.HttpResponse.BodyHandlers.ofString());
    var wrong =
        http.send(
            java.net.http.HttpRequest.newBuilder(uri).header("Authorization", "Bearer no").build(),
            java.net.http.HttpResponse.BodyHandlers.ofString());
    assertThat(none.statusCode()).isEqualTo(401);
    assertThat(wrong.statusCode()).isEqualTo(401);
    String token = Files.readString(a.directory().resolve("api-token")).strip();
    var right =
        http.send(
            java.net.http.HttpRequest.newBuilder(uri)
                .header("Authorization", "Bearer " + token)
                .build(),
            java.net.http.HttpResponse.BodyHandlers.ofString());
    assertThat(right.statusCode()).isEqualTo(200);

    // Two databases with different sync keys never sync, and nothing is lost on either side.
    a.put("mine", "{}");
    b.put("yours", "{}");
    a.post("/api/connect", "{\"address\":\"127.0.0.1:" + b.peerPort() + "\"}");
    await(
        "a refused session",
        DEADLINE,
        () -> !a.call(Request.get("/api/peers")).get(0).get("lastError").asText().isEmpty());
    assertThat(a.get("yours")).isEqualTo("none");
    assertThat(b.get("mine")).isEqualTo("none");
  }

  @Test
  void secondDaemonOnTheDirectory_saysWhoHoldsIt() throws IOException, InterruptedException {
    Process second =
        new ProcessBuilder(DaemonProcess.serve(a.directory(), 0)).redirectErrorStream(true).start();
    String output = new String(second.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(second.waitFor()).isEqualTo(1);
    assertThat(output).contains("Error [STORAGE_LOCKED]").contains(a.directory().toString());
    a.put("still", "{}");
    assertThat(a.get("still")).isEqualTo("{}");
  }

  @Test
  void oversizedAndMalformedJson_areRefusedAndLoseNothing() {
    a.put("kept", "{}");
    assertThat(refusal(() -> a.put("x", "{\"a\":1e400}"))).isEqualTo("CORE_SERIALIZATION_ERROR");
    assertThat(refusal(() -> a.put("x", "{\"a\":"))).isEqualTo("CORE_SERIALIZATION_ERROR");
    assertThat(refusal(() -> a.put("x", "\"" + "y".repeat(2 << 20) + "\"")))
        .isEqualTo("CORE_LIMIT_EXCEEDED");
    assertThat(a.get("kept")).isEqualTo("{}");
    assertThat(a.get("x")).isEqualTo("none");
  }

  private static String refusal(Runnable request) {
    try {
      request.run();
      return "accepted";
    } catch (ApiException e) {
      return e.code();
    }
  }

  /** The films and their credits, with one device killed again and again meanwhile. */
  @Test
  void realImports_surviveKills() {
    Path data = sharedData();
    if (data == null) {
      String reason = "SKIPPED realImports_surviveKills: shared/data is not beside the project";
      System.err.println(reason);
      org.junit.jupiter.api.Assumptions.abort(reason);
      return;
    }
    JsonNode imported = a.importLines(data.resolve("credits.jsonl.gz"), true);
    assertThat(imported.get("imported").asInt()).isEqualTo(89_106);
    a.admit(b);
    awaitEqual();
    assertThat(b.status().get("documents").asInt()).isEqualTo(89_106);
    var importing = new Thread(() -> b.importLines(data.resolve("movies.jsonl.gz"), true));
    importing.start();
    for (int kills = 0; kills < 3; kills++) {
      int before = a.status().get("documents").asInt();
      await(
          "some films on a",
          DEADLINE,
          () -> !importing.isAlive() || a.status().get("documents").asInt() > before);
      a.kill();
      a.start();
    }
    await("the import", DEADLINE, () -> !importing.isAlive());
    awaitEqual();
    assertThat(a.status().get("documents").asInt()).isEqualTo(89_106 + 17_566);
  }

  private static @Nullable Path sharedData() {
    Path at = Path.of(System.getProperty("pluresdb.root", ".")).toAbsolutePath();
    for (; at != null; at = at.getParent()) {
      if (Files.isDirectory(at.resolve("shared/data"))) {
        return at.resolve("shared/data");
      }
    }
    return null;
  }
}
