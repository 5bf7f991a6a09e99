package io.pluresdb.storage.embedding;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Against a server that answers what a test tells it to. */
class HttpEmbedderTest {
  private record Reply(int status, String body) {}

  private static final String GOOD =
      "{\"data\":[{\"index\":1,\"embedding\":[0,2]},{\"index\":0,\"embedding\":[1,0.5]}]}";

  private final Queue<Reply> replies = new ArrayDeque<>();
  private final Queue<String> requests = new ConcurrentLinkedQueue<>();
  private final Queue<String> keys = new ConcurrentLinkedQueue<>();
  private final HttpServer server;
  private final HttpEmbedder embedder;

  HttpEmbedderTest() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext(
        "/v1/embeddings",
        exchange -> {
          requests.add(
              new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8));
          keys.add(String.valueOf(exchange.getRequestHeaders().getFirst("Authorization")));
          Reply reply = replies.remove();
          byte[] body = reply.body.getBytes(StandardCharsets.UTF_8);
          exchange.sendResponseHeaders(reply.status, body.length);
          exchange.getResponseBody().write(body);
          exchange.close();
        });
    server.start();
    URI url = URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/v1/");
    embedder =
        new HttpEmbedder(
            new HttpEmbedder.Server(
                url, "m", "secret", Duration.ofSeconds(5), Duration.ofMillis(1)));
  }

  @AfterEach
  void stop() {
    embedder.close();
    server.stop(0);
  }

  @Test
  void embed_asksAsOpenAiDocuments_andOrdersByIndex() {
    replies.add(new Reply(200, GOOD));
    List<float[]> vectors = embedder.embed(List.of("a \"b\"", "c"));
    assertThat(vectors.get(0)).containsExactly(1f, 0.5f);
    assertThat(vectors.get(1)).containsExactly(0f, 2f);
    assertThat(requests)
        .containsExactly(
            "{\"model\":\"m\",\"input\":[\"a \\\"b\\\"\",\"c\"],\"encoding_format\":\"float\"}");
    assertThat(keys).containsExactly("Bearer secret");
  }

  @Test
  void failuresThatMayPass_areTriedAgain() {
    replies.add(new Reply(503, "busy"));
    replies.add(new Reply(429, "slow down"));
    replies.add(new Reply(200, GOOD));
    assertThat(embedder.embed(List.of("a", "b"))).hasSize(2);
    assertThat(requests).hasSize(3);
    for (int i = 0; i < 3; i++) {
      replies.add(new Reply(500, "down"));
    }
    assertThatThrownBy(() -> embedder.embed(List.of("a", "b")))
        .isInstanceOf(EmbeddingException.class)
        .hasMessageContaining("500: down");
    assertThat(requests).hasSize(6);
  }

  @Test
  void failuresThatStay_areNot_andTheKeyIsNotShown() {
    replies.add(new Reply(401, "no such key"));
    assertThatThrownBy(() -> embedder.embed(List.of("a")))
        .hasMessageContaining("401: no such key")
        .hasMessageNotContaining("secret");
    assertThat(requests).hasSize(1);
  }

  @Test
  void answersThatAreNotWhatWasAsked_areRefused() {
    for (String body :
        List.of(
            "nonsense",
            "{}",
            "{\"data\":[{\"index\":0,\"embedding\":[1]}]}",
            "{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":1,\"embedding\":[1,2]}]}")) {
      replies.add(new Reply(200, body));
      assertThatThrownBy(() -> embedder.embed(List.of("a", "b")))
          .as(body)
          .isInstanceOf(EmbeddingException.class);
    }
  }
}
