package io.pluresdb.daemon.api;

import io.pluresdb.daemon.access.Level;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.storage.index.IndexDefinition;
import io.pluresdb.storage.search.Searches;
import java.util.ArrayList;
import java.util.List;

/** Routes about the indexes of a database. */
final class IndexRoutes {
  private static final int BODY_BYTES = 64 << 10;

  private final Node node;

  IndexRoutes(Node node) {
    this.node = node;
  }

  List<Route> routes() {
    return List.of(
        Route.get("/api/indexes", Level.READ, "indexes, and how far they are")
            .inDatabase()
            .answers("Index[]")
            .waiting(this::list),
        Route.post("/api/indexes", Level.ADMIN, "makes an index on 1 to 4 fields")
            .inDatabase()
            .body("{fields: string[4]}", BODY_BYTES)
            .answers("{made: boolean}")
            .waiting(this::declare),
        Route.delete("/api/indexes", Level.ADMIN, "drops an index")
            .inDatabase()
            .must("fields", "string", "joined by commas")
            .answers("{dropped: boolean}")
            .waiting(this::drop));
  }

  private Answer list(Request request) {
    var json = new JsonWriter();
    indexes(json, node.searches(Parameters.database(request)));
    return Answer.of(json);
  }

  /** How far each index is. */
  static void indexes(JsonWriter json, Searches searches) {
    json.beginArray();
    for (Searches.IndexStatus index : searches.status()) {
      json.beginObject().name("kind").string(index.kind()).name("fields").beginArray();
      index.fields().forEach(json::string);
      json.endArray().name("arrivals").number(index.arrivals());
      json.name("error").string(index.error()).endObject();
    }
    json.endArray();
  }

  private Answer declare(Request request) {
    var body = JsonMembers.read(request.bytes(), "the body", List.of("fields"));
    var fields = new ArrayList<String>();
    for (JsonMembers.Slice field : body.elements("fields", IndexDefinition.MAX_FIELDS)) {
      fields.add(JsonMembers.text(field, "fields"));
    }
    boolean made = node.searches(Parameters.database(request)).declare(new IndexDefinition(fields));
    return Answer.of(new JsonWriter().beginObject().name("made").bool(made).endObject());
  }

  private Answer drop(Request request) {
    IndexDefinition definition = IndexDefinition.parse(Parameters.required(request, "fields"));
    boolean dropped = node.searches(Parameters.database(request)).drop(definition);
    return Answer.of(new JsonWriter().beginObject().name("dropped").bool(dropped).endObject());
  }
}
