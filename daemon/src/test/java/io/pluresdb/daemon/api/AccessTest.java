package io.pluresdb.daemon.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.daemon.access.Level;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What tokens allow on the wire, how much may be asked, and what the audit log tells. */
class AccessTest {
  private Served served;

  AccessTest() throws IOException {
    served = Served.withDefaults();
  }

  @AfterEach
  void stop() throws IOException {
    served.close();
  }

  private Served.Reply ask(String line, String token, String body) throws IOException {
    try (Served.Raw raw = served.raw()) {
      return raw.send(
              line
                  + " HTTP/1.1\r\nHost: localhost:"
                  + served.port()
                  + "\r\nAuthorization: Bearer "
                  + token
                  + "\r\nContent-Length: "
                  + body.length()
                  + "\r\n\r\n"
                  + body)
          .reply();
    }
  }

  private void expect(String token, String line, String body, int status) throws IOException {
    assertThat(ask(line, token, body).status()).as(line).isEqualTo(status);
  }

  @Test
  void caller_whereNobodyProvesAnything_mayDoEverything() throws IOException {
    try (Served open = Served.open();
        Served.Raw raw = open.raw()) {
      String host = "Host: localhost:" + open.port() + "\r\n\r\n";
      assertThat(raw.send("GET /api/tokens HTTP/1.1\r\n" + host).reply().status()).isEqualTo(200);
      String wrong = "GET /api/tokens HTTP/1.1\r\nAuthorization: Bearer no\r\n" + host;
      assertThat(raw.send(wrong).reply().status()).isEqualTo(401);
      String foreign = "GET /api/tokens HTTP/1.1\r\nHost: example.org\r\n\r\n";
      assertThat(raw.send(foreign).reply().body()).contains("API_HOST_NOT_ALLOWED");
    }
  }

  @Test
  void scopes_allowWhatTheySayAndNoMore() throws IOException {
    String read = served.tokens.create("r", Level.READ, Set.of(), null);
    String write = served.tokens.create("w", Level.WRITE, Set.of(), null);
    String admin = served.tokens.create("a", Level.ADMIN, Set.of(), null);
    String put = "{\"id\":\"x\",\"data\":1}";
    expect(read, "POST /api/put", put, 403);
    expect(write, "POST /api/put", put, 200);
    expect(read, "GET /api/get?id=x", "", 200);
    expect(read, "GET /api/tokens", "", 403);
    expect(write, "GET /api/tokens", "", 403);
    expect(write, "POST /api/invite", "{}", 403);
    expect(admin, "GET /api/tokens", "", 200);
    expect(admin, "POST /api/invite", "{}", 200);
    assertThat(ask("POST /api/sync", write, "").body())
        .contains("API_FORBIDDEN", "token \\\"w\\\" has the scope write, this needs admin");
    served.tokens.revoke("w");
    expect(write, "POST /api/put", put, 401);
  }

  @Test
  void import_ofIndexesThatAreNotThere_needsAnAdministrator() throws IOException {
    String write = served.tokens.create("w", Level.WRITE, Set.of(), null);
    String admin = served.tokens.create("a", Level.ADMIN, Set.of(), null);
    String lines =
        "{\"pluresdb\":{\"format\":1,\"indexes\":[[\"year\"]]}}\n{\"id\":\"x\",\"data\":1}\n";
    assertThat(ask("POST /api/import", write, lines).body())
        .contains("API_FORBIDDEN", "line 1: ", "0 documents are in");
    expect(admin, "POST /api/import", lines, 200);
    expect(write, "POST /api/import", lines, 200);
  }

  @Test
  void tokenForADatabase_seesNoOther() throws IOException {
    String other = served.tokens.create("o", Level.WRITE, Set.of("work"), null);
    String own = served.tokens.create("d", Level.WRITE, Set.of("default", "work"), null);
    expect(other, "GET /api/list", "", 403);
    expect(other, "GET /api/list?db=default", "", 403);
    expect(other, "GET /api/list?db=work", "", 404);
    expect(own, "GET /api/list", "", 200);
    expect(own, "GET /api/list?db=default", "", 200);
    assertThat(ask("GET /api/status", other, "").body()).contains("\"databases\":[]");
    assertThat(ask("GET /api/databases", other, "").body()).isEqualTo("[]");
    assertThat(ask("GET /api/databases", own, "").body()).contains("\"name\":\"default\"");
    expect(other, "GET /api/status?db=default", "", 403);
    expect(own, "GET /metrics", "", 403);
  }

  @Test
  void health_needsNobody_andEverythingElseDoes() throws IOException {
    for (Route route : Served.api(served.node).table()) {
      int status = ask(route.method() + " " + route.path(), "wrong", "").status();
      if (route.level() == Level.PUBLIC) {
        assertThat(status).as(route.path()).isEqualTo(200);
      } else {
        assertThat(status).as(route.path()).isEqualTo(401);
      }
    }
  }

  @Test
  void tokenOverTheSocket_isHeldToItsScope() throws Exception {
    String read = served.tokens.create("r", Level.READ, Set.of(), null);
    try (var socket =
        java.nio.channels.SocketChannel.open(
            java.net.UnixDomainSocketAddress.of(served.directory.resolve("pluresdb.sock")))) {
      socket.write(
          StandardCharsets.US_ASCII.encode(
              "POST /api/sync HTTP/1.1\r\nContent-Length: 0\r\nAuthorization: Bearer "
                  + read
                  + "\r\n\r\n"));
      var answer = java.nio.ByteBuffer.allocate(64);
      socket.read(answer);
      assertThat(new String(answer.array(), StandardCharsets.US_ASCII)).startsWith("HTTP/1.1 403");
    }
  }

  @Test
  void requestsOverTheLimit_areToldWhenToComeBack() throws IOException {
    served.close();
    served = Served.limited(16, 3);
    Served.Reply last = ask("GET /api/databases", Served.TOKEN, "");
    for (int i = 0; i < 10 && last.status() == 200; i++) {
      last = ask("GET /api/databases", Served.TOKEN, "");
    }
    assertThat(last.status()).isEqualTo(429);
    assertThat(last.body()).contains("API_RATE_LIMITED");
    assertThat(last.head().toLowerCase(java.util.Locale.ROOT)).contains("retry-after: 1");
    String other = served.tokens.create("other", Level.READ, Set.of(), null);
    expect(other, "GET /api/databases", "", 200);
    assertThat(ask("GET /healthz", "", "").status()).isEqualTo(200);
  }

  @Test
  void requestsAtOnce_areBoundedAndFreedWhenTheyEnd() throws IOException {
    served.close();
    served = Served.limited(2, 0);
    try (Served.Raw one = served.raw();
        Served.Raw two = served.raw()) {
      one.send(served.head("GET /api/watch", ""));
      assertThat(one.line()).endsWith("200 OK");
      two.send(served.head("GET /api/watch", ""));
      assertThat(two.line()).endsWith("200 OK");
      Served.Reply refused = ask("GET /api/databases", Served.TOKEN, "");
      assertThat(refused.status()).isEqualTo(429);
      assertThat(refused.body()).contains("API_TOO_MANY_REQUESTS");
    }
    long deadline = System.nanoTime() + Served.LONG.toNanos();
    int status = 429;
    while (status == 429 && System.nanoTime() < deadline) {
      status = ask("GET /api/databases", Served.TOKEN, "").status();
    }
    assertThat(status).isEqualTo(200);
  }

  @Test
  void audit_tellsWhoDidWhatToWhom() throws IOException {
    expect(Served.TOKEN, "POST /api/tokens", "{\"name\":\"app\"}", 200);
    String admin = served.tokens.create("boss", Level.ADMIN, Set.of(), null);
    expect(admin, "POST /api/revoke", "{\"device\":\"laptop\"}", 200);
    expect(admin, "POST /api/approve", "{\"device\":\"nobody\"}", 404);
    expect(admin, "POST /api/put", "{\"id\":\"a\",\"data\":1}", 200);
    assertThat(served.audit.newest(10))
        .extracting(e -> e.who() + " " + e.act() + " " + e.subject() + " " + e.outcome())
        .containsExactly(
            "boss POST /api/approve nobody NODE_UNKNOWN_DEVICE",
            "boss POST /api/revoke laptop ok",
            "api-token POST /api/tokens app ok");
    assertThat(ask("GET /api/audit?limit=1", admin, "").body())
        .contains("\"who\":\"boss\"", "\"database\":\"default\"", "\"time\":");
  }
}
