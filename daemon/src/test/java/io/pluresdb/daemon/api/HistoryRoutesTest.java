package io.pluresdb.daemon.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.daemon.Eventually;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.daemon.node.NodeOptions;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What documents were and what lost, over two real nodes that wrote apart and then joined. */
@Timeout(60)
class HistoryRoutesTest {
  private static final String DB = Node.DEFAULT_DATABASE;

  @TempDir Path directory;

  private DeviceNode laptop;
  private DeviceNode phone;
  private ApiClient client;

  @BeforeEach
  void joinTwoNodes() {
    laptop = start("laptop");
    phone = start("phone");
    client = Served.api(laptop).client();
    put(laptop, "{\"title\":\"Milk\",\"n\":1}");
    put(laptop, "{\"title\":\"Oat milk\",\"n\":1}");
    put(phone, "{\"title\":\"Bread\",\"n\":1}");
    String url = laptop.invite(DB, Role.WRITE, Duration.ofMinutes(5)).url();
    CrdtStore.await(phone.join(DB, url));
    awaitEqual();
  }

  private DeviceNode start(String name) {
    var network =
        new NodeOptions.Network(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), false, List.of());
    return DeviceNode.open(directory.resolve(name), new NodeOptions(name, network));
  }

  @AfterEach
  void close() {
    client.close();
    laptop.close();
    phone.close();
  }

  private static void put(DeviceNode node, String json) {
    node.store(DB).put("d", json.getBytes(StandardCharsets.UTF_8));
  }

  private void awaitEqual() {
    Eventually.await(
        "both are equal",
        () -> laptop.store(DB).status().frontier().equals(phone.store(DB).status().frontier()));
  }

  private JsonNode call(Request request) {
    try {
      return new ObjectMapper().readTree(client.call(request));
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private JsonNode post(String path, String body) {
    return call(Request.post(path, body.getBytes(StandardCharsets.UTF_8)));
  }

  private static ApiException refusedBy(Runnable call) {
    return catchThrowableOfType(ApiException.class, call::run);
  }

  private static Request history() {
    return Request.get("/api/history").with("id", "d");
  }

  private JsonNode versions() {
    return call(history()).get("versions");
  }

  private Request get(String at) {
    return Request.get("/api/get").with("id", "d").with("at", at);
  }

  private String data(String at) {
    return call(get(at)).get("data").toString();
  }

  @Test
  void history_listsWhoDidWhatAndWhen_inPages() {
    JsonNode page = call(history());
    assertThat(page.get("next").isNull()).isTrue();
    assertThat(page.get("truncated").asBoolean()).isFalse();
    JsonNode versions = page.get("versions");
    assertThat(versions).hasSize(3);
    assertThat(versions.findValuesAsText("name"))
        .containsExactlyInAnyOrder("laptop", "laptop", "phone");
    JsonNode second =
        versions.findParents("seq").stream()
            .filter(v -> v.get("effect").asText().equals("updated"))
            .findFirst()
            .orElseThrow();
    assertThat(second.get("name").asText()).isEqualTo("laptop");
    assertThat(second.get("steps"))
        .hasToString("[{\"op\":\"set\",\"path\":\"title\",\"dot\":1,\"value\":\"Oat milk\"}]");
    assertThat(second.get("actor").asText()).hasSize(32);
    assertThat(second.get("version").asText())
        .isEqualTo(second.get("actor").asText().substring(0, 8) + ".2");
    assertThat(second.get("deviceId").asText()).isEqualTo(laptop.deviceId());
    assertThat(second.get("timestamp").asLong()).isPositive();
    JsonNode first = call(history().with("limit", "1"));
    assertThat(first.get("versions")).hasSize(1).contains(versions.get(0));
    JsonNode rest = call(history().with("limit", "2").with("before", first.get("next").asText()));
    assertThat(rest.get("versions")).containsExactly(versions.get(1), versions.get(2));
    assertThat(rest.get("next").isNull()).isTrue();
  }

  @Test
  void history_wrong_answersWithTheCode() {
    assertThat(refusedBy(() -> call(Request.get("/api/history").with("id", "none"))).code())
        .isEqualTo("CORE_NODE_NOT_FOUND");
    assertThat(refusedBy(() -> call(history().with("limit", "1001"))))
        .hasMessage("limit must be 1 to 1000, but is 1001");
    assertThat(refusedBy(() -> call(history().with("limit", "0"))).status()).isEqualTo(400);
    assertThat(refusedBy(() -> call(history().with("before", "0"))).status()).isEqualTo(400);
  }

  @Test
  void get_atAVersion_isWhatItsAuthorSaw_andAtATimeWhatWasThereThen() {
    JsonNode versions = versions();
    for (JsonNode version : versions) {
      boolean onPhone = version.get("name").asText().equals("phone");
      String title = onPhone ? "Bread" : version.get("seq").asInt() == 1 ? "Milk" : "Oat milk";
      String expected = "{\"n\":1,\"title\":\"" + title + "\"}";
      assertThat(data(version.get("version").asText())).isEqualTo(expected);
      assertThat(data(version.get("actor").asText() + "." + version.get("seq").asText()))
          .isEqualTo(expected);
    }
    long last =
        versions.findParents("seq").stream()
            .mapToLong(v -> v.get("timestamp").asLong())
            .max()
            .orElseThrow();
    String now = call(Request.get("/api/get").with("id", "d")).get("data").toString();
    assertThat(data(Long.toString(last))).isEqualTo(now);
    assertThat(data(Instant.ofEpochMilli(last).toString())).isEqualTo(now);
    assertThat(
            data(
                versions.get(0).get("version").asText()
                    + ","
                    + versions.get(2).get("version").asText()))
        .contains("\"title\"");
    ApiException before = refusedBy(() -> call(get("1")));
    assertThat(before).hasMessage("document \"d\" did not exist at 1");
    assertThat(before.status()).isEqualTo(404);
  }

  @Test
  void get_atWhatIsNoMoment_saysWhatOneIs() {
    for (String bad :
        new String[] {"", "yesterday", "-5", "12345678", "2026-13-01T00:00:00Z", "abcdefgh.1"}) {
      if (!bad.equals("12345678")) {
        assertThat(refusedBy(() -> call(get(bad))))
            .as(bad)
            .hasMessageContaining("at must be milliseconds since 1970, a time such as");
      }
    }
    assertThat(refusedBy(() -> call(get("00000000.1"))).code()).isEqualTo("CORE_VERSION_NOT_FOUND");
    String actor = versions().get(0).get("actor").asText();
    ApiException beyond = refusedBy(() -> call(get(actor + ".999")));
    assertThat(beyond.code()).isEqualTo("CORE_VERSION_NOT_FOUND");
    assertThat(beyond).hasMessageContaining("has written changes 1 to ");
  }

  @Test
  void revert_bringsTheOldDocumentToBothDevices_asOneMoreVersion() {
    String first = versions().get(2).get("version").asText();
    String then = data(first);
    assertThat(post("/api/revert", "{\"id\":\"d\",\"to\":\"" + first + "\"}"))
        .hasToString("{\"id\":\"d\"}");
    awaitEqual();
    assertThat(phone.store(DB).get("d").orElseThrow().json()).isEqualTo(then);
    assertThat(versions()).hasSize(4);
    post("/api/revert", "{\"id\":\"d\",\"to\":\"1\"}");
    assertThat(laptop.store(DB).get("d")).as("it did not exist then").isEmpty();
    assertThat(versions().get(0).get("effect").asText()).isEqualTo("deleted");
    assertThat(refusedBy(() -> post("/api/revert", "{\"id\":\"d\",\"to\":\"1\"}")).status())
        .isEqualTo(404);
    assertThat(refusedBy(() -> post("/api/revert", "{\"id\":\"d\"}")))
        .hasMessageContaining("\"to\"");
  }

  private JsonNode conflicts() {
    return call(Request.get("/api/conflicts").with("id", "d"));
  }

  @Test
  void conflicts_showWinnerAndLosers_andAnyOfThemCanBeChosen() {
    JsonNode all = call(Request.get("/api/conflicts"));
    assertThat(all).isEqualTo(conflicts()).hasSize(1);
    JsonNode contest = all.get(0).get("conflicts").get(0);
    assertThat(contest.get("path").asText()).isEqualTo("title");
    assertThat(contest.get("keys")).hasToString("[\"title\"]");
    assertThat(contest.get("losers")).hasSize(1);
    JsonNode winner = contest.get("winner");
    JsonNode loser = contest.get("losers").get(0);
    assertThat(winner.get("value").asText()).isEqualTo("Bread");
    assertThat(winner.get("name").asText()).isEqualTo("phone");
    assertThat(loser.get("value").asText()).isEqualTo("Oat milk");
    assertThat(loser.get("deviceId").asText()).isEqualTo(laptop.deviceId());
    assertThat(loser.get("timestamp").asLong())
        .isLessThanOrEqualTo(winner.get("timestamp").asLong());
    post("/api/conflicts/resolve", "{\"id\":\"d\",\"path\":\"title\",\"choose\":1}");
    awaitEqual();
    for (DeviceNode node : List.of(laptop, phone)) {
      assertThat(node.store(DB).get("d").orElseThrow().json()).contains("\"Oat milk\"");
      assertThat(node.store(DB).contests("d")).isEmpty();
    }
    assertThat(conflicts()).isEmpty();
  }

  @Test
  void resolve_byTheWinner_orByAnyValue() {
    post("/api/conflicts/resolve", "{\"id\":\"d\",\"keys\":[\"title\"],\"choose\":\"winner\"}");
    assertThat(conflicts()).isEmpty();
    assertThat(laptop.store(DB).get("d").orElseThrow().json()).contains("\"Bread\"");
  }

  @Test
  void resolve_wrong_answersWithTheCode_andChangesNothing() {
    String start = "{\"id\":\"d\",\"path\":\"title\",";
    String[][] wrong = {
      {start + "\"choose\":2}", "number of a lost value must be 1 to 1, but is 2"},
      {start + "\"choose\":0}", "choose must be an integer from 1"},
      {start + "\"choose\":\"loser\"}", "choose must be \"winner\" or the number"},
      {start + "\"choose\":1,\"value\":1}", "either \"choose\" or \"value\""},
      {"{\"id\":\"d\",\"choose\":1}", "either \"path\" or \"keys\""},
      {start + "\"value\":{\"a\":1,\"a\":2}}", "a"},
      {"{\"id\":\"d\",\"keys\":[1],\"choose\":1}", "keys must be a string"}
    };
    for (String[] one : wrong) {
      assertThat(refusedBy(() -> post("/api/conflicts/resolve", one[0])))
          .as(one[0])
          .hasMessageContaining(one[1]);
    }
    ApiException none =
        refusedBy(
            () -> post("/api/conflicts/resolve", "{\"id\":\"d\",\"path\":\"n\",\"choose\":1}"));
    assertThat(none.code()).isEqualTo("CORE_CONFLICT_NOT_FOUND");
    assertThat(none.status()).isEqualTo(404);
    assertThat(none).hasMessage("nothing competes at \"n\" of document \"d\", but at [title]");
    assertThat(conflicts()).hasSize(1);
    post("/api/conflicts/resolve", start + "\"value\":{\"en\":\"Bread\",\"de\":\"Brot\"}}");
    assertThat(laptop.store(DB).get("d").orElseThrow().json())
        .isEqualTo("{\"n\":1,\"title\":{\"de\":\"Brot\",\"en\":\"Bread\"}}");
    assertThat(conflicts()).isEmpty();
  }
}
