package io.pluresdb.daemon.api;

import io.pluresdb.daemon.access.Level;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.daemon.query.Queries;
import io.pluresdb.daemon.query.QueryLimits;
import io.pluresdb.daemon.query.Value;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.function.Function;

/** Routes that take a query language. Reading needs the scope to read, writing that to write. */
final class QueryRoutes {
  private static final String NODES =
      "{nodes: {id: Id, data: any, timestamp: integer}[], aggregate?: any, mutated?: integer}";

  private final Node node;
  private final Semaphore places = new Semaphore(QueryLimits.MAX_AT_ONCE, true);

  QueryRoutes(Node node) {
    this.node = node;
  }

  List<Route> routes() {
    return List.of(
        Route.post("/api/query", Level.READ, "carries SQL out; writing takes the scope write")
            .inDatabase()
            .body(
                "{sql: string(1..65536), params?: any[" + QueryLimits.MAX_PARAMETERS + "]}",
                DocumentRoutes.DOCUMENT_BODY_BYTES)
            .answers(
                "{columns: string[], rows: any[][], changes: integer, lastInsertRowid: integer |"
                    + " null}")
            .waiting(request -> inTurn(request, this::query)),
        Route.post(
                "/api/dsl",
                Level.READ,
                "carries a pipeline out, such as `filter(a == 1) \\|> limit(3)`; writing takes the"
                    + " scope write")
            .inDatabase()
            .body("{query: string(1..65536)}", DocumentRoutes.DOCUMENT_BODY_BYTES)
            .answers(NODES)
            .waiting(request -> inTurn(request, this::dsl)),
        Route.post(
                "/api/ir",
                Level.READ,
                "carries a pipeline out that is JSON; writing takes the scope write")
            .inDatabase()
            .body(
                "{steps: any[" + QueryLimits.MAX_COLUMNS + "]}", DocumentRoutes.DOCUMENT_BODY_BYTES)
            .answers(NODES)
            .waiting(request -> inTurn(request, this::ir)));
  }

  /** Only some at once, since each may hold as much as an answer may be. */
  private Answer inTurn(Request request, Function<Request, Answer> work)
      throws InterruptedException {
    places.acquire();
    try {
      return work.apply(request);
    } finally {
      places.release();
    }
  }

  private Queries queries(Request request) {
    String database = Parameters.database(request);
    return new Queries(
        node.store(database), node.searches(database), () -> request.caller().require(Level.WRITE));
  }

  private Answer query(Request request) {
    var body = JsonMembers.read(request.bytes(), "the body", List.of("sql", "params"));
    var parameters = new ArrayList<Value>();
    if (body.has("params")) {
      for (JsonMembers.Slice one : body.elements("params", QueryLimits.MAX_PARAMETERS)) {
        parameters.add(Value.parse(one.bytes()));
      }
    }
    Queries.Result result = queries(request).sql(body.string("sql"), parameters);
    var json = new JsonWriter().beginObject().name("columns").beginArray();
    result.columns().forEach(json::string);
    json.endArray().name("rows").beginArray();
    for (List<Value> row : result.rows()) {
      json.beginArray();
      for (Value value : row) {
        json.raw(value.json());
        Queries.requireSize(json.size());
      }
      json.endArray();
    }
    json.endArray().name("changes").number(result.changes()).name("lastInsertRowid");
    Long last = result.lastKey();
    return Answer.of((last == null ? json.nothing() : json.number(last.longValue())).endObject());
  }

  private Answer dsl(Request request) {
    var body = JsonMembers.read(request.bytes(), "the body", List.of("query"));
    return answer(queries(request).pipeline(body.string("query")));
  }

  private Answer ir(Request request) {
    var body = JsonMembers.read(request.bytes(), "the body", List.of("steps"));
    return answer(queries(request).steps(Value.parse(body.required("steps").bytes())));
  }

  private static Answer answer(Queries.Nodes result) {
    var json = new JsonWriter().beginObject().name("nodes").beginArray();
    for (Queries.Node one : result.nodes()) {
      json.beginObject().name("id").string(one.id()).name("data").raw(one.data().json());
      json.name("timestamp").number(one.timestamp()).endObject();
      Queries.requireSize(json.size());
    }
    json.endArray();
    Value aggregate = result.aggregate();
    if (aggregate != null) {
      json.name("aggregate").raw(aggregate.json());
    }
    Integer mutated = result.mutated();
    if (mutated != null) {
      json.name("mutated").number(mutated.longValue());
    }
    return Answer.of(json.endObject());
  }
}
