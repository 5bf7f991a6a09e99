package io.pluresdb.daemon.api;

import io.pluresdb.crdt.doc.Edge;
import io.pluresdb.crdt.store.EdgeIndex;
import io.pluresdb.crdt.store.EdgeIndex.Direction;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.daemon.access.Level;
import io.pluresdb.daemon.node.Node;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/** Routes about documents that join two others. */
final class EdgeRoutes {
  private static final int DEFAULT_EDGES = 100;
  private static final List<String> EDGE = List.of("from", "relation", "to", "data");
  private static final byte[] NO_DATA = "{}".getBytes(StandardCharsets.UTF_8);

  private final Node node;

  EdgeRoutes(Node node) {
    this.node = node;
  }

  List<Route> routes() {
    return List.of(
        Route.get("/api/edges", Level.READ, "the edges of a document whose ends both exist")
            .inDatabase()
            .must("id", "Id", "the document at one end")
            .may("direction", "'out' | 'in' | 'both'", "which way they lead; default is both")
            .may("relation", "string(0..1024)", "only of this one")
            .may("after", "string", "what the answer before gave as `next`")
            .may("limit", "integer(1..10000)", "most of them; 100 unless said otherwise")
            .answers("{edges: Edge[], next: string | null}")
            .waiting(this::edges),
        Route.post("/api/edges", Level.WRITE, "writes the document that is an edge")
            .inDatabase()
            .body(
                "{from: Id, relation: string, to: Id, data?: any}",
                DocumentRoutes.DOCUMENT_BODY_BYTES)
            .answers("Written")
            .prompt(this::put),
        Route.delete("/api/edges", Level.WRITE, "deletes the document that is an edge")
            .inDatabase()
            .must("from", "Id", "where it leads from")
            .must("relation", "string(0..1024)", "its relation")
            .must("to", "Id", "where it leads to")
            .answers("Written")
            .prompt(this::delete),
        Route.post("/api/edges/rebuild", Level.ADMIN, "makes the index of edges anew")
            .inDatabase()
            .answers("{edges: integer}")
            .waiting(this::rebuild));
  }

  private Answer edges(Request request) {
    EdgeIndex.Page page =
        node.searches(Parameters.database(request))
            .edges(
                Parameters.required(request, "id"),
                direction(Parameters.optional(request, "direction")),
                request.query().get("relation"),
                Parameters.optional(request, "after"),
                Math.clamp(
                    Parameters.integer(request, "limit", 1, DEFAULT_EDGES), 1, Integer.MAX_VALUE));
    var json = new JsonWriter().beginObject().name("edges").beginArray();
    for (EdgeIndex.Found found : page.edges()) {
      Edge edge = found.edge();
      json.beginObject().name("id").string(found.id()).name("from").string(edge.from());
      json.name("relation").string(edge.relation()).name("to").string(edge.to()).endObject();
    }
    json.endArray().name("next");
    String next = page.next();
    return Answer.of((next == null ? json.nothing() : json.string(next)).endObject());
  }

  private static Direction direction(@Nullable String text) {
    return switch (text == null ? "both" : text) {
      case "out" -> Direction.OUT;
      case "in" -> Direction.IN;
      case "both" -> Direction.BOTH;
      default ->
          throw ApiException.invalid(
              "direction must be \"out\", \"in\" or \"both\", but is \"" + text + "\"");
    };
  }

  private CompletableFuture<Answer> put(Request request) {
    var body = JsonMembers.read(request.bytes(), "the body", EDGE);
    Edge edge = Edge.checked(body.string("from"), body.string("relation"), body.string("to"));
    byte[] data = body.has("data") ? body.required("data").bytes() : NO_DATA;
    return write(request, Edit.put(edge.id(), edge.document(data)), edge);
  }

  private CompletableFuture<Answer> delete(Request request) {
    Edge edge =
        Edge.checked(
            Parameters.required(request, "from"),
            request.query().getOrDefault("relation", ""),
            Parameters.required(request, "to"));
    return write(request, Edit.delete(edge.id()), edge);
  }

  private CompletableFuture<Answer> write(Request request, Edit edit, Edge edge) {
    return node.store(Parameters.database(request))
        .submit(Transaction.of(edit))
        .thenApply(
            receipt ->
                Answer.of(new JsonWriter().beginObject().name("id").string(edge.id()).endObject()));
  }

  private Answer rebuild(Request request) {
    long edges = node.remakeEdges(Parameters.database(request));
    return Answer.of(new JsonWriter().beginObject().name("edges").number(edges).endObject());
  }
}
