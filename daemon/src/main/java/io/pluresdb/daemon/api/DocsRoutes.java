package io.pluresdb.daemon.api;

import io.pluresdb.daemon.access.Level;
import java.util.List;
import java.util.function.Supplier;

/** Routes that tell what the routes are; whoever reaches the port may know. */
final class DocsRoutes {
  static final String PAGE = "/docs";
  private static final String HTML = "text/html; charset=utf-8";

  private final Supplier<List<Route>> table;
  private final String version;

  /**
   * @param table every route, these included, once all are made
   */
  DocsRoutes(Supplier<List<Route>> table, String version) {
    this.table = table;
    this.version = version;
  }

  List<Route> routes() {
    return List.of(
        Route.get(PAGE, Level.PUBLIC, "this reference, as a page; at / too")
            .writes(HTML)
            .waiting(
                request ->
                    new Answer.Streamed(
                        HTML, sink -> write(sink, Reference.html(table.get(), version)))),
        Route.get("/docs/openapi.json", Level.PUBLIC, "this reference, as OpenAPI 3.1")
            .waiting(request -> new Answer.Whole(OpenApi.document(table.get(), version), "")));
  }

  private static void write(Sink sink, byte[] bytes) throws java.io.IOException {
    sink.write(bytes, 0, bytes.length);
  }
}
