package io.pluresdb.daemon.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.pluresdb.client.Json;
import io.pluresdb.client.PluresClient;
import io.pluresdb.client.PluresException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.ValueSource;

/** The client for Java programs, against a served daemon. */
@Timeout(60)
@ParameterizedClass
@ValueSource(strings = {"tcp", "unix"})
class ClientTest {
  private final Served served;
  private final PluresClient client;

  ClientTest(String transport) throws IOException {
    served = Served.withDefaults();
    client =
        transport.equals("tcp")
            ? PluresClient.tcp(served.port(), Served.TOKEN)
            : PluresClient.unix(served.directory.resolve("pluresdb.sock"));
  }

  @AfterEach
  void stop() throws IOException {
    client.close();
    served.close();
  }

  @Test
  void documents_areWrittenReadAndDeleted() {
    client.put("a\"\n\u0001ü", "{\"b\":[1,2.5e3,\"\\u00fc\"]}");
    PluresClient.Document document = client.get("a\"\n\u0001ü").orElseThrow();
    assertThat(document.id()).isEqualTo("a\"\n\u0001ü");
    assertThat(document.data()).isEqualTo("{\"b\":[1,2500,\"ü\"]}");
    client.patch(document.id(), "{\"b\":null,\"c\":true}");
    assertThat(client.get(document.id()).orElseThrow().data()).isEqualTo("{\"c\":true}");
    client.delete(document.id());
    assertThat(client.get(document.id())).isEmpty();
    assertThat(catchThrowableOfType(PluresException.class, () -> client.delete("a")).code())
        .isEqualTo("CORE_NODE_NOT_FOUND");
    assertThatThrownBy(() -> client.in("work").put("a", "1"))
        .hasMessage("there is no database work");
  }

  @Test
  void copies_areWaitedFor_andTheWriteStandsWhenTheyDoNotCome() {
    PluresClient patient = client.copies(1, Duration.ofSeconds(5));
    patient.put("a", "{}");
    patient.patch("a", "{\"n\":1}");
    patient.putIf(client.get("a").orElseThrow().etag(), "a", "2");
    PluresClient hasty = client.copies(1, Duration.ofMillis(5));
    assertThat(catchThrowableOfType(PluresException.class, () -> hasty.put("b", "3")))
        .satisfies(
            e -> {
              assertThat(e.status()).isEqualTo(504);
              assertThat(e.code()).isEqualTo("NODE_NOT_REPLICATED");
            });
    assertThat(client.get("b").orElseThrow().data()).isEqualTo("3");
    assertThatThrownBy(() -> hasty.delete("b")).isInstanceOf(PluresException.class);
    assertThat(client.get("b")).isEmpty();
    assertThatThrownBy(() -> client.copies(2, Duration.ZERO).put("c", "1"))
        .isInstanceOf(PluresException.class);
    assertThat(client.get("c")).isEmpty();
    patient.delete("a");
    assertThat(patient.async().put("d", "4")).succeedsWithin(Duration.ofSeconds(30));
  }

  @Test
  void putIf_afterAnotherWrite_isRefused() {
    client.put("a", "1");
    String etag = client.get("a").orElseThrow().etag();
    client.putIf(etag, "a", "2");
    assertThat(catchThrowableOfType(PluresException.class, () -> client.putIf(etag, "a", "3")))
        .satisfies(
            e -> {
              assertThat(e.status()).isEqualTo(412);
              assertThat(e.code()).isEqualTo("CORE_PRECONDITION_FAILED");
            });
    assertThat(client.get("a").orElseThrow().data()).isEqualTo("2");
    assertThat(
            client.call(
                "GET",
                "/api/get",
                Map.of("id", "a"),
                Map.of("If-None-Match", client.get("a").orElseThrow().etag()),
                null))
        .isEqualTo(new Json.Null());
    Map<String, String> none = Map.of("If-None-Match", "*");
    client.call("POST", "/api/put", Map.of(), none, "{\"id\":\"new\",\"data\":1}");
    assertThatThrownBy(
            () -> client.call("POST", "/api/put", Map.of(), none, "{\"id\":\"new\",\"data\":2}"))
        .isInstanceOf(PluresException.class);
  }

  @Test
  void list_closedInTheMiddle_leavesTheClientUsable() {
    var lines = new StringBuilder();
    for (int i = 0; i < 3_000; i++) {
      lines.append("{\"id\":\"d%04d\",\"data\":%d}%n".formatted(i, i));
    }
    byte[] bytes = lines.toString().getBytes(StandardCharsets.UTF_8);
    assertThat(client.importLines(new ByteArrayInputStream(bytes))).isEqualTo(3_000);
    try (Stream<PluresClient.Document> documents = client.list("d")) {
      assertThat(documents.map(PluresClient.Document::data)).hasSize(3_000).contains("2999");
    }
    for (int i = 0; i < 3 * PluresClient.MAX_IDLE; i++) {
      try (Stream<PluresClient.Document> documents = client.list("d")) {
        assertThat(documents.findFirst()).isPresent();
      }
    }
    assertThat(client.get("d0001")).isPresent();
  }

  @Test
  void query_carriesStatementsOut_blockingAndNot() {
    PluresClient.Rows inserted =
        client.query(
            "INSERT INTO film (key, title, year, tags, seen, rate, none) VALUES (7, ?, ?, ?, ?, ?, ?)",
            "A \"B\"\n?",
            1979,
            List.of("x", 1),
            true,
            0.5,
            null);
    assertThat(inserted).isEqualTo(new PluresClient.Rows(List.of(), List.of(), 1, 7L));
    PluresClient.Rows found =
        client.async().query("SELECT id, title, year, none FROM film WHERE year > ?", 1970L).join();
    assertThat(found.columns()).containsExactly("id", "title", "year", "none");
    assertThat(found.rows())
        .containsExactly(
            List.of(
                new Json.Text("film:7"),
                new Json.Text("A \"B\"\n?"),
                new Json.Digits("1979"),
                new Json.Null()));
    assertThat(found.changes()).isZero();
    assertThat(found.lastInsertRowid()).isNull();
    assertThat(client.get("film:7").orElseThrow().data())
        .contains("\"rate\":0.5", "\"seen\":true", "\"tags\":[\"x\",1]");
    assertThat(catchThrowableOfType(PluresException.class, () -> client.query("SELEC")).code())
        .isEqualTo("CORE_SQLITE_ERROR");
    assertThat(client.async().query("INSERT INTO film (key) VALUES (7)"))
        .failsWithin(Served.LONG)
        .withThrowableOfType(java.util.concurrent.ExecutionException.class)
        .withMessageContaining("exists; INSERT OR REPLACE");
    assertThatThrownBy(() -> client.query("SELECT ?", Map.of())).hasMessageContaining("must be");
    assertThatThrownBy(() -> client.query("SELECT ?", Double.NaN)).hasMessageContaining("NaN");
  }

  @Test
  void watch_fromAPosition_goesOnBehindIt() {
    client.put("a", "1");
    client.put("b", "2");
    String position;
    try (Stream<PluresClient.Change> changes = client.watch("", "0")) {
      var first = changes.findFirst().orElseThrow();
      assertThat(first.id()).isEqualTo("a");
      position = first.position();
    }
    client.delete("a");
    try (Stream<PluresClient.Change> changes = client.watch("", position)) {
      List<PluresClient.Change> rest = changes.limit(2).toList();
      assertThat(rest).extracting(PluresClient.Change::id).containsExactly("b", "a");
      assertThat(rest.getLast().document()).isNull();
    }
  }

  @Test
  void async_manyAtOnce_allComplete() {
    var all = new ArrayList<CompletableFuture<?>>();
    for (int i = 0; i < 100; i++) {
      all.add(client.async().put("d" + i, Integer.toString(i)));
    }
    CompletableFuture.allOf(all.toArray(CompletableFuture[]::new)).join();
    var seen = new ArrayList<String>();
    client.async().list("d", document -> seen.add(document.data())).join();
    assertThat(seen).hasSize(100);
    assertThat(client.async().get("none").join()).isEmpty();
    assertThat(client.async().delete("none"))
        .failsWithin(Served.LONG)
        .withThrowableOfType(java.util.concurrent.ExecutionException.class)
        .withCauseInstanceOf(PluresException.class);
  }

  @Test
  void daemonThatWentAway_isSaidSo() {
    client.put("a", "1");
    served.server.close();
    assertThat(catchThrowableOfType(PluresException.class, () -> client.get("a")).code())
        .isEqualTo("API_UNREACHABLE");
  }

  @Test
  void json_thatIsNone_isRefused() {
    for (String wrong : new String[] {"", "{", "[1,]", "{\"a\"}", "01", "\"\\x\"", "1 2", "nul"}) {
      assertThatThrownBy(() -> Json.parse(wrong))
          .as(wrong)
          .isInstanceOf(IllegalArgumentException.class);
    }
    String text = "{\"a\":[1,-2.5E3,null,true,\"\\\"\\\\\\n\\u0001\"],\"b\":{}}";
    assertThat(Json.parse(text).write()).isEqualTo(text);
    assertThatThrownBy(() -> Json.parse("[".repeat(Json.MAX_DEPTH + 2)))
        .hasMessage("JSON is nested deeper than 512");
  }
}
