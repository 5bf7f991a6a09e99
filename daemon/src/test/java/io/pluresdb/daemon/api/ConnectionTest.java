package io.pluresdb.daemon.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.daemon.Eventually;
import io.pluresdb.daemon.access.Level;
import io.pluresdb.daemon.api.Served.Raw;
import io.pluresdb.daemon.api.Served.Reply;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketTimeoutException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What the server does with callers that are wrong, slow, hostile or many. */
@Timeout(60)
class ConnectionTest {
  private Served served;

  ConnectionTest() throws IOException {
    served = Served.withDefaults();
  }

  @AfterEach
  void stop() throws IOException {
    served.close();
  }

  private void restart(int connections, Duration head, Duration idle, Duration body)
      throws IOException {
    served.close();
    served = Served.with(connections, head, idle, body, Served.LONG);
  }

  private Reply ask(String request) throws IOException {
    try (Raw raw = served.raw()) {
      return raw.send(request).reply();
    }
  }

  private String lines(String requestLine, String... headers) {
    return requestLine + " HTTP/1.1\r\n" + String.join("\r\n", headers) + "\r\n\r\n";
  }

  @Test
  void token_missingOrWrong_isRefusedAndTheConnectionGoesOn() throws IOException {
    String host = "Host: 127.0.0.1:" + served.port();
    try (Raw raw = served.raw()) {
      Reply missing = raw.send(lines("GET /api/list", host)).reply();
      assertThat(missing.status()).isEqualTo(401);
      assertThat(missing.body()).contains("API_UNAUTHORIZED", "missing");
      assertThat(missing.head().toLowerCase(java.util.Locale.ROOT))
          .contains("www-authenticate: bearer");
      for (String wrong :
          new String[] {"Bearer", "Bearer ", "Bearer x", "Basic " + Served.TOKEN, Served.TOKEN}) {
        assertThat(
                raw.send(lines("GET /api/list", host, "Authorization: " + wrong)).reply().status())
            .isEqualTo(401);
      }
      for (String told : new String[] {"/healthz", "/readyz"}) {
        assertThat(raw.send(lines("GET " + told, host)).reply().status()).isEqualTo(200);
      }
      assertThat(raw.send(lines("GET /metrics", host)).reply().status()).isEqualTo(401);
      String put = "{\"id\":\"a\",\"data\":1}";
      assertThat(
              raw.send(lines("POST /api/put", host, "Content-Length: " + put.length()) + put)
                  .reply()
                  .status())
          .isEqualTo(401);
      assertThat(raw.send(served.head("GET /api/status", "")).reply().status()).isEqualTo(200);
    }
    assertThat(served.node.store().get("a")).isEmpty();
  }

  @Test
  void token_revokedBetweenRequestsOfOneConnection_isRefusedFromThenOn() throws IOException {
    String host = "Host: 127.0.0.1:" + served.port();
    String secret = served.tokens.create("app", Level.READ, Set.of(), null);
    String request = lines("GET /api/status", host, "Authorization: Bearer " + secret);
    try (Raw raw = served.raw()) {
      assertThat(raw.send(request).reply().status()).isEqualTo(200);
      assertThat(raw.send(request).reply().status()).isEqualTo(200);
      served.tokens.revoke("app");
      assertThat(raw.send(request).reply().status()).isEqualTo(401);
      assertThat(raw.send(served.head("GET /api/status", "")).reply().status()).isEqualTo(200);
    }
  }

  @Test
  void host_ofAnotherName_isForbidden() throws IOException {
    String token = "Authorization: Bearer " + Served.TOKEN;
    int port = served.port();
    for (String host :
        new String[] {
          "127.0.0.1:" + port, "localhost:" + port, "LocalHost:" + port, "[::1]:" + port
        }) {
      assertThat(ask(lines("GET /api/status", "Host: " + host, token)).status())
          .as(host)
          .isEqualTo(200);
    }
    for (String host :
        new String[] {
          "evil.example:" + port,
          "127.0.0.1",
          "127.0.0.1:1",
          "localhost.evil:" + port,
          "",
          "127.0.0.1:" + port + ".evil"
        }) {
      Reply reply = ask(lines("GET /healthz", "Host: " + host, token));
      assertThat(reply.status()).as(host).isEqualTo(403);
      assertThat(reply.body()).contains("API_HOST_NOT_ALLOWED");
    }
    assertThat(ask(lines("GET /healthz", token)).status()).isEqualTo(403);
  }

  @Test
  void origin_ofAnotherSite_isForbidden() throws IOException {
    String ours = "Origin: http://localhost:" + served.port() + "\r\n";
    assertThat(ask(served.head("GET /api/status", ours)).status()).isEqualTo(200);
    for (String origin :
        new String[] {
          "http://evil.example",
          "null",
          "https://localhost:" + served.port(),
          "http://localhost:1",
          "http://[",
          "file://"
        }) {
      Reply reply = ask(served.head("GET /api/status", "Origin: " + origin + "\r\n"));
      assertThat(reply.status()).as(origin).isEqualTo(403);
      assertThat(reply.body()).contains("API_ORIGIN_NOT_ALLOWED");
    }
  }

  @Test
  void body_atTheLimit_passesAndOneByteMoreDoesNot() throws IOException {
    int limit = DocumentRoutes.DOCUMENT_BODY_BYTES;
    String document = "{\"id\":\"a\",\"data\":\"" + "x".repeat(1_000_000) + "\"}";
    try (Raw raw = served.raw()) {
      String full = document + " ".repeat(limit - document.length());
      assertThat(raw.send(put(limit) + full).reply().status()).isEqualTo(200);
      Reply over = raw.send(put(limit + 1)).reply();
      assertThat(over.status()).isEqualTo(413);
      assertThat(over.body()).contains("/api/put must be at most " + limit + " bytes");
      assertThat(over.head().toLowerCase(java.util.Locale.ROOT)).contains("connection: close");
      raw.send(full + " ");
      assertThat(raw.isClosed()).isTrue();
    }
    try (Raw raw = served.raw()) {
      raw.send(served.head("POST /api/put", "Transfer-Encoding: chunked\r\n"));
      String chunk = Integer.toHexString(65_536) + "\r\n" + "x".repeat(65_536) + "\r\n";
      for (int sent = 0; sent <= limit; sent += 65_536) {
        raw.send(chunk);
      }
      raw.send("0\r\n\r\n");
      assertThat(raw.reply().status()).isEqualTo(413);
      assertThat(raw.isClosed()).isTrue();
    }
  }

  private String put(int length) {
    return served.head("POST /api/put", "Content-Length: " + length + "\r\n");
  }

  @Test
  void body_whereNoneBelongs_isRefused() throws IOException {
    Reply reply = ask(served.head("GET /api/list", "Content-Length: 1\r\n") + "x");
    assertThat(reply.status()).isEqualTo(413);
  }

  @Test
  void body_announcedWithExpect_isAskedFor() throws IOException {
    try (Raw raw = served.raw()) {
      String body = "{\"id\":\"a\",\"data\":1}";
      String expect = "Expect: 100-continue\r\nContent-Length: " + body.length() + "\r\n";
      assertThat(raw.send(served.head("POST /api/put", expect)).reply().status()).isEqualTo(100);
      assertThat(raw.send(body).reply().status()).isEqualTo(200);
    }
  }

  @Test
  void http_malformed_isAnsweredWith400AndClosed() throws IOException {
    for (String bad :
        new String[] {
          "GET\r\n\r\n",
          "GET / HTTP/1.1\r\nNo Colon Here\r\n\r\n",
          "GET / FTP/9\r\n\r\n",
          "GET /%zz HTTP/1.1\r\nHost: localhost:" + served.port() + "\r\n\r\n",
          "POST /api/put HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
          "POST /api/put HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
        }) {
      assertThat(ask(bad).status()).as(bad).isEqualTo(400);
    }
    try (Raw raw = served.raw()) {
      raw.send(served.head("POST /api/put", "Transfer-Encoding: chunked\r\n") + "not a number\r\n");
      assertThat(raw.reply().status()).isEqualTo(400);
      assertThat(raw.isClosed()).isTrue();
    }
    assertThat(ask("GET /" + "x".repeat(9_000) + " HTTP/1.1\r\n\r\n").status()).isEqualTo(414);
    assertThat(ask(lines("GET /", "X: " + "x".repeat(17_000))).status()).isEqualTo(431);
  }

  @Test
  void garbage_neverStopsTheServer() throws IOException {
    long seed = 7;
    var random = new Random(seed);
    for (int i = 0; i < 200; i++) {
      byte[] bytes = new byte[1 + random.nextInt(2_000)];
      random.nextBytes(bytes);
      try (Raw raw = served.raw()) {
        raw.socket.getOutputStream().write(bytes);
        raw.socket.shutdownOutput();
        raw.in.readAllBytes();
      } catch (java.net.SocketException e) {
        // The server may close before it has read all: that is its right.
      }
    }
    assertThat(ask(served.head("GET /readyz", "")).status()).as("seed %d", seed).isEqualTo(200);
  }

  @Test
  void method_wrong_names_theRightOnes() throws IOException {
    Reply reply = ask(served.head("GET /api/put", ""));
    assertThat(reply.status()).isEqualTo(405);
    assertThat(reply.head().toLowerCase(java.util.Locale.ROOT)).contains("allow: post");
    assertThat(ask(served.head("OPTIONS /api/put", "")).status()).isEqualTo(405);
    assertThat(ask(served.head("GET /api/get?id=a&id=b", "")).body()).contains("given twice");
  }

  @Test
  void head_neverFinished_isClosedInTime() throws IOException {
    restart(256, Served.SHORT, Served.LONG, Served.LONG);
    try (Raw silent = served.raw();
        Raw half = served.raw();
        Raw slow = served.raw()) {
      half.send("GET /healthz HTTP/1.1\r\nHost: ");
      slow.send("G");
      assertThat(silent.isClosed()).isTrue();
      assertThat(half.isClosed()).isTrue();
      assertThat(slow.isClosed()).isTrue();
    }
  }

  @Test
  void connection_idleBetweenRequests_isClosedInTime() throws IOException {
    restart(256, Served.LONG, Served.SHORT, Served.LONG);
    try (Raw raw = served.raw()) {
      raw.send(served.head("GET /healthz", "")).reply();
      assertThat(raw.isClosed()).isTrue();
    }
  }

  @Test
  void body_neverFinished_isAnsweredWith408() throws IOException {
    restart(256, Served.LONG, Served.LONG, Served.SHORT);
    try (Raw raw = served.raw()) {
      assertThat(raw.send(put(100) + "{").reply().status()).isEqualTo(408);
      assertThat(raw.isClosed()).isTrue();
    }
    try (Raw raw = served.raw()) {
      raw.send(served.head("POST /api/import", "Transfer-Encoding: chunked\r\n") + "2\r\n{\"");
      Reply reply = raw.send("\r\n").reply();
      assertThat(reply.status()).isEqualTo(408);
      assertThat(reply.body()).contains("0 documents are in");
    }
  }

  @Test
  void requests_pipelined_areAnsweredInOrder() throws Exception {
    try (Raw raw = served.raw()) {
      var all = new StringBuilder();
      for (int i = 0; i < 1_000; i++) {
        String body = "{\"id\":\"p" + i + "\",\"data\":" + i + "}";
        all.append(put(body.length())).append(body);
        all.append(served.head("GET /api/get?id=p" + i, ""));
        if (i % 100 == 0) {
          all.append(served.head("GET /api/status", ""));
        }
      }
      Thread sending =
          Thread.ofVirtual()
              .start(
                  () -> {
                    try {
                      raw.send(all.toString());
                    } catch (IOException e) {
                      throw new java.io.UncheckedIOException(e);
                    }
                  });
      for (int i = 0; i < 1_000; i++) {
        assertThat(raw.reply().body()).isEqualTo("{\"id\":\"p" + i + "\"}");
        assertThat(raw.reply().body()).contains("\"data\":" + i + ",");
        if (i % 100 == 0) {
          assertThat(raw.reply().body()).contains("\"version\"");
        }
      }
      sending.join();
    }
  }

  @Test
  void requests_pipelinedByAClientThatDoesNotRead_areNotAnsweredAhead() throws Exception {
    int requests = 100;
    String value = "x".repeat(900_000);
    String body = "{\"id\":\"big\",\"data\":\"" + value + "\"}";
    assertThat(ask(put(body.length()) + body).status()).isEqualTo(200);
    int before = served.node.store().reads();
    try (Raw raw = served.raw()) {
      raw.send(served.head("GET /api/get?id=big", "").repeat(requests));
      // Each of these lets the event loop take in more of what was pipelined.
      try (Raw other = served.raw()) {
        for (int i = 0; i < requests; i++) {
          assertThat(other.send(served.head("GET /api/status", "")).reply().status())
              .isEqualTo(200);
        }
      }
      // The sockets hold some answers.
      assertThat(served.node.store().reads() - before).isBetween(1, requests / 2);
      for (int i = 0; i < requests; i++) {
        assertThat(raw.reply().body()).hasSizeGreaterThan(value.length());
      }
      assertThat(served.node.store().reads() - before).isEqualTo(requests);
    }
  }

  @Test
  void head_isAnsweredWithoutABody() throws IOException {
    try (Raw raw = served.raw()) {
      raw.send(served.head("HEAD /api/get?id=a", ""));
      String status = raw.line();
      assertThat(status).startsWith("HTTP/1.1 405 ");
      String lines = "";
      for (String line = raw.line(); !line.isEmpty(); line = raw.line()) {
        lines += line + "\n";
      }
      assertThat(lines).contains("content-length: ").doesNotContain("content-length: 0");
      assertThat(raw.send(served.head("GET /api/status", "")).reply().status()).isEqualTo(200);
    }
  }

  @Test
  void connection_ofAnOldClient_isKeptOrClosedAsItAsks() throws IOException {
    try (Raw raw = served.raw()) {
      String kept = served.head("GET /healthz", "Connection: keep-alive\r\n");
      Reply first = raw.send(kept.replace("HTTP/1.1", "HTTP/1.0")).reply();
      assertThat(first.head()).contains("connection: keep-alive");
      String closed = served.head("GET /healthz", "");
      Reply second = raw.send(closed.replace("HTTP/1.1", "HTTP/1.0")).reply();
      assertThat(second.status()).isEqualTo(200);
      assertThat(second.head()).contains("connection: close");
      assertThat(raw.isClosed()).isTrue();
    }
  }

  @Test
  void connections_overTheLimit_areTurnedAway() throws IOException {
    restart(3, Served.LONG, Served.LONG, Served.LONG);
    var open = new ArrayList<Raw>();
    for (int i = 0; i < 3; i++) {
      Raw raw = served.raw();
      open.add(raw);
      assertThat(raw.send(served.head("GET /healthz", "")).reply().status()).isEqualTo(200);
    }
    try (Raw fourth = served.raw()) {
      Reply reply = fourth.reply();
      assertThat(reply.status()).isEqualTo(503);
      assertThat(reply.body()).contains("API_TOO_MANY_CONNECTIONS", "3 connections");
    }
    for (Raw raw : open) {
      raw.close();
    }
    Eventually.await(
        "there is room again",
        () -> {
          try (Raw raw = served.raw()) {
            return raw.send(served.head("GET /healthz", "")).reply().status() == 200;
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
  }

  @Test
  void connections_thatComeAllAtOnce_areNeverMoreThanTheLimit() throws Exception {
    restart(5, Served.LONG, Served.LONG, Served.LONG);
    List<Callable<Raw>> callers = Collections.nCopies(100, served::raw);
    var open = new ArrayList<Raw>();
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      for (var caller : threads.invokeAll(callers)) {
        open.add(caller.get());
      }
    }
    Eventually.await("95 are refused", () -> served.server.refusedConnections() >= 95);
    assertThat(served.server.openConnections()).isEqualTo(5);
    assertThat(served.server.refusedConnections()).isEqualTo(95);
    for (Raw raw : open) {
      raw.close();
    }
  }

  @Test
  void client_ofHttp10_getsItsAnswerAndTheEnd() throws IOException {
    try (Raw raw = served.raw()) {
      String ten = served.head("GET /api/list", "").replace("HTTP/1.1", "HTTP/1.0");
      assertThat(new String(raw.send(ten).in.readAllBytes(), StandardCharsets.UTF_8))
          .doesNotContain("chunked")
          .endsWith("[]");
    }
  }

  @Test
  void socket_isPrivateAndRemovedAtTheEnd() throws Exception {
    Path socket = served.directory.resolve("pluresdb.sock");
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(socket)))
        .isEqualTo("rw-------");
    try (LocalClient client = served.unix()) {
      assertThat(client.call(Request.get("/api/status"))).isNotEmpty();
    }
    served.server.close();
    assertThat(socket).doesNotExist();
  }

  @Test
  void socket_inUse_isLeftAloneAndAStaleOneIsReplaced(@TempDir Path directory) throws Exception {
    Path path = directory.resolve("s");
    try (var other = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      other.bind(UnixDomainSocketAddress.of(path));
      assertThatThrownBy(() -> start(path)).hasMessageContaining("a daemon already serves");
      assertThat(path).exists();
    }
    assertThat(path).exists();
    try (HttpServer server = start(path);
        LocalClient client = LocalClient.unix(path)) {
      assertThat(server.socket()).contains(path);
      assertThat(client.call(Request.get("/readyz"))).isNotEmpty();
    }
  }

  @Test
  void socket_withAPathTooLong_isLeftOut(@TempDir Path directory) {
    try (HttpServer server = start(directory.resolve("x".repeat(120)))) {
      assertThat(server.socket()).isEmpty();
    }
  }

  @Test
  void bind_onAPortInUse_saysSo() {
    assertThatThrownBy(() -> start(served.server.address()))
        .hasMessageContaining("cannot listen on 127.0.0.1:" + served.port());
    assertThatThrownBy(() -> start(new InetSocketAddress("0.0.0.0", 0)))
        .hasMessageContaining("api.bind must be a loopback address");
  }

  private HttpServer start(Path socket) {
    return start(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), socket);
  }

  private void start(InetSocketAddress address) {
    start(address, null).close();
  }

  private HttpServer start(
      InetSocketAddress address, @org.jspecify.annotations.Nullable Path socket) {
    return HttpServer.start(Served.api(served.node), ApiOptions.at(address, socket), served.tokens);
  }

  @Test
  void client_whoseDaemonWentAway_saysSo() throws Exception {
    LocalClient client = served.tcp();
    client.call(Request.get("/healthz"));
    served.server.close();
    ApiException gone =
        catchThrowableOfType(
            ApiException.class, () -> client.call(Request.post("/api/sync", new byte[0])));
    assertThat(gone.code()).isEqualTo("API_UNREACHABLE");
    assertThatThrownBy(() -> served.unix()).isInstanceOf(IOException.class);
  }

  @Test
  void client_whoseConnectionTimedOut_asksAgain() throws Exception {
    restart(256, Served.LONG, Duration.ofMillis(50), Served.LONG);
    try (LocalClient client = served.unix();
        Raw witness = served.raw()) {
      client.call(Request.get("/healthz"));
      witness.send(served.head("GET /healthz", "")).reply();
      assertThat(witness.isClosed()).isTrue();
      assertThat(client.call(Request.get("/healthz"))).isNotEmpty();
    }
  }

  @Test
  void import_refusedEarly_isHeardByAClientThatIsStillSending() throws Exception {
    try (LocalClient client = served.tcp()) {
      var endless =
          new java.io.SequenceInputStream(
              new ByteArrayInputStream("{\"id\":1}\n".getBytes(StandardCharsets.UTF_8)),
              new BlankLines());
      ApiException refused =
          catchThrowableOfType(
              ApiException.class, () -> client.call(Request.post("/api/import", endless)));
      assertThat(refused).hasMessageContaining("line 1: id must be a string");
      assertThat(client.call(Request.get("/healthz"))).isNotEmpty();
    }
  }

  @Test
  void import_cutOff_keepsWhatWasCommittedAndNoMore() throws IOException {
    try (Raw raw = served.raw()) {
      raw.send(
          served.head("POST /api/import", "Transfer-Encoding: chunked\r\n")
              + "14\r\n{\"id\":\"p\",\"data\":1}\n\r\n");
    }
    assertThat(ask(served.head("GET /healthz", "")).status()).isEqualTo(200);
    assertThat(served.node.store().get("p")).isEmpty();
  }

  /** Line ends without end. */
  private static final class BlankLines extends InputStream {
    @Override
    public int read() {
      return '\n';
    }

    @Override
    public int read(byte[] target, int offset, int length) {
      java.util.Arrays.fill(target, offset, offset + length, (byte) '\n');
      return length;
    }
  }

  @Test
  void imports_beyondThoseAtOnce_waitForTheirTurn() throws IOException {
    var lines = new StringBuilder();
    for (int i = 0; i < ChangeBody.MAX_EDITS; i++) {
      lines.append("{\"id\":\"d").append(i).append("\",\"data\":1}\n");
    }
    String begun =
        served.head("POST /api/import", "Transfer-Encoding: chunked\r\n")
            + Integer.toHexString(lines.length())
            + "\r\n"
            + lines
            + "\r\n";
    var open = new ArrayList<Raw>();
    try (Raw waiting = served.raw()) {
      for (int i = 0; i < BulkRoutes.MAX_IMPORTS; i++) {
        Raw raw = served.raw();
        open.add(raw);
        raw.send(begun);
      }
      Eventually.await(
          "all have begun", () -> served.node.store().transactions() >= BulkRoutes.MAX_IMPORTS);
      String last = "{\"id\":\"last\",\"data\":1}";
      waiting.send(
          served.head("POST /api/import", "Content-Length: " + last.length() + "\r\n") + last);
      waiting.socket.setSoTimeout(500);
      assertThatThrownBy(waiting::reply).isInstanceOf(SocketTimeoutException.class);
      assertThat(ask(post("{\"id\":\"other\",\"data\":1}")).status()).isEqualTo(200);
      waiting.socket.setSoTimeout(20_000);
      assertThat(open.getFirst().send("0\r\n\r\n").reply().body()).isEqualTo("{\"imported\":1000}");
      assertThat(waiting.reply().body()).isEqualTo("{\"imported\":1}");
    } finally {
      for (Raw raw : open) {
        raw.close();
      }
    }
  }

  private void awaitHeld(long bytes) {
    Eventually.await(bytes + " bytes are held", () -> served.server.bodies().held() == bytes);
  }

  private String post(String json) {
    return served.head("POST /api/put", "Content-Length: " + json.length() + "\r\n") + json;
  }

  @Test
  void bodies_ofMoreThanMayBeHeld_areRefused_untilSomeAreGone() throws IOException {
    int large = DocumentRoutes.BATCH_BODY_BYTES;
    int most = (int) (HeldBodies.MAX_BYTES / large);
    var open = new ArrayList<Served.Raw>();
    try {
      for (int i = 0; i < most; i++) {
        Served.Raw raw = served.raw();
        open.add(raw);
        // All but the last byte, so that it stays open.
        raw.send(served.head("POST /api/batch", "Content-Length: " + large + "\r\n"));
        raw.send(" ".repeat(large - 1));
      }
      awaitHeld((long) most * (large - 1));
      String put = "{\"id\":\"a\",\"data\":\"" + "x".repeat(HeldBodies.SMALL_BYTES) + "\"}";
      Reply refused = ask(post(put));
      assertThat(refused.status()).isEqualTo(429);
      assertThat(refused.body()).contains("API_BODIES_TOO_LARGE", "33554432 bytes");
      assertThat(refused.head().toLowerCase(java.util.Locale.ROOT)).contains("retry-after: 1");
      assertThat(served.server.bodies().refused()).isEqualTo(1);
      String small = "{\"id\":\"a\",\"data\":\"" + "x".repeat(HeldBodies.SMALL_BYTES - 30) + "\"}";
      assertThat(ask(post(small)).status()).isEqualTo(200);
      open.removeFirst().close();
      awaitHeld((long) (most - 1) * (large - 1));
      assertThat(ask(post(put)).status()).isEqualTo(200);
    } finally {
      for (Served.Raw raw : open) {
        raw.close();
      }
    }
    awaitHeld(0);
  }
}
