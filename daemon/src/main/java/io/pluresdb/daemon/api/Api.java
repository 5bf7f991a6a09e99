package io.pluresdb.daemon.api;

import io.pluresdb.daemon.config.Nearest;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.storage.backup.BackupManifest;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * The routes of the local interface, without any transport: {@link HttpServer} serves them on
 * sockets, {@link #client} calls them in the same process. Safe from any thread.
 */
public final class Api {
  /** Query parameter of most routes: the database that is meant. */
  static final String DATABASE = "db";

  private final Map<String, Map<String, Route>> routes = new HashMap<>();

  /**
   * @param version of this program, for {@code /api/status}
   * @param clock tells how long the node is up
   * @param keepAlive how often an idle event stream sends a comment
   */
  public Api(Node node, String version, InstantSource clock, Duration keepAlive) {
    Stream.of(
            new DocumentRoutes(node).routes(),
            new BulkRoutes(node, keepAlive).routes(),
            new HistoryRoutes(node).routes(),
            new IndexRoutes(node).routes(),
            new EncryptionRoutes(node).routes(),
            new NodeRoutes(node, version, clock).routes(),
            new DhtRoutes(node).routes(),
            new HealthRoutes(node, version, clock).routes())
        .flatMap(List::stream)
        .forEach(
            route ->
                routes
                    .computeIfAbsent(route.path(), p -> new TreeMap<>())
                    .put(route.method(), route));
  }

  /**
   * The route of a request, with its query parameters checked.
   *
   * @throws MethodNotAllowed when the path knows other methods
   * @throws ApiException when there is no such path or parameter
   */
  Route route(String method, String path, Map<String, String> query) {
    Map<String, Route> methods = routes.get(path);
    if (methods == null) {
      throw new ApiException(
          404,
          "API_UNKNOWN_ROUTE",
          "there is no route " + path,
          "the nearest is " + Nearest.to(path, new java.util.TreeSet<>(routes.keySet())));
    }
    Route route = methods.get(method);
    if (route == null) {
      throw new MethodNotAllowed(path, String.join(", ", methods.keySet()));
    }
    for (String name : query.keySet()) {
      if (!route.parameters().contains(name)) {
        throw ApiException.invalid(
            path
                + " has no parameter \""
                + name
                + "\""
                + (route.parameters().isEmpty()
                    ? ""
                    : "; the nearest is \"" + Nearest.to(name, route.parameters()) + "\""));
      }
    }
    return route;
  }

  /** A path that was asked with a method it does not have. */
  static final class MethodNotAllowed extends RuntimeException {
    private static final long serialVersionUID = 1;
    private final String allowed;

    MethodNotAllowed(String path, String allowed) {
      super(path + " takes " + allowed);
      this.allowed = allowed;
    }

    /** Value of the Allow header. */
    String allowed() {
      return allowed;
    }

    ApiException asApiException() {
      return new ApiException(
          405, "API_METHOD_NOT_ALLOWED", String.valueOf(getMessage()), "use one of " + allowed);
    }
  }

  /** Carries a request out on the caller's thread, whatever its handler. */
  Answer answer(Request request) throws IOException, InterruptedException {
    Route route = route(request.method(), request.path(), request.query());
    return switch (route.handler()) {
      case Route.Handler.Prompt(var promise) -> promise.answer(request).join();
      case Route.Handler.Waiting(var work) -> work.answer(request);
      case Route.Handler.Reading(var work) -> work.answer(request);
    };
  }

  /** A client that calls these routes on its own thread; closing it does nothing. */
  public ApiClient client() {
    return new ApiClient() {
      @Override
      public void exchange(Request request, Sink sink) throws IOException, InterruptedException {
        try {
          switch (answer(request)) {
            case Answer.Whole(byte[] json) -> sink.write(json, 0, json.length);
            case Answer.Streamed(var type, var producer) -> producer.writeTo(sink);
          }
          sink.flush();
        } catch (MethodNotAllowed e) {
          throw e.asApiException();
        } catch (RuntimeException e) {
          throw ApiException.of(e);
        }
      }

      @Override
      public void close() {}
    };
  }

  /** What is in a backup, as the command line and HTTP show it. */
  public static JsonWriter backup(BackupManifest manifest, Path at) {
    return new JsonWriter()
        .beginObject()
        .name("path")
        .string(at.toString())
        .name("database")
        .string(manifest.database())
        .name("databaseId")
        .string(manifest.databaseId())
        .name("documents")
        .number(manifest.documents())
        .name("bytes")
        .number(manifest.bytes())
        .name("files")
        .number(manifest.files().size())
        .name("keys")
        .bool(manifest.keys())
        .endObject();
  }
}
