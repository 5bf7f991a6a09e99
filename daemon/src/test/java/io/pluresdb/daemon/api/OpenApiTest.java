package io.pluresdb.daemon.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.pluresdb.daemon.access.Level;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.daemon.node.NodeOptions;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * What is generated from the table of routes, and the promise that the table is true: requests made
 * from the OpenAPI document never end in an error that nobody expected, and answers look as they
 * are said to. {@code -Dapi.requests=N} makes more of them, {@code -Dapi.seed=S} others.
 */
@Timeout(300)
class OpenApiTest {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final int REQUESTS = Integer.getInteger("api.requests", 4_000);
  private static final long SEED = Long.getLong("api.seed", 1);

  @TempDir Path directory;

  private static JsonNode document(Api api) throws IOException {
    return JSON.readTree(OpenApi.document(api.table(), "1.2.3"));
  }

  @Test
  void document_namesEveryRouteOnce() throws IOException {
    Api api = Served.api(new FakeNode());
    JsonNode document = document(api);
    assertThat(document.get("openapi").asText()).isEqualTo("3.1.0");
    var names = new ArrayList<String>();
    for (Route route : api.table()) {
      JsonNode operation =
          document
              .get("paths")
              .get(route.path())
              .get(route.method().toLowerCase(java.util.Locale.ROOT));
      assertThat(operation.get("summary").asText()).isEqualTo(route.says());
      assertThat(operation.get("x-scope").asText()).isEqualTo(route.level().text());
      names.add(operation.get("operationId").asText());
    }
    assertThat(names).doesNotHaveDuplicates().contains("put", "conflictsResolve", "createTokens");
    assertThat(document.at("/components/schemas/Document/properties/id/$ref").asText())
        .isEqualTo("#/components/schemas/Id");
  }

  @Test
  void shapes_readBackAsTheyAreWritten() {
    Shapes.all()
        .forEach((name, shape) -> assertThat(Shape.parse(shape.text())).as(name).isEqualTo(shape));
    for (String wrong :
        new String[] {"", "{a}", "{a: string", "string(1..", "Nothing", "any any"}) {
      assertThatThrownBy(() -> Shape.parse(wrong))
          .as(wrong)
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void reference_holdsTheTableOfTheCode() throws IOException {
    Path page = Path.of(System.getProperty("pluresdb.root"), "docs/reference/http.md");
    String table = Reference.markdown(Served.api(new FakeNode()).table());
    String text = Files.readString(page);
    if (Boolean.getBoolean("docs.write")) {
      int from = text.indexOf("| Route |");
      int to = text.indexOf("\n\n**Durability**");
      text = text.substring(0, from) + table.strip() + text.substring(to);
      Files.writeString(page, text);
    }
    assertThat(text).as("run this test with -Ddocs.write=true to renew it").contains(table.strip());
  }

  @Test
  void page_isServedToWhoeverReachesThePort() throws Exception {
    try (Served served = Served.withDefaults();
        LocalClient client = served.unix()) {
      for (String path : List.of("/", "/docs")) {
        try (Served.Raw browser = served.raw()) {
          String host = "Host: 127.0.0.1:" + served.port() + "\r\nConnection: close";
          browser.send("GET " + path + " HTTP/1.1\r\n" + host + "\r\n\r\n");
          assertThat(new String(browser.in.readAllBytes(), StandardCharsets.UTF_8))
              .as(path)
              .startsWith("HTTP/1.1 200 OK")
              .contains("<!doctype html>", "<h2>GET /api/get", "/docs/openapi.json");
        }
      }
      assertThat(JSON.readTree(client.call(Request.get("/docs/openapi.json"))).get("info"))
          .isNotNull();
    }
  }

  private record Reply(int status, String body) {}

  private static Reply ask(Api api, Request request) {
    try {
      Route route = api.route(request.method(), request.path(), request.query());
      Answer answer = api.answer(request);
      var out = new ByteArrayOutputStream();
      switch (answer) {
        case Answer.Whole(byte[] json, var _) -> out.writeBytes(json);
        case Answer.Unchanged unchanged -> out.writeBytes("null".getBytes(StandardCharsets.UTF_8));
        case Answer.Streamed(var _, var producer) -> {
          var sink = new MemorySink();
          if (!route.endless()) {
            producer.writeTo(sink);
          }
          out.writeBytes(sink.bytes());
        }
      }
      return new Reply(200, out.toString(StandardCharsets.UTF_8));
    } catch (Api.MethodNotAllowed e) {
      return new Reply(405, "");
    } catch (IOException | InterruptedException e) {
      return new Reply(599, e.toString());
    } catch (RuntimeException e) {
      ApiException refused = ApiException.of(e);
      String body = new String(refused.json(), StandardCharsets.UTF_8);
      return new Reply(refused.status(), body + (refused.status() == 500 ? " of " + e : ""));
    }
  }

  /** A request made from the document. */
  private static Request request(JsonNode document, Route route, Random random) {
    var values = new ShapeRandom(document, random);
    JsonNode operation =
        document.at(
            "/paths/"
                + route.path().replace("/", "~1")
                + "/"
                + route.method().toLowerCase(java.util.Locale.ROOT));
    Request request =
        switch (route.method()) {
          case "GET" -> Request.get(route.path());
          case "DELETE" -> Request.delete(route.path());
          default -> {
            var out = new StringBuilder();
            for (Map.Entry<String, JsonNode> content :
                operation.at("/requestBody/content").properties()) {
              int lines = content.getKey().equals(Answer.NDJSON) ? random.nextInt(5) : 1;
              for (int i = 0; i < lines; i++) {
                JsonNode body = values.value(content.getValue().get("schema"), 0);
                out.append(body).append(lines == 1 ? "" : "\n");
              }
            }
            if (random.nextInt(20) == 0 && !out.isEmpty()) {
              out.setLength(random.nextInt(out.length()));
            }
            yield Request.post(route.path(), out.toString().getBytes(StandardCharsets.UTF_8));
          }
        };
    for (JsonNode parameter : operation.get("parameters")) {
      if (parameter.get("in").asText().equals("query")
          && (parameter.get("required").asBoolean() || random.nextInt(3) == 0)) {
        JsonNode value = values.value(parameter.get("schema"), 0);
        request = request.with(parameter.get("name").asText(), value.asText());
      } else if (parameter.get("in").asText().equals("header") && random.nextInt(4) == 0) {
        request =
            request.withHeader(
                parameter.get("name").asText().toLowerCase(java.util.Locale.ROOT),
                random.nextBoolean() ? "*" : "\"x\"");
      }
    }
    return random.nextInt(3) == 0 ? request.withHeader("accept", Answer.NDJSON) : request;
  }

  private static boolean expected(int status) {
    // 503 and 504 are promised where something is not there yet; 507 where a quota is full.
    return status < 500 || status == 503 || status == 504 || status == 507;
  }

  @Test
  void requestsMadeFromTheDocument_neverMeetAnErrorNobodyExpected() throws IOException {
    var failures = new ArrayList<String>();
    var statuses = new TreeMap<Integer, Integer>();
    try (DeviceNode node = DeviceNode.open(directory, NodeOptions.offline("laptop"))) {
      node.store(Node.DEFAULT_DATABASE)
          .put("a", "{\"type\":\"x\",\"n\":1}".getBytes(StandardCharsets.UTF_8));
      Api api = Served.api(node);
      JsonNode document = document(api);
      // Those that write to places of the disk that were made up are left out.
      List<Route> routes =
          api.table().stream().filter(route -> !route.path().equals("/api/backup")).toList();
      for (int i = 0; i < REQUESTS && failures.size() < 10; i++) {
        var random = new Random(SEED * 1_000_003 + i);
        Route route = routes.get(random.nextInt(routes.size()));
        Request request = request(document, route, random);
        Reply reply = ask(api, request);
        statuses.merge(reply.status(), 1, Integer::sum);
        if (reply.status() > 500) {
          System.out.println(i + " " + shown(request) + " -> " + reply);
        }
        String wrong = expected(reply.status()) ? mismatch(document, route, request, reply) : "";
        if (!expected(reply.status()) || !wrong.isEmpty()) {
          failures.add(
              "request " + i + " of seed " + SEED + ": " + shown(request) + " -> " + reply + wrong);
        }
      }
    }
    System.out.println("statuses of " + REQUESTS + " requests: " + statuses);
    assertThat(failures).isEmpty();
    assertThat(statuses.get(200)).isGreaterThan(REQUESTS / 20);
  }

  /** How an answer differs from what the document says; empty when it does not. */
  private static String mismatch(JsonNode document, Route route, Request request, Reply reply)
      throws IOException {
    var values = new ShapeRandom(document, new Random(0));
    if (reply.status() >= 400) {
      return reply.status() == 405
          ? ""
          : values.wrong(
              document.at("/components/schemas/Error"), JSON.readTree(reply.body()), " error");
    }
    if (route.endless()
        || route.reply() instanceof Route.Reply.Plain
        || reply.body().equals("null")) {
      return "";
    }
    boolean lines = route.reply() instanceof Route.Reply.Listed && request.wantsLines();
    JsonNode schema =
        document.at(
            "/paths/"
                + route.path().replace("/", "~1")
                + "/"
                + route.method().toLowerCase(java.util.Locale.ROOT)
                + "/responses/200/content/"
                + (lines ? Answer.NDJSON : Answer.JSON).replace("/", "~1")
                + "/schema");
    for (String line : lines ? reply.body().lines().toList() : List.of(reply.body())) {
      String wrong = values.wrong(schema, JSON.readTree(line), " answer");
      if (!wrong.isEmpty()) {
        return wrong;
      }
    }
    return "";
  }

  private static String shown(Request request) {
    var query = new StringBuilder();
    request
        .query()
        .forEach(
            (name, value) ->
                query
                    .append(query.isEmpty() ? "?" : "&")
                    .append(name)
                    .append('=')
                    .append(URLEncoder.encode(value, StandardCharsets.UTF_8)));
    String body = new String(request.bytes(), StandardCharsets.UTF_8);
    return request.method()
        + " "
        + request.path()
        + query
        + " "
        + request.headers()
        + " "
        + body.substring(0, Math.min(300, body.length()));
  }

  /** A query asks for the scope to write itself, when it writes. */
  private static final Set<String> READING =
      Set.of("/api/search", "/api/query", "/api/dsl", "/api/ir");

  @Test
  void everyLevelAboveRead_isSaidInTheTable() {
    for (Route route : Served.api(new FakeNode()).table()) {
      boolean writes = !route.method().equals("GET") && !READING.contains(route.path());
      assertThat(!writes || route.level().compareTo(Level.WRITE) >= 0).as(route.path()).isTrue();
    }
  }
}
