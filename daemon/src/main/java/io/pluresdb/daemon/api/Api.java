package io.pluresdb.daemon.api;

import io.pluresdb.daemon.access.AuditLog;
import io.pluresdb.daemon.access.Caller;
import io.pluresdb.daemon.access.Level;
import io.pluresdb.daemon.access.Tokens;
import io.pluresdb.daemon.config.Nearest;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.storage.backup.BackupManifest;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The routes of the local interface, without any transport: {@link HttpServer} serves them on
 * sockets, {@link #client} calls them in the same process. Safe from any thread.
 */
public final class Api {
  /** Query parameter of most routes: the database that is meant. */
  static final String DATABASE = "db";

  private final List<Route> table;
  private final Map<String, Map<String, Route>> routes = new HashMap<>();
  private final Set<String> publicPaths;
  private final AuditLog audit;
  private final InstantSource clock;
  private final AtomicReference<@Nullable HttpServer> server;

  /**
   * @param version of this program, for {@code /api/status}
   * @param clock tells how long the node is up
   * @param keepAlive how often an idle event stream sends a comment
   * @param tokens who may use it
   * @param audit is told of what administrators do
   */
  public Api(
      Node node,
      String version,
      InstantSource clock,
      Duration keepAlive,
      Tokens tokens,
      AuditLog audit) {
    this.clock = clock;
    this.audit = audit;
    this.server = new AtomicReference<>();
    table =
        Stream.concat(
                table(node, version, clock, keepAlive, tokens, audit, server).stream(),
                new DocsRoutes(this::table, version).routes().stream())
            .toList();
    for (Route route : table) {
      routes
          .computeIfAbsent(route.path(), path -> new TreeMap<>())
          .put(route.method(), route.isAudited() ? audited(route) : route);
    }
    // A browser that follows the address of the ready line comes to the root.
    routes.put("/", Objects.requireNonNull(routes.get(DocsRoutes.PAGE)));
    publicPaths =
        routes.entrySet().stream()
            .filter(
                path ->
                    path.getValue().values().stream()
                        .allMatch(route -> route.level() == Level.PUBLIC))
            .map(Map.Entry::getKey)
            .collect(Collectors.toSet());
  }

  private static List<Route> table(
      Node node,
      String version,
      InstantSource clock,
      Duration keepAlive,
      Tokens tokens,
      AuditLog audit,
      AtomicReference<@Nullable HttpServer> server) {
    return Stream.of(
            new DocumentRoutes(node).routes(),
            new BulkRoutes(node, keepAlive).routes(),
            new QueryRoutes(node).routes(),
            new HistoryRoutes(node).routes(),
            new IndexRoutes(node).routes(),
            new EdgeRoutes(node).routes(),
            new EncryptionRoutes(node).routes(),
            new NodeRoutes(node, version, clock).routes(),
            new DatabaseRoutes(node).routes(),
            new DhtRoutes(node).routes(),
            new AccessRoutes(tokens, audit).routes(),
            new HealthRoutes(node, version, clock, server::get).routes())
        .flatMap(List::stream)
        .toList();
  }

  /** The generated TypeScript client of every route, one file. */
  public static String typeScript(String version) {
    Node nobody =
        (Node)
            Proxy.newProxyInstance(
                Node.class.getClassLoader(),
                new Class<?>[] {Node.class},
                (proxy, method, arguments) -> {
                  throw new IllegalStateException("these routes are only looked at");
                });
    InstantSource never = InstantSource.fixed(Instant.EPOCH);
    List<Route> table =
        new Api(
                nobody,
                version,
                never,
                Duration.ofSeconds(1),
                Tokens.inMemory("", never, new SplittableRandom(0)),
                AuditLog.none())
            .table;
    return TypeScript.client(table, version);
  }

  /** The server whose counters {@code /metrics} shows from now on. */
  void servedBy(HttpServer httpServer) {
    server.set(httpServer);
  }

  /** Every route, in the order of the reference. */
  List<Route> table() {
    return table;
  }

  /** The same route, and the audit log says who used it and how it ended. */
  private Route audited(Route route) {
    return switch (route.handler()) {
      case Route.Handler.Waiting(var work) ->
          route.with(
              new Route.Handler.Waiting(
                  request -> {
                    String outcome = "ok";
                    try {
                      return work.answer(request);
                    } catch (RuntimeException e) {
                      outcome = ApiException.of(e).code();
                      throw e;
                    } finally {
                      audit.add(entry(route, request, outcome));
                    }
                  }));
      case Route.Handler.Prompt p ->
          throw new IllegalArgumentException(route.path() + " waits for the audit log");
      case Route.Handler.Reading r ->
          throw new IllegalArgumentException(route.path() + " has no body to name a subject");
    };
  }

  private AuditLog.Entry entry(Route route, Request request, String outcome) {
    String database = route.reach() == Route.Reach.DATABASE ? Parameters.database(request) : "";
    return new AuditLog.Entry(
        clock.millis(),
        request.caller().name(),
        route.method() + " " + route.path(),
        database,
        subject(route, request),
        outcome);
  }

  private static String subject(Route route, Request request) {
    String name = route.subject();
    if (name == null) {
      return "";
    }
    String parameter = request.query().get(name);
    return parameter != null ? parameter : JsonMembers.memberIfAny(request.bytes(), name);
  }

  /** Whether a path is for everybody. */
  boolean isPublic(String path) {
    return publicPaths.contains(path);
  }

  /**
   * @throws io.pluresdb.daemon.access.AccessException when the caller may not use the route as it
   *     wants to
   */
  static void authorize(Caller caller, Route route, Map<String, String> query) {
    if (route.level() == Level.PUBLIC) {
      return;
    }
    caller.require(route.level());
    switch (route.reach()) {
      case DEVICE -> caller.requireWholeDevice();
      case DATABASE -> caller.requireDatabase(query.getOrDefault(DATABASE, Node.DEFAULT_DATABASE));
      case VISIBLE -> {
        String named = query.get(DATABASE);
        if (named != null) {
          caller.requireDatabase(named);
        }
      }
    }
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
      if (!route.takes(name)) {
        throw ApiException.invalid(
            path
                + " has no parameter \""
                + name
                + "\""
                + (route.parameters().isEmpty()
                    ? ""
                    : "; the nearest is \"" + Nearest.to(name, route.parameterNames()) + "\""));
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
            case Answer.Whole(byte[] json, var _) -> sink.write(json, 0, json.length);
            case Answer.Unchanged unchanged -> {}
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
