package io.pluresdb.storage.embedding;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Embeddings from a server with OpenAI's interface: {@code POST URL/embeddings} with {@code model}
 * and {@code input}, answered by {@code data}, a list of {@code index} and {@code embedding}.
 *
 * <p>A request that fails for a reason that may pass (no connection, 408, 429, 5xx) is tried
 * {@value #TRIES} times, with a pause that doubles.
 */
public final class HttpEmbedder implements EmbedText {
  private static final int BATCH = 64;
  private static final int TRIES = 3;
  private static final int MAX_ANSWER_BYTES = 64 << 20;
  private static final int MAX_SHOWN = 200;
  private static final JsonMapper JSON = JsonMapper.builder().build();

  /**
   * Where the server is and how to ask it.
   *
   * @param url such as {@code https://api.openai.com/v1}, http or https
   * @param model its name there
   * @param key the bearer token, null for none
   * @param timeout for one try
   * @param pause after the first try that fails
   */
  public record Server(
      URI url, String model, @Nullable String key, Duration timeout, Duration pause) {
    public Server {
      String scheme = String.valueOf(url.getScheme());
      if (!(scheme.equals("http") || scheme.equals("https")) || url.getHost() == null) {
        throw new IllegalArgumentException("url must be http:// or https://, but is " + url);
      }
    }

    /** With the usual times: 30 s and half a second. */
    public static Server of(URI url, String model, @Nullable String key) {
      return new Server(url, model, key, Duration.ofSeconds(30), Duration.ofMillis(500));
    }

    /** Without the key. */
    @Override
    public String toString() {
      return model + " at " + url;
    }
  }

  private final Server server;
  private final URI endpoint;
  private final HttpClient client;

  public HttpEmbedder(Server server) {
    this.server = server;
    this.endpoint = URI.create(server.url.toString().replaceAll("/+$", "") + "/embeddings");
    this.client = HttpClient.newBuilder().connectTimeout(server.timeout).build();
  }

  @Override
  public String name() {
    return server.model;
  }

  @Override
  public int batch() {
    return BATCH;
  }

  @Override
  public List<float[]> embed(List<String> texts) {
    ObjectNode body = JSON.createObjectNode().put("model", server.model);
    texts.forEach(body.putArray("input")::add);
    body.put("encoding_format", "float");
    HttpRequest.Builder request =
        HttpRequest.newBuilder(endpoint)
            .timeout(server.timeout)
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString(body.toString()));
    if (server.key != null) {
      request.header("Authorization", "Bearer " + server.key);
    }
    try {
      return vectors(answer(request.build()), texts.size());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new EmbeddingException("interrupted while " + server + " was asked", e);
    }
  }

  private byte[] answer(HttpRequest request) throws InterruptedException {
    Duration pause = server.pause;
    for (int tried = 1; ; tried++) {
      EmbeddingException failure;
      try {
        HttpResponse<InputStream> response = client.send(request, BodyHandlers.ofInputStream());
        byte[] body;
        try (InputStream in = response.body()) {
          body = in.readNBytes(MAX_ANSWER_BYTES + 1);
        }
        int status = response.statusCode();
        if (status == 200 && body.length <= MAX_ANSWER_BYTES) {
          return body;
        }
        String shown = new String(body, 0, Math.min(body.length, MAX_SHOWN), UTF_8);
        failure = new EmbeddingException(server + " answers " + status + ": " + shown.strip());
        if (status != 408 && status != 429 && status < 500) {
          throw failure;
        }
      } catch (IOException e) {
        failure = new EmbeddingException(server + " does not answer: " + e, e);
      }
      if (tried == TRIES) {
        throw failure;
      }
      LockSupport.parkNanos(pause.toNanos());
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      pause = pause.multipliedBy(2);
    }
  }

  private List<float[]> vectors(byte[] answer, int count) {
    JsonNode data;
    try {
      data = JSON.readTree(answer).path("data");
    } catch (JacksonException e) {
      throw new EmbeddingException(server + " answers no JSON: " + e.getOriginalMessage(), e);
    } catch (IOException e) {
      throw new EmbeddingException(server + " answers no JSON: " + e, e);
    }
    var vectors = new ArrayList<float[]>(Collections.nCopies(count, new float[0]));
    for (int i = 0; i < data.size(); i++) {
      JsonNode one = data.get(i);
      int index = one.path("index").asInt(i);
      JsonNode numbers = one.path("embedding");
      float[] vector = new float[numbers.size()];
      for (int d = 0; d < vector.length; d++) {
        vector[d] = (float) numbers.get(d).asDouble(Double.NaN);
      }
      if (index >= 0 && index < count) {
        vectors.set(index, vector);
      }
    }
    int dimension = vectors.getFirst().length;
    for (float[] vector : vectors) {
      if (vector.length == 0 || vector.length != dimension) {
        throw new EmbeddingException(
            server + " must answer " + count + " embeddings of one dimension, but does not");
      }
    }
    return vectors;
  }

  @Override
  public void close() {
    client.close();
  }
}
