package io.pluresdb.daemon.api;

import io.pluresdb.daemon.access.Level;
import io.pluresdb.daemon.node.Node;
import java.time.InstantSource;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Routes for whoever watches the daemon: is it well, is it ready, what does it do. */
final class HealthRoutes {
  /** A daemon whose databases take longer to answer than this is not well. */
  static final long PULSE_SECONDS = 5;

  private final Supplier<@Nullable HttpServer> server;
  private final Node node;
  private final String version;
  private final InstantSource clock;

  HealthRoutes(
      Node node, String version, InstantSource clock, Supplier<@Nullable HttpServer> server) {
    this.server = server;
    this.node = node;
    this.version = version;
    this.clock = clock;
  }

  List<Route> routes() {
    return List.of(
        Route.get("/healthz", Level.PUBLIC, "whether every database answers within 5 s")
            .answers("{ok: boolean}")
            .prompt(this::health),
        Route.get("/readyz", Level.PUBLIC, "whether every database takes writes")
            .answers("{ready: boolean}")
            .prompt(this::readiness),
        Route.get("/metrics", Level.READ, "what the daemon does, for Prometheus")
            .writes("text/plain")
            .waiting(request -> Metrics.of(node, version, clock, server.get()).answer()));
  }

  private CompletableFuture<Answer> health(Request request) {
    return node.pulse()
        .orTimeout(PULSE_SECONDS, TimeUnit.SECONDS)
        .handle(
            (none, failure) -> {
              if (failure != null) {
                throw new ApiException(
                    503,
                    "API_NOT_RESPONDING",
                    "a database did not answer within " + PULSE_SECONDS + " s",
                    "the log may say why; a service manager with a watchdog restarts the daemon");
              }
              return yes("ok");
            });
  }

  private CompletableFuture<Answer> readiness(Request request) {
    int stopped = node.stopped().size();
    if (stopped > 0) {
      return CompletableFuture.failedFuture(
          new ApiException(
              503,
              "API_NOT_READY",
              stopped + " of the databases take no writes any more",
              "doctor says which and why"));
    }
    return CompletableFuture.completedFuture(yes("ready"));
  }

  private static Answer yes(String what) {
    return Answer.of(new JsonWriter().beginObject().name(what).bool(true).endObject());
  }
}
