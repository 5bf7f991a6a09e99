package io.pluresdb.daemon.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.crdt.store.Transaction;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.ValueSource;

/** Every route, right and wrong, over both sockets and in process. */
@ParameterizedClass
@ValueSource(strings = {"tcp", "unix", "process"})
class RoutesTest {
  private final String transport;
  private final Served served;
  private ApiClient client;

  RoutesTest(String transport) throws IOException {
    this.transport = transport;
    served = Served.withDefaults();
    client = connect();
  }

  private ApiClient connect() throws IOException {
    return switch (transport) {
      case "tcp" -> served.tcp();
      case "unix" -> served.unix();
      default -> Served.api(served.node).client();
    };
  }

  @BeforeEach
  void fill() {
    post("/api/put", "{\"id\":\"a\",\"data\":{\"type\":\"note\",\"n\":1}}");
    post("/api/put", "{\"id\":\"b\",\"data\":{\"type\":\"task\"}}");
  }

  @AfterEach
  void stop() throws IOException {
    client.close();
    served.close();
  }

  private String call(Request request) {
    try {
      return new String(client.call(request), StandardCharsets.UTF_8);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private String post(String path, String body) {
    return call(Request.post(path, body.getBytes(StandardCharsets.UTF_8)));
  }

  private String get(String path) {
    return call(Request.get(path));
  }

  private ApiException refused(Request request) {
    return catchThrowableOfType(ApiException.class, () -> call(request));
  }

  private ApiException refused(String path, String body) {
    return refused(Request.post(path, body.getBytes(StandardCharsets.UTF_8)));
  }

  private String data(String id) {
    return served.node.store().get(id).orElseThrow().json();
  }

  @Test
  void put_withAnyKindOfValue_keepsItsText() {
    for (String value :
        new String[] {
          "{}",
          "{\"k\":[1,2,{\"x\":null}]}",
          "[]",
          "[1,\"a\"]",
          "1",
          "-12",
          "0.5",
          "1.5e300",
          "true",
          "false",
          "null",
          "\"\"",
          "\"a\\\"b\\\\ü😀\""
        }) {
      assertThat(post("/api/put", "{\"data\":" + value + ", \"id\":\"v\"}"))
          .isEqualTo("{\"id\":\"v\"}");
      assertThat(data("v")).as(value).isEqualTo(value);
      post("/api/put", " {\"id\" : \"v\" , \"data\" : " + value + " } ");
      assertThat(data("v")).as(value).isEqualTo(value);
    }
  }

  @Test
  void put_withDurability_asksForIt() {
    post("/api/put", "{\"id\":\"a\",\"data\":1,\"durability\":\"relaxed\"}");
    assertThat(served.node.store().lastAcknowledgement())
        .isEqualTo(Transaction.Acknowledgement.RELAXED);
    post("/api/put", "{\"id\":\"a\",\"data\":1}");
    assertThat(served.node.store().lastAcknowledgement())
        .isEqualTo(Transaction.Acknowledgement.LOCAL);
    assertThat(refused("/api/put", "{\"id\":\"a\",\"data\":1,\"durability\":\"fast\"}"))
        .hasMessage("durability must be \"local\" or \"relaxed\", but is \"fast\"");
  }

  @Test
  void writes_withCopies_areAnsweredWhenOthersHaveThem_andRefusedBeforeTheyAreMade() {
    for (String write :
        List.of("{\"id\":\"a\",\"data\":1,", "{\"id\":\"a\",\"patch\":{\"n\":1},")) {
      String route = write.contains("patch") ? "/api/patch" : "/api/put";
      assertThat(post(route, write + "\"copies\":1}")).isEqualTo("{\"id\":\"a\"}");
      assertThat(refused(route, write + "\"copies\":1,\"waitMillis\":999}").status())
          .isEqualTo(504);
      ApiException tooFew = refused(route, write.replace("\"a\"", "\"no\"") + "\"copies\":2}");
      assertThat(tooFew.code()).isEqualTo("NODE_TOO_FEW_DEVICES");
      assertThat(refused(route, write + "\"copies\":64}"))
          .hasMessage("copies must be an integer from 0 to 63, but is 64");
      assertThat(refused(route, write + "\"copies\":1,\"waitMillis\":600001}"))
          .hasMessageContaining("waitMillis must be an integer from 0 to 600000");
    }
    assertThat(served.node.store().get("no")).isEmpty();
    String two =
        "{\"operations\":[{\"op\":\"put\",\"id\":\"b\",\"data\":1},{\"op\":\"put\",\"id\":\"a\",\"data\":2}],";
    assertThat(refused("/api/batch", two + "\"copies\":2}").status()).isEqualTo(409);
    assertThat(refused("/api/batch", two + "\"copies\":1,\"waitMillis\":0}").status())
        .isEqualTo(504);
    assertThat(post("/api/batch", two + "\"atomic\":false,\"copies\":1,\"waitMillis\":0}"))
        .contains("NODE_NOT_REPLICATED");
    assertThat(post("/api/batch", two + "\"copies\":1}")).contains("results");
    Request delete = Request.delete("/api/delete").with("id", "b");
    assertThatThrownBy(() -> call(delete.with("copies", "64")))
        .hasMessage("copies must be at most 63, but is 64");
    assertThatThrownBy(() -> call(delete.with("copies", "1").with("waitMillis", "5")))
        .hasMessageContaining("not within");
    // It is deleted all the same.
    assertThat(served.node.store().get("b")).isEmpty();
    Request other = Request.delete("/api/delete").with("id", "a").with("copies", "1");
    assertThat(call(other)).isEqualTo("{\"id\":\"a\"}");
  }

  @Test
  void put_withBadBodies_namesWhatIsWrong() {
    refusedAs(
        "{\"id\":\"a\",\"dta\":1}",
        "CORE_INVALID_INPUT",
        "it takes id, data, embedding, durability, copies, waitMillis; the nearest is \"data\"");
    refusedAs("{\"id\":\"a\"}", "CORE_INVALID_INPUT", "must have a member \"data\"");
    refusedAs("{\"id\":1,\"data\":1}", "CORE_INVALID_INPUT", "id must be a string");
    refusedAs("{\"id\":\"\",\"data\":1}", "CORE_INVALID_INPUT", "1 to 1024 bytes");
    refusedAs("{\"id\":\"a\",\"id\":\"b\",\"data\":1}", "CORE_INVALID_INPUT", "twice");
    refusedAs("{\"id\":\"a\",\"data\":{\"x\":1,\"x\":2}}", "CORE_SERIALIZATION_ERROR", "x");
    refusedAs("{\"id\":\"a\",\"data\":", "CORE_SERIALIZATION_ERROR", "malformed");
    refusedAs("{\"id\":\"a\",\"data\":1}x", "CORE_SERIALIZATION_ERROR", "malformed");
    refusedAs("{\"id\":\"a\",\"data\":1}{}", "CORE_SERIALIZATION_ERROR", "follows");
    refusedAs("", "CORE_INVALID_INPUT", "must be a JSON object");
    refusedAs("[]", "CORE_INVALID_INPUT", "must be a JSON object");
    refusedAs("{\"id\":\"a\",\"data\":1,\"embedding\":[0,0]}", "CORE_INVALID_INPUT", "all zero");
    refusedAs("{\"id\":\"a\",\"data\":1,\"embedding\":[\"x\"]}", "CORE_INVALID_INPUT", "numbers");
    assertThat(data("a")).isEqualTo("{\"n\":1,\"type\":\"note\"}");
  }

  private void refusedAs(String body, String code, String words) {
    ApiException refused = refused("/api/put", body);
    assertThat(refused).as(body).hasMessageContaining(words);
    assertThat(refused.code()).as(body).isEqualTo(code);
    assertThat(refused.status()).as(body).isEqualTo(400);
    assertThat(refused.hint()).isNotBlank();
  }

  @Test
  void patch_mergesIntoTheDocument() {
    assertThat(post("/api/patch", "{\"id\":\"a\",\"patch\":{\"n\":null,\"m\":{\"x\":2}}}"))
        .isEqualTo("{\"id\":\"a\"}");
    assertThat(data("a")).isEqualTo("{\"m\":{\"x\":2},\"type\":\"note\"}");
    ApiException refused = refused("/api/patch", "{\"id\":\"none\",\"patch\":{}}");
    assertThat(refused.status()).isEqualTo(404);
    assertThat(refused.code()).isEqualTo("CORE_NODE_NOT_FOUND");
  }

  @Test
  void batch_atomic_happensAllTogetherOrNotAtAll() {
    assertThat(
            post(
                "/api/batch",
                "{\"operations\":[{\"op\":\"put\",\"id\":\"c\",\"data\":{}},"
                    + "{\"op\":\"increment\",\"id\":\"c\",\"path\":\"v.n\",\"amount\":5},"
                    + "{\"op\":\"patch\",\"id\":\"a\",\"patch\":{\"n\":2}},"
                    + "{\"op\":\"delete\",\"id\":\"b\"}]}"))
        .isEqualTo("{\"results\":[{\"id\":\"c\"},{\"id\":\"c\"},{\"id\":\"a\"},{\"id\":\"b\"}]}");
    assertThat(served.node.store().transactions()).isEqualTo(3);
    assertThat(served.node.store().get("b")).isEmpty();
    ApiException refused =
        refused(
            "/api/batch",
            "{\"operations\":[{\"op\":\"put\",\"id\":\"d\",\"data\":1},"
                + "{\"op\":\"delete\",\"id\":\"none\"}],\"atomic\":true}");
    assertThat(refused.status()).isEqualTo(404);
    assertThat(served.node.store().get("d")).isEmpty();
  }

  @Test
  void batch_notAtomic_answersEachOnItsOwn() {
    assertThat(
            post(
                "/api/batch",
                "{\"atomic\":false,\"operations\":[{\"op\":\"delete\",\"id\":\"none\"},"
                    + "{\"op\":\"put\",\"id\":\"d\",\"data\":1}]}"))
        .startsWith("{\"results\":[{\"id\":\"none\",\"error\":{\"code\":\"CORE_NODE_NOT_FOUND\",")
        .endsWith("},{\"id\":\"d\"}]}");
    assertThat(data("d")).isEqualTo("1");
  }

  @Test
  void batch_withBadOperations_namesTheOperation() {
    assertThat(refused("/api/batch", "{\"operations\":[{\"op\":\"upsert\",\"id\":\"a\"}]}"))
        .hasMessageContaining(
            "operations[0].op must be put, patch, delete, increment, text.splice");
    assertThat(
            refused("/api/batch", "{\"operations\":[{\"op\":\"delete\",\"id\":\"a\",\"data\":1}]}"))
        .hasMessageContaining("delete takes [op, id], but has \"data\"");
    assertThat(refused("/api/batch", "{\"operations\":[]}").status()).isEqualTo(413);
    assertThat(
            refused(
                "/api/batch",
                "{\"operations\":["
                    + "{\"op\":\"delete\",\"id\":\"a\"},".repeat(1_000)
                    + "{\"op\":\"delete\",\"id\":\"a\"}]}"))
        .hasMessageContaining("at most 1000 elements");
    assertThat(
            refused(
                "/api/batch",
                "{\"operations\":[{\"op\":\"increment\",\"id\":\"a\",\"path\":\"n\","
                    + "\"amount\":1.5}]}"))
        .hasMessageContaining("amount must be an integer");
  }

  @Test
  void get_withMetadata_addsClockEmbeddingAndConflicts() {
    assertThat(get2("a", false))
        .isEqualTo(
            "{\"id\":\"a\",\"data\":{\"n\":1,\"type\":\"note\"},\"timestamp\":1700000000001}");
    post("/api/put", "{\"id\":\"a\",\"data\":1,\"embedding\":[0.25,-1.5e-7]}");
    var dot = new Dot(FakeStore.ACTOR, 9, 0);
    served.node.store().conflict("a", new NodeRecord.Conflict("n", "\"old\"", dot, 5));
    served.node.store().conflict("a", new NodeRecord.Conflict("n", "+3", dot, 6));
    String actor = FakeStore.ACTOR.hex();
    assertThat(get2("a", true))
        .isEqualTo(
            "{\"id\":\"a\",\"data\":1,\"timestamp\":1700000000003,\"clock\":{\""
                + actor
                + "\":3},\"embedding\":[0.25,-1.5E-7],\"conflicts\":[{\"path\":\"n\",\"value\":"
                + "\"old\",\"actor\":\""
                + actor
                + "\",\"seq\":9,\"timestamp\":5},{\"path\":\"n\",\"increment\":3,\"actor\":\""
                + actor
                + "\",\"seq\":9,\"timestamp\":6}]}");
    assertThat(call(Request.get("/api/conflicts").with("id", "b"))).isEqualTo("[]");
    assertThat(refused(Request.get("/api/conflicts").with("id", "none")).status()).isEqualTo(404);
  }

  private String get2(String id, boolean metadata) {
    return call(
        Request.get("/api/get").with("id", id).with("metadata", Boolean.toString(metadata)));
  }

  @Test
  void get_withOddIds_findsThem() {
    for (String id : new String[] {"a b", "ü/😀", "x?y&z=1#%41+", "\"q\"", "line\nend"}) {
      var json = new JsonWriter().beginObject().name("id").string(id).name("data").number(7);
      call(Request.post("/api/put", json.endObject().toByteArray()));
      assertThat(get2(id, false)).contains("\"data\":7");
    }
  }

  @Test
  void get_wrong_answersWithTheCode() {
    assertThat(refused(Request.get("/api/get").with("id", "none")).code())
        .isEqualTo("CORE_NODE_NOT_FOUND");
    assertThat(refused(Request.get("/api/get"))).hasMessageContaining("parameter \"id\"");
    assertThat(refused(Request.get("/api/get").with("id", "a").with("metdata", "true")))
        .hasMessageContaining("the nearest is \"metadata\"");
    assertThat(refused(Request.get("/api/get").with("id", "a").with("metadata", "1")))
        .hasMessageContaining("true or false");
    assertThat(refused(Request.get("/api/get").with("id", "a").with("db", "other")).code())
        .isEqualTo("NODE_UNKNOWN_DATABASE");
    assertThat(refused(Request.get("/api/gte")).hint()).contains("/api/get");
    ApiException method = refused(Request.delete("/api/get"));
    assertThat(method.status()).isEqualTo(405);
  }

  @Test
  void delete_removesOnce() {
    assertThat(call(Request.delete("/api/delete").with("id", "a"))).isEqualTo("{\"id\":\"a\"}");
    assertThat(refused(Request.delete("/api/delete").with("id", "a")).status()).isEqualTo(404);
  }

  @Test
  void list_filtersPagesAndStreams() {
    post("/api/put", "{\"id\":\"c\",\"data\":{\"type\":\"note\"},\"embedding\":[1]}");
    assertThat(get("/api/list"))
        .startsWith("[{\"id\":\"a\",")
        .contains(",{\"id\":\"b\",")
        .endsWith("}]");
    assertThat(call(Request.get("/api/list").with("type", "note").with("limit", "1")))
        .contains("\"a\"")
        .doesNotContain("\"c\"");
    assertThat(call(Request.get("/api/list").with("type", "note").with("after", "a")))
        .startsWith("[{\"id\":\"c\"")
        .doesNotContain("embedding");
    assertThat(call(Request.get("/api/list").with("prefix", "zz"))).isEqualTo("[]");
    assertThat(
            call(Request.get("/api/list")
                    .with("embeddings", "true")
                    .withHeader("accept", Answer.NDJSON))
                .lines())
        .hasSize(3)
        .last()
        .asString()
        .endsWith("\"embedding\":[1.0]}");
    assertThat(refused(Request.get("/api/list").with("limit", "0")))
        .hasMessage("limit must be an integer of at least 1, but is \"0\"");
  }

  @Test
  void search_byEmbedding_ordersByScore() {
    post("/api/put", "{\"id\":\"x\",\"data\":1,\"embedding\":[1,0]}");
    post("/api/put", "{\"id\":\"y\",\"data\":2,\"embedding\":[1,1]}");
    assertThat(post("/api/search", "{\"embedding\":[1,0],\"limit\":5}"))
        .startsWith("[{\"id\":\"x\",\"data\":1,\"timestamp\":1700000000003,\"score\":1.0},")
        .contains("\"id\":\"y\"");
    assertThat(post("/api/search", "{\"embedding\":[1,0],\"threshold\":0.9}"))
        .doesNotContain("\"y\"");
    assertThat(refused("/api/search", "{\"query\":\"-cats\"}"))
        .hasMessageContaining("a word to look for");
    assertThat(refused("/api/search", "{\"embedding\":[1,0],\"limit\":0}"))
        .hasMessage("limit must be an integer from 1 to 10000, but is 0");
    assertThat(refused("/api/search", "{\"embedding\":[1,0],\"threshold\":1.5}"))
        .hasMessageContaining("threshold must be a number from 0.0 to 1.0, but is 1.5");
    assertThat(refused("/api/search", "{\"limit\":1}")).hasMessageContaining("embedding");
  }

  @Test
  void status_showsTheDatabases() {
    assertThat(get("/api/status"))
        .startsWith(
            "{\"version\":\"0.0.0-test\",\"deviceId\":\"ABCD-EFGH\",\"uptimeMillis\":1500,"
                + "\"databases\":[{\"name\":\"default\",")
        .contains("\"documents\":2,")
        .contains("\"frontier\":{\"" + FakeStore.ACTOR.hex() + "\":{\"seq\":2,\"hash\":\"")
        .contains("\"frontierHash\":\"", "\"stateHash\":\"", "\"pending\":0", "\"bytesOnDisk\":");
  }

  @Test
  void status_andVacuum_showTheLog_andWhoHoldsItBack() {
    String log =
        "{\"arrivals\":12,\"floor\":5,\"keepMillis\":60000,\"leaseMillis\":120000,"
            + "\"heldBackBy\":\"PHON-EEEE\",\"members\":["
            + "{\"deviceId\":\"ABCD-EFGH\",\"name\":\"laptop\",\"state\":\"self\","
            + "\"heard\":1700000000000,\"behind\":0},"
            + "{\"deviceId\":\"PHON-EEEE\",\"name\":\"phone\",\"state\":\"active\","
            + "\"heard\":1700000000000,\"behind\":3},"
            + "{\"deviceId\":\"OLDD-EEEE\",\"name\":\"tablet\",\"state\":\"expired\","
            + "\"heard\":1700000000000,\"behind\":9}]}";
    assertThat(get("/api/status")).contains("\"log\":" + log);
    assertThat(post("/api/vacuum", "{}")).isEqualTo(log);
  }

  @Test
  void backup_takesAnAbsolutePath_andShowsWhatIsInIt() {
    assertThat(post("/api/backup", "{\"path\":\"/b/one\",\"keys\":true}"))
        .isEqualTo(
            "{\"path\":\"/b/one\",\"database\":\"default\",\"databaseId\":\""
                + "1d".repeat(32)
                + "\",\"documents\":2,\"bytes\":16,\"files\":1,\"keys\":true}");
    assertThat(refused("/api/backup", "{\"path\":\"one\"}"))
        .hasMessage("path must be an absolute path, but is \"one\"");
  }

  @Test
  void doctor_showsWhatTheChecksFound() {
    assertThat(get("/api/doctor"))
        .isEqualTo(
            "{\"ok\":true,\"checks\":["
                + "{\"name\":\"rows\",\"status\":\"ok\",\"message\":\"7 rows are readable\","
                + "\"remediation\":\"\"},"
                + "{\"name\":\"peers\",\"status\":\"warning\",\"message\":\"no peer is connected\","
                + "\"remediation\":\"connect one\"}]}");
    Request against = Request.get("/api/doctor");
    assertThat(call(against.with("against", "phone"))).startsWith("{\"ok\":false,");
    ApiException e = refused(against.with("against", "fridge"));
    assertThat(e.code()).isEqualTo("NODE_PEER_NOT_CONNECTED");
    assertThat(e.status()).isEqualTo(404);
  }

  @Test
  void dhtLookup_ofATopic_printsEveryStep() {
    String hash = "6d".repeat(20);
    assertThat(call(Request.get("/api/dht/lookup").with("topic", hash + "00".repeat(12))))
        .isEqualTo(
            "{\"target\":\""
                + hash
                + "\",\"family\":\"ipv4\",\"kind\":\"peers\",\"durationMillis\":12,\"queries\":1,"
                + "\"answers\":1,\"hops\":1,\"announcedAt\":0,\"firstPeerMillis\":7,"
                + "\"firstPeerHops\":1,\"peers\":[\"192.0.2.7:6881\"],\"steps\":[{\"address\":"
                + "\"192.0.2.7:6881\",\"id\":\""
                + hash
                + "\",\"commonBits\":9,\"hop\":1,\"askedMillis\":0,\"answerMillis\":7,"
                + "\"peers\":1}]}");
    assertThat(refused(Request.get("/api/dht/lookup").with("topic", "6d")).status()).isEqualTo(400);
    assertThat(refused(Request.get("/api/dht")).code()).isEqualTo("NODE_DHT_OFF");
  }

  @Test
  void network_routesReachTheNode() {
    assertThat(post("/api/connect", "{\"address\":\"127.0.0.1:9\"}"))
        .isEqualTo("{\"address\":\"127.0.0.1:9\"}");
    assertThat(get("/api/peers")).contains("\"address\":\"127.0.0.1:9\"", "\"lag\":3");
    assertThat(post("/api/sync", "")).isEqualTo("{\"peers\":1}");
    post("/api/disconnect", "{\"address\":\"127.0.0.1:9\"}");
    assertThat(refused("/api/disconnect", "{\"address\":\"127.0.0.1:9\"}").code())
        .isEqualTo("NODE_UNKNOWN_ADDRESS");
    for (String bad : new String[] {"", "host", "host:", ":1", "host:0", "::1:80", "h:65536"}) {
      assertThat(refused("/api/connect", "{\"address\":\"" + bad + "\"}"))
          .hasMessageContaining("HOST:PORT");
    }
    assertThat(get("/api/devices")).contains("\"role\":\"admin\"", "\"self\":true");
    assertThat(post("/api/invite", "{\"role\":\"read\",\"expiresSeconds\":60}"))
        .isEqualTo("{\"url\":\"pluresdb://join/read\",\"expires\":1700000060000}");
    assertThat(refused("/api/invite", "{\"role\":\"admin\"}").status()).isEqualTo(403);
    assertThat(refused("/api/invite", "{\"role\":\"boss\"}")).hasMessageContaining("pull, read");
    assertThat(refused("/api/invite", "{\"expiresSeconds\":59}")).hasMessageContaining("60 to");
    assertThat(post("/api/join", "{\"url\":\"pluresdb://join/x\"}")).contains("\"carriedOver\":2");
    assertThat(refused("/api/join", "{\"url\":\"pluresdb://join/expired\"}").code())
        .isEqualTo("NODE_INVITE_EXPIRED");
    assertThat(get("/healthz")).isEqualTo("{\"ok\":true}");
    assertThat(get("/readyz")).isEqualTo("{\"ready\":true}");
  }

  @Test
  void health_isThatOfTheDatabases() {
    served.node.stop("the disk is broken");
    assertThatThrownBy(() -> get("/readyz"))
        .isInstanceOfSatisfying(
            ApiException.class,
            e -> {
              assertThat(e.status()).isEqualTo(503);
              assertThat(e.code()).isEqualTo("API_NOT_READY");
              assertThat(e)
                  .as("no token is asked for it")
                  .hasMessageContaining("1 of the databases")
                  .hasMessageNotContaining("default");
            });
    assertThat(get("/healthz")).as("a restart would not help").isEqualTo("{\"ok\":true}");
    served.node.hang();
    assertThatThrownBy(() -> get("/healthz"))
        .isInstanceOfSatisfying(
            ApiException.class, e -> assertThat(e.code()).isEqualTo("API_NOT_RESPONDING"));
  }

  @Test
  void metrics_areInPrometheusTextFormat() {
    post("/api/put", "{\"id\":\"note:1\",\"data\":{\"n\":1}}");
    String text = get("/metrics");
    assertThat(text)
        .contains(
            "# TYPE pluresdb_documents gauge",
            "pluresdb_documents{database=\"default\"} 3.0",
            "# TYPE pluresdb_foreign_changes_total counter",
            "pluresdb_foreign_changes_total{database=\"default\"} 2.0",
            "pluresdb_rejected_runs_total{database=\"default\",reason=\"bad_signature\"} 5.0",
            "pluresdb_queued_writes{database=\"default\"} 7.0",
            "pluresdb_peers{database=\"default\"} 0.0",
            "pluresdb_half_open_connections 4.0",
            "pluresdb_connections_limit{limit=\"half-open\"} 256.0",
            "pluresdb_connections_total{event=\"accepted\"} 9.0",
            "pluresdb_connections_closed_total{reason=\"silent\"} 2.0",
            "pluresdb_connections_refused_total{limit=\"half-open\"} 3.0",
            "pluresdb_dht_total{event=\"queries-limited\"} 5.0",
            "pluresdb_open_files ");
    for (String line : text.lines().toList()) {
      assertThat(line).matches("# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\\{[^}]*\\})? [-+0-9.E]+");
    }
  }

  @Test
  void storeFailures_haveTheirStatus() {
    String put = "{\"id\":\"a\",\"data\":1}";
    served.node.store().failWith(new StorageException.Full("disk full", new IOException()));
    assertThat(refused("/api/put", put).status()).isEqualTo(507);
    served
        .node
        .store()
        .failWith(new CoreException(CoreException.Kind.OVERLOADED, "16384 writes wait"));
    assertThat(refused("/api/put", put).status()).isEqualTo(429);
    served.node.store().failWith(CoreException.tooLarge("too large"));
    assertThat(refused("/api/put", put).status()).isEqualTo(413);
    served.node.store().failWith(new IllegalStateException("a secret detail"));
    assertThat(refused("/api/put", put))
        .hasMessage("the daemon met an error it does not know: IllegalStateException");
    served.node.store().failWith(null);
    assertThat(post("/api/put", put)).isEqualTo("{\"id\":\"a\"}");
  }

  @Test
  void import_takesLinesInTransactions() {
    var lines = new StringBuilder();
    for (int i = 0; i < 2_500; i++) {
      lines.append("{\"id\":\"i" + i + "\",\"data\":{\"n\":" + i + "},\"timestamp\":1}\r\n\n");
    }
    assertThat(stream("/api/import", lines.toString().getBytes(StandardCharsets.UTF_8), ""))
        .isEqualTo("{\"imported\":2500}");
    assertThat(served.node.store().transactions()).isEqualTo(2 + 3);
    assertThat(data("i2499")).isEqualTo("{\"n\":2499}");
  }

  @Test
  void import_ofLargeDocuments_splitsByBytes() {
    String text = "x".repeat(300_000);
    var lines = new StringBuilder();
    for (int i = 0; i < 4; i++) {
      lines.append("{\"id\":\"i" + i + "\",\"data\":\"" + text + "\"}\n");
    }
    assertThat(stream("/api/import", lines.toString().getBytes(StandardCharsets.UTF_8), ""))
        .isEqualTo("{\"imported\":4}");
    assertThat(served.node.store().transactions()).isEqualTo(2 + 2);
  }

  @Test
  void import_compressed_isUnpacked() {
    byte[] lines = "{\"id\":\"z\",\"data\":1}".getBytes(StandardCharsets.UTF_8);
    assertThat(stream("/api/import", gzip(lines), "gzip")).isEqualTo("{\"imported\":1}");
    byte[] cut = Arrays.copyOf(gzip(lines), 12);
    assertThat(catchThrowableOfType(ApiException.class, () -> stream("/api/import", lines, "gzip")))
        .hasMessageContaining("no gzip");
    assertThat(catchThrowableOfType(ApiException.class, () -> stream("/api/import", cut, "gzip")))
        .hasMessageContaining("0 documents are in");
    assertThat(catchThrowableOfType(ApiException.class, () -> stream("/api/import", cut, "br")))
        .hasMessageContaining("gzip or identity");
  }

  @Test
  void import_withABadLine_saysWhichAndHowManyAreIn() {
    byte[] lines =
        "{\"id\":\"p\",\"data\":1}\n{\"id\":\"q\",\"data\":2}\n{\"id\":\"r\"}\n{\"id\":\"s\",\"data\":3}\n"
            .getBytes(StandardCharsets.UTF_8);
    ApiException refused =
        catchThrowableOfType(ApiException.class, () -> stream("/api/import", lines, ""));
    assertThat(refused)
        .hasMessage("line 3: the document must have a member \"data\"; 2 documents are in");
    assertThat(refused.status()).isEqualTo(400);
    assertThat(data("q")).isEqualTo("2");
    assertThat(served.node.store().get("s")).isEmpty();
    served.node.store().failWith(new StorageException.Full("disk full", new IOException()));
    byte[] good = Arrays.copyOf(lines, 40);
    assertThat(catchThrowableOfType(ApiException.class, () -> stream("/api/import", good, "")))
        .hasMessage("lines 1 to 2: disk full; 0 documents are in");
  }

  private String importRefused(String lines) {
    return catchThrowableOfType(
            ApiException.class,
            () -> stream("/api/import", lines.getBytes(StandardCharsets.UTF_8), ""))
        .message();
  }

  @Test
  void import_withAHeaderOrTypesThatCannotBe_isRefused() {
    assertThat(importRefused("{\"pluresdb\":{\"format\":2}}"))
        .startsWith("line 1: format must be an integer from 1 to 1, but is 2");
    assertThat(importRefused("{\"pluresdb\":{}}")).contains("must have a member \"format\"");
    assertThat(importRefused("{\"pluresdb\":{\"format\":1,\"indexs\":[]}}"))
        .contains("the nearest is \"indexes\"");
    assertThat(importRefused("{\"pluresdb\":{\"format\":1,\"indexes\":[[]]}}"))
        .contains("an index must have 1 to 4 fields");
    assertThat(importRefused("{\"id\":\"a\",\"data\":{\"t\":\"\"},\"types\":{\"t\":\"txt\"}}"))
        .contains("field \"t\" must be \"text\", \"list\" or \"set\", but is \"txt\"");
    assertThat(importRefused("{\"id\":\"a\",\"data\":{\"t\":1},\"types\":{\"t\":\"text\"}}"))
        .contains("field \"t\" is to be a text, but holds no string");
    assertThat(importRefused("{\"id\":\"a\",\"data\":{},\"types\":[]}"))
        .contains("types must be a JSON object");
  }

  @Test
  void import_whileTheQueueIsFull_waitsForRoom() {
    served
        .node
        .store()
        .failNext(3, new CoreException(CoreException.Kind.OVERLOADED, "16384 writes wait"));
    byte[] lines = "{\"id\":\"o\",\"data\":1}".getBytes(StandardCharsets.UTF_8);
    assertThat(stream("/api/import", lines, "")).isEqualTo("{\"imported\":1}");
    assertThat(served.node.store().failuresLeft()).isZero();
    assertThat(data("o")).isEqualTo("1");
  }

  @Test
  void import_ofALargeDocumentBehindSmallOnes_isATransactionOfItsOwn() {
    String lines =
        "{\"id\":\"s\",\"data\":\""
            + "x".repeat(ChangeBody.MAX_BYTES / 2 - 100)
            + "\"}\n{\"id\":\"l\",\"data\":\""
            + "x".repeat(ChangeBody.MAX_BYTES - 1_000)
            + "\"}\n";
    int before = served.node.store().transactions();
    assertThat(stream("/api/import", lines.getBytes(StandardCharsets.UTF_8), ""))
        .isEqualTo("{\"imported\":2}");
    assertThat(served.node.store().transactions()).isEqualTo(before + 2);
  }

  private String stream(String path, byte[] body, String encoding) {
    Request request = Request.post(path, new ByteArrayInputStream(body));
    return call(encoding.isEmpty() ? request : request.withHeader("content-encoding", encoding));
  }

  private static byte[] gzip(byte[] bytes) {
    var out = new ByteArrayOutputStream();
    try (var gzip = new GZIPOutputStream(out)) {
      gzip.write(bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return out.toByteArray();
  }
}
