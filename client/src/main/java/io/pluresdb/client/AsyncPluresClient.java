package io.pluresdb.client;

import java.io.InputStream;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * {@link PluresClient} without waiting: each call runs on a virtual thread, and its future fails
 * with what the other throws.
 */
public final class AsyncPluresClient {
  private final PluresClient client;

  AsyncPluresClient(PluresClient client) {
    this.client = client;
  }

  private static <T extends @Nullable Object> CompletableFuture<T> later(Supplier<T> call) {
    return CompletableFuture.supplyAsync(call, Thread::startVirtualThread);
  }

  private static CompletableFuture<@Nullable Void> done(Runnable call) {
    return later(
        () -> {
          call.run();
          return null;
        });
  }

  public CompletableFuture<@Nullable Void> put(String id, String json) {
    return done(() -> client.put(id, json));
  }

  public CompletableFuture<@Nullable Void> putIf(String etag, String id, String json) {
    return done(() -> client.putIf(etag, id, json));
  }

  public CompletableFuture<@Nullable Void> patch(String id, String json) {
    return done(() -> client.patch(id, json));
  }

  public CompletableFuture<@Nullable Void> delete(String id) {
    return done(() -> client.delete(id));
  }

  public CompletableFuture<Optional<PluresClient.Document>> get(String id) {
    return later(() -> client.get(id));
  }

  /** Hands each document to {@code each}, which may take its time: the daemon waits for it. */
  public CompletableFuture<@Nullable Void> list(
      String prefix, Consumer<PluresClient.Document> each) {
    return done(
        () -> {
          try (Stream<PluresClient.Document> documents = client.list(prefix)) {
            documents.forEach(each);
          }
        });
  }

  public CompletableFuture<PluresClient.Rows> query(String sql, @Nullable Object... parameters) {
    return later(() -> client.query(sql, parameters));
  }

  public CompletableFuture<Long> importLines(InputStream lines) {
    return later(() -> client.importLines(lines));
  }

  public CompletableFuture<Json> call(
      String method,
      String path,
      Map<String, String> query,
      Map<String, String> headers,
      @Nullable String body) {
    return later(() -> client.call(method, path, query, headers, body));
  }
}
