package io.pluresdb.daemon.api;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.HybridClock;
import io.pluresdb.crdt.doc.Contest;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.CrdtStore.Choice;
import io.pluresdb.crdt.store.History;
import io.pluresdb.crdt.store.History.Step;
import io.pluresdb.crdt.store.History.Version;
import io.pluresdb.crdt.store.Moment;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.value.CanonicalJson;
import io.pluresdb.crdt.value.Path;
import io.pluresdb.daemon.access.Level;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.daemon.node.Node.Author;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Routes about what documents were, and about what lost. */
final class HistoryRoutes {
  private static final int DEFAULT_VERSIONS = 50;
  private static final int BODY_BYTES = CanonicalJson.MAX_BYTES + (128 << 10);
  private static final List<String> REVERT = List.of("id", "to");
  private static final List<String> RESOLVE = List.of("id", "path", "keys", "choose", "value");

  private final Node node;

  HistoryRoutes(Node node) {
    this.node = node;
  }

  List<Route> routes() {
    return List.of(
        Route.get("/api/history", Level.READ, "versions of a document, newest first")
            .inDatabase()
            .must("id", "Id", "of which document")
            .may("limit", "integer(1..1000)", "most of them; default is 50")
            .may("before", "integer(1..)", "`next` of the page before")
            .answers("{versions: Version[], next: integer | null, truncated: boolean}")
            .waiting(this::history),
        Route.post("/api/revert", Level.WRITE, "makes a document look as it did")
            .inDatabase()
            .body("{id: Id, to: string}", BODY_BYTES)
            .answers("Written")
            .waiting(this::revert),
        Route.get("/api/conflicts", Level.READ, "where concurrent values compete")
            .inDatabase()
            .may("id", "Id", "in that document only")
            .lists("Contested")
            .waiting(this::conflicts),
        Route.post("/api/conflicts/resolve", Level.WRITE, "ends a conflict")
            .inDatabase()
            .body(
                "{id: Id, path?: string, keys?: string[], choose?: 'winner' | integer(1..),"
                    + " value?: any}",
                BODY_BYTES)
            .answers("Written")
            .waiting(this::resolve));
  }

  private Answer history(Request request) {
    String id = Parameters.required(request, "id");
    long limit = Parameters.integer(request, "limit", 1, DEFAULT_VERSIONS);
    long before = Parameters.integer(request, "before", 1, Long.MAX_VALUE);
    if (limit > History.MAX_VERSIONS) {
      throw ApiException.invalid(
          "limit must be 1 to " + History.MAX_VERSIONS + ", but is " + limit);
    }
    History page = store(request).history(id, (int) limit, before);
    if (page.versions().isEmpty() && before == Long.MAX_VALUE && !page.truncated()) {
      throw CoreException.notFound(id);
    }
    var authors = new Authors(Parameters.database(request));
    var json = new JsonWriter().beginObject().name("versions").beginArray();
    page.versions().forEach(version -> version(json, version, authors));
    json.endArray().name("next");
    if (page.next() == 0) {
      json.nothing();
    } else {
      json.number(page.next());
    }
    return Answer.of(json.name("truncated").bool(page.truncated()).endObject());
  }

  private static void version(JsonWriter json, Version version, Authors authors) {
    json.beginObject().name("version").string(version.name());
    json.name("actor").string(version.actor().hex());
    json.name("seq").number(version.seq());
    json.name("arrival").number(version.arrival());
    json.name("timestamp").number(version.wallMillis());
    json.name("counter").number(HybridClock.counter(version.timestamp()));
    authors.write(json, version.actor());
    json.name("effect").string(version.effect().name().toLowerCase(Locale.ROOT));
    json.name("steps").beginArray();
    version.steps().forEach(step -> step(json, step));
    json.endArray().name("omitted").number(version.omitted()).endObject();
  }

  private static void step(JsonWriter json, Step step) {
    json.beginObject();
    switch (step) {
      case Step.Set(var path, var index, var value, var bytes) -> {
        json.name("op").string("set").name("path").string(path).name("dot").number(index);
        if (value == null) {
          json.name("bytes").number(bytes);
        } else {
          json.name("value").raw(value.getBytes(StandardCharsets.UTF_8));
        }
      }
      case Step.Removed(var path) -> json.name("op").string("remove").name("path").string(path);
      case Step.Incremented(var path, var index, var amount) -> {
        json.name("op").string("increment").name("path").string(path).name("dot").number(index);
        json.name("amount").number(amount);
      }
      case Step.Edited(var path, var operation, var elements) -> {
        json.name("op").string(operation).name("path").string(path);
        json.name("elements").number(elements);
      }
      case Step.Embedded(var index, var dimensions) -> {
        json.name("op").string("embed").name("dot").number(index);
        json.name("dimensions").number(dimensions);
      }
      case Step.EmbeddingRemoved removed -> json.name("op").string("removeEmbedding");
      case Step.Unknown(var path, var index, var tag) ->
          json.name("op").string("unknown").name("dot").number(index).name("tag").number(tag);
    }
    json.endObject();
  }

  private Answer revert(Request request) {
    var body = JsonMembers.read(request.bytes(), "the body", REVERT);
    String id = body.string("id");
    CrdtStore store = store(request);
    Moment moment = MomentText.parse("to", body.string("to"), store.status().frontier());
    CrdtStore.await(store.revert(id, moment));
    return id(id);
  }

  private Answer conflicts(Request request) {
    String database = Parameters.database(request);
    CrdtStore store = node.store(database);
    String id = Parameters.optional(request, "id");
    var authors = new Authors(database);
    if (id != null) {
      NodeRecord document = store.get(id).orElseThrow(() -> CoreException.notFound(id));
      return BulkRoutes.documents(
          request,
          sink -> {
            var out = new BulkRoutes.Elements(request.wantsLines(), sink);
            conflicts(out, store, document, authors);
            out.end();
          });
    }
    return BulkRoutes.documents(
        request,
        sink -> {
          try (var documents = store.list("", null)) {
            var out = new BulkRoutes.Elements(request.wantsLines(), sink);
            while (documents.hasNext()) {
              conflicts(out, store, documents.next(), authors);
            }
            out.end();
          }
        });
  }

  /** Writes a document with what competes in it, or nothing when nothing does. */
  private static void conflicts(
      BulkRoutes.Elements out, CrdtStore store, NodeRecord document, Authors authors)
      throws java.io.IOException {
    if (document.conflicts().isEmpty()) {
      return;
    }
    List<Contest> contests;
    try {
      contests = store.contests(document.id());
    } catch (CoreException e) {
      // Deleted since the listing began.
      return;
    }
    if (!contests.isEmpty()) {
      out.write(
          json -> {
            DocumentRoutes.document(json, document);
            json.name("conflicts").beginArray();
            contests.forEach(contest -> contest(json, contest, authors));
            json.endArray();
          });
    }
  }

  private static void contest(JsonWriter json, Contest contest, Authors authors) {
    json.beginObject().name("path").string(Path.text(contest.path()));
    json.name("keys").beginArray();
    Path.keys(contest.path()).forEach(json::string);
    json.endArray().name("winner");
    claim(json, contest.winner(), authors);
    json.name("losers").beginArray();
    contest.losers().forEach(loser -> claim(json, loser, authors));
    json.endArray().endObject();
  }

  private static void claim(JsonWriter json, Contest.Claim claim, Authors authors) {
    var dot = claim.newest().dot();
    json.beginObject().name("value").raw(claim.json());
    json.name("version").string(dot.actor() + "." + dot.seq());
    json.name("actor").string(dot.actor().hex()).name("seq").number(dot.seq());
    json.name("timestamp").number(HybridClock.wallMillis(claim.newest().timestamp()));
    authors.write(json, dot.actor());
    json.endObject();
  }

  private Answer resolve(Request request) {
    var body = JsonMembers.read(request.bytes(), "the body", RESOLVE);
    String id = body.string("id");
    if (body.has("path") == body.has("keys")) {
      throw ApiException.invalid("the body must have either \"path\" or \"keys\"");
    }
    if (body.has("choose") == body.has("value")) {
      throw ApiException.invalid("the body must have either \"choose\" or \"value\"");
    }
    byte[] path =
        body.has("path")
            ? Path.parse(body.string("path"))
            : Path.of(
                body.elements("keys", Path.MAX_DEPTH).stream()
                    .map(key -> JsonMembers.text(key, "keys"))
                    .toList());
    CrdtStore.await(store(request).resolve(id, path, choice(body)));
    return id(id);
  }

  private static Choice choice(JsonMembers body) {
    if (body.has("value")) {
      return new Choice.Value(body.required("value").bytes());
    }
    String choose = new String(body.required("choose").bytes(), StandardCharsets.UTF_8);
    if (choose.equals("\"winner\"")) {
      return new Choice.Winner();
    }
    if (choose.startsWith("\"")) {
      throw ApiException.invalid(
          "choose must be \"winner\" or the number of a lost value, but is " + choose);
    }
    return new Choice.Loser((int) body.integer("choose", 1, Integer.MAX_VALUE, 0));
  }

  private static Answer id(String id) {
    return Answer.of(new JsonWriter().beginObject().name("id").string(id).endObject());
  }

  private CrdtStore store(Request request) {
    return node.store(Parameters.database(request));
  }

  /** The devices behind actors, each looked up once for an answer. */
  private final class Authors {
    private final String database;
    private final Map<ActorId, Author> known = new HashMap<>();

    Authors(String database) {
      this.database = database;
    }

    void write(JsonWriter json, ActorId actor) {
      Author author = known.computeIfAbsent(actor, a -> node.author(database, a));
      json.name("deviceId").string(author.deviceId()).name("name").string(author.name());
    }
  }
}
