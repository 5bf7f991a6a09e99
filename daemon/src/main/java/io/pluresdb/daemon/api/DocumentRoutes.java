package io.pluresdb.daemon.api;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Moment;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.store.Transaction.Acknowledgement;
import io.pluresdb.crdt.value.CanonicalJson;
import io.pluresdb.daemon.access.Level;
import io.pluresdb.daemon.api.JsonMembers.Slice;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.storage.index.Filter;
import io.pluresdb.storage.search.Searches;
import io.pluresdb.storage.text.Highlight;
import io.pluresdb.storage.text.TextQuery;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Routes that read or write single documents and batches. */
final class DocumentRoutes {
  /** A document, its id and an embedding in decimal. */
  static final int DOCUMENT_BODY_BYTES = CanonicalJson.MAX_BYTES + (128 << 10);

  /** Largest batch body; the change it becomes has its own limit. */
  static final int BATCH_BODY_BYTES = 8 << 20;

  /** What a result takes besides its id. */
  private static final int RESULT_BYTES = 16;

  private static final long MAX_WAIT_MILLIS = 600_000;

  private static final int DEFAULT_HITS = 10;

  private static final int MAX_COPIES = 63;
  private static final long DEFAULT_COPIES_WAIT_MILLIS = 10_000;
  private static final String COPIES = " copies?: integer(0..63), waitMillis?: integer(0..600000)";
  private static final List<String> PUT =
      List.of("id", "data", "embedding", "durability", "copies", "waitMillis");
  private static final List<String> PATCH =
      List.of("id", "patch", "durability", "copies", "waitMillis");
  private static final List<String> BATCH =
      List.of("operations", "atomic", "durability", "copies", "waitMillis");
  private static final List<String> SEARCH =
      List.of(
          "query",
          "field",
          "near",
          "embedding",
          "limit",
          "threshold",
          "filter",
          "alpha",
          "waitMillis");

  private final Node node;

  DocumentRoutes(Node node) {
    this.node = node;
  }

  List<Route> routes() {
    return List.of(
        Route.post("/api/put", Level.WRITE, "writes a document, whatever it was before")
            .inDatabase()
            .body(
                "{id: Id, data: any, embedding?: number[] | null, durability?: Durability,"
                    + COPIES
                    + "}",
                DOCUMENT_BODY_BYTES)
            .answers("Written")
            .prompt(this::put),
        Route.post("/api/patch", Level.WRITE, "merges a patch (RFC 7396) into a document")
            .inDatabase()
            .body(
                "{id: Id, patch: any, durability?: Durability," + COPIES + "}", DOCUMENT_BODY_BYTES)
            .answers("Written")
            .prompt(this::patch),
        Route.post("/api/batch", Level.WRITE, "does several things together or each on its own")
            .inDatabase()
            .body(
                "{operations: Operation[1000], atomic?: boolean, durability?: Durability,"
                    + COPIES
                    + "}",
                BATCH_BODY_BYTES)
            .answers("{results: Result[]}")
            .prompt(this::batch),
        Route.get("/api/get", Level.READ, "a document, now or at a moment")
            .inDatabase()
            .must("id", "Id", "which")
            .may("at", "string", "a moment")
            .may("metadata", "boolean", "also clock, embedding and conflicts")
            .answers("FullDocument")
            .prompt(this::get),
        Route.delete("/api/delete", Level.WRITE, "deletes a document")
            .inDatabase()
            .must("id", "Id", "which")
            .may("copies", "integer(0..63)", "other devices that must have it too")
            .may("waitMillis", "integer(0..600000)", "for so long, 10000 unless said")
            .answers("Written")
            .prompt(this::delete),
        Route.post(
                "/api/search",
                Level.READ,
                "finds documents by words, by an embedding, or by both; best first")
            .inDatabase()
            .body(
                "{query?: string, field?: string, embedding?: number[], near?: any, filter?: any, alpha?:"
                    + " number(0..1), limit?: integer(1..10000), threshold?: number(0..1),"
                    + " waitMillis?: integer(0..600000)}",
                DOCUMENT_BODY_BYTES)
            .answers("Hit[]")
            .waiting(this::search));
  }

  private CompletableFuture<Answer> put(Request request) {
    var body = JsonMembers.read(request.bytes(), "the body", PUT);
    return write(request, put(body), promise(request, body));
  }

  /**
   * Lets a write of edits go on, when it is known whether their dimensions may be checked: the
   * first check reads documents, so not on the event loop.
   */
  private CompletableFuture<Answer> checked(
      Request request, List<Edit> edits, Supplier<CompletableFuture<Answer>> write) {
    boolean concerned = false;
    for (Edit edit : edits) {
      concerned |= Searches.concernsDimension(edit);
    }
    if (!concerned) {
      return write.get();
    }
    return CompletableFuture.runAsync(
            () -> node.searches(Parameters.database(request)).prepareDimensions(),
            task -> Thread.ofVirtual().name("dimension").start(task))
        .thenCompose(prepared -> write.get());
  }

  private CompletableFuture<Answer> patch(Request request) {
    var body = JsonMembers.read(request.bytes(), "the body", PATCH);
    Edit patch = Edit.patch(body.string("id"), body.required("patch").bytes());
    return write(request, patch, promise(request, body));
  }

  private CompletableFuture<Answer> delete(Request request) {
    int copies = (int) Parameters.integer(request, "copies", 0, MAX_COPIES, 0);
    long wait =
        Parameters.integer(request, "waitMillis", 0, MAX_WAIT_MILLIS, DEFAULT_COPIES_WAIT_MILLIS);
    return write(
        request,
        Edit.delete(Parameters.required(request, "id")),
        promise(request, Acknowledgement.LOCAL, copies, wait));
  }

  private CompletableFuture<Answer> write(Request request, Edit edit, Promise promise) {
    return checked(request, List.of(edit), () -> submit(request, edit, promise));
  }

  private CompletableFuture<Answer> submit(Request request, Edit edit, Promise promise) {
    var transaction = new Transaction(List.of(edit), promise.acknowledgement);
    CrdtStore store = store(request);
    EntityTag.Condition condition = EntityTag.condition(request.headers());
    // Made before: whoever waits for the same commit waits for what follows it.
    Answer answer = Answer.of(result(new JsonWriter(edit.id().length + RESULT_BYTES), edit));
    return kept(
            request,
            promise,
            condition == null
                ? store.submit(transaction)
                : store.submitIf(
                    List.of(new CrdtStore.Condition(text(edit.id()), condition)), transaction))
        .thenApply(receipt -> answer);
  }

  /** A write that is as safe as was asked for. */
  private CompletableFuture<CrdtStore.Receipt> kept(
      Request request, Promise promise, CompletableFuture<CrdtStore.Receipt> write) {
    return promise.copies == 0
        ? write
        : write.thenCompose(
            receipt ->
                node.awaitCopies(
                        Parameters.database(request), receipt, promise.copies, promise.patience)
                    .thenApply(copies -> receipt));
  }

  /** A put as {@code /api/put}, {@code /api/batch} and {@code /api/import} spell it. */
  static Edit.Put put(JsonMembers members) {
    String id = members.string("id");
    byte[] data = members.required("data").bytes();
    float[] embedding = members.floats("embedding");
    return embedding == null ? Edit.put(id, data) : Edit.put(id, data, embedding);
  }

  /**
   * When a write is answered.
   *
   * @param copies other devices that must have it on their disks; 0 for none
   * @param patience for so long
   */
  private record Promise(Acknowledgement acknowledgement, int copies, Duration patience) {}

  private Promise promise(Request request, JsonMembers members) {
    Acknowledgement acknowledgement = acknowledgement(members);
    int copies = (int) members.integer("copies", 0, MAX_COPIES, 0);
    long wait = members.integer("waitMillis", 0, MAX_WAIT_MILLIS, DEFAULT_COPIES_WAIT_MILLIS);
    return promise(request, acknowledgement, copies, wait);
  }

  /** Refuses what cannot be kept before anything is written. */
  private Promise promise(
      Request request, Acknowledgement acknowledgement, int copies, long waitMillis) {
    if (copies > 0) {
      node.requireCopies(Parameters.database(request), copies);
    }
    return new Promise(acknowledgement, copies, Duration.ofMillis(waitMillis));
  }

  private static Acknowledgement acknowledgement(JsonMembers members) {
    if (!members.has("durability")) {
      return Acknowledgement.LOCAL;
    }
    return switch (members.string("durability")) {
      case "local" -> Acknowledgement.LOCAL;
      case "relaxed" -> Acknowledgement.RELAXED;
      default ->
          throw ApiException.invalid(
              "durability must be \"local\" or \"relaxed\", but is \""
                  + members.string("durability")
                  + "\"");
    };
  }

  private CompletableFuture<Answer> batch(Request request) {
    var body = JsonMembers.read(request.bytes(), "the body", BATCH);
    List<Slice> operations = body.elements("operations", ChangeBody.MAX_EDITS);
    var edits = new ArrayList<Edit>(operations.size());
    for (int i = 0; i < operations.size(); i++) {
      edits.add(BatchOperation.read(operations.get(i), "operations[" + i + "]"));
    }
    Promise promise = promise(request, body);
    boolean atomic = body.bool("atomic", true);
    return checked(request, edits, () -> submit(request, edits, promise, atomic));
  }

  private CompletableFuture<Answer> submit(
      Request request, List<Edit> edits, Promise promise, boolean atomic) {
    CrdtStore store = store(request);
    if (atomic) {
      return kept(request, promise, store.submit(new Transaction(edits, promise.acknowledgement)))
          .thenApply(
              receipt -> {
                var json = new JsonWriter().beginObject().name("results").beginArray();
                edits.forEach(edit -> result(json, edit));
                return Answer.of(json.endArray().endObject());
              });
    }
    List<CompletableFuture<CrdtStore.Receipt>> each = new ArrayList<>(edits.size());
    for (Edit edit : edits) {
      var one = new Transaction(List.of(edit), promise.acknowledgement);
      each.add(kept(request, promise, submit(store, one)));
    }
    return CompletableFuture.allOf(each.toArray(CompletableFuture<?>[]::new))
        .handle((done, failure) -> results(edits, each));
  }

  /** As {@link CrdtStore#submit}, with a refusal at once as a failed future too. */
  private static CompletableFuture<CrdtStore.Receipt> submit(CrdtStore store, Transaction one) {
    try {
      return store.submit(one);
    } catch (RuntimeException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private static Answer results(List<Edit> edits, List<CompletableFuture<CrdtStore.Receipt>> each) {
    var json = new JsonWriter().beginObject().name("results").beginArray();
    for (int i = 0; i < edits.size(); i++) {
      if (each.get(i).isCompletedExceptionally()) {
        ApiException failure = ApiException.of(each.get(i).exceptionNow());
        json.beginObject().name("id").string(text(edits.get(i).id())).name("error");
        json.beginObject().name("code").string(failure.code());
        json.name("message").string(failure.message());
        json.name("hint").string(failure.hint()).endObject().endObject();
      } else {
        result(json, edits.get(i));
      }
    }
    return Answer.of(json.endArray().endObject());
  }

  private static JsonWriter result(JsonWriter json, Edit edit) {
    return json.beginObject().name("id").string(text(edit.id())).endObject();
  }

  private static String text(byte[] id) {
    return new String(id, java.nio.charset.StandardCharsets.UTF_8);
  }

  private CompletableFuture<Answer> get(Request request) {
    String id = Parameters.required(request, "id");
    boolean metadata = Parameters.bool(request, "metadata", false);
    CrdtStore store = store(request);
    String at = Parameters.optional(request, "at");
    if (at != null) {
      // Reads the log, so not on the event loop.
      Moment moment = MomentText.parse("at", at, store.status().frontier());
      return CompletableFuture.supplyAsync(
          () -> {
            NodeRecord then =
                store
                    .getAsOf(id, moment)
                    .orElseThrow(
                        () ->
                            new CoreException(
                                CoreException.Kind.NOT_FOUND,
                                "document \"" + id + "\" did not exist at " + at));
            return answer(then, metadata);
          },
          task -> Thread.ofVirtual().name("as-of").start(task));
    }
    NodeRecord document = store.get(id).orElseThrow(() -> CoreException.notFound(id));
    String etag = EntityTag.of(document);
    return CompletableFuture.completedFuture(
        EntityTag.isKnown(request.headers(), etag)
            ? new Answer.Unchanged(etag)
            : new Answer.Whole(json(document, metadata), etag));
  }

  private static Answer answer(NodeRecord document, boolean metadata) {
    return new Answer.Whole(json(document, metadata), "");
  }

  private static byte[] json(NodeRecord document, boolean metadata) {
    var json = new JsonWriter().beginObject();
    document(json, document);
    if (metadata) {
      json.name("clock").beginObject();
      document.clock().forEach((actor, seq) -> json.name(actor.hex()).number(seq));
      json.endObject().name("embedding");
      embedding(json, document);
      json.name("conflicts");
      conflicts(json, document);
    }
    return json.endObject().toByteArray();
  }

  private Answer search(Request request) {
    var body = JsonMembers.read(request.bytes(), "the body", SEARCH);
    TextQuery text =
        body.has("query")
            ? TextQuery.parse(body.string("query"), body.has("field") ? body.string("field") : null)
            : null;
    float[] given = body.floats("embedding");
    if (given != null && body.has("near")) {
      throw ApiException.invalid("the body must have \"embedding\" or \"near\", not both");
    }
    Searches searches = node.searches(Parameters.database(request));
    float[] embedding =
        body.has("near")
            ? searches.embed(body.string("near"))
            : given == null ? new float[0] : given;
    if (text == null && embedding.length == 0) {
      throw ApiException.invalid(
          "the body must have \"query\", words, or \"embedding\", an array of numbers, or \"near\","
              + " a text to make one of");
    }
    Searches.Fusion fusion =
        body.has("alpha")
            ? new Searches.Fusion.Weighted(body.number("alpha", 0, 1, 0))
            : new Searches.Fusion.ReciprocalRank();
    int limit = (int) body.integer("limit", 1, Searches.MAX_HITS, DEFAULT_HITS);
    double threshold = body.number("threshold", 0, 1, 0);
    Filter filter = body.has("filter") ? Filter.parse(body.required("filter").bytes()) : Filter.ALL;
    long wait = body.integer("waitMillis", 0, MAX_WAIT_MILLIS, Searches.DEFAULT_WAIT_MILLIS);
    var search = new Searches.Request(text, embedding, filter, limit, threshold, fusion, wait);
    var json = new JsonWriter().beginArray();
    for (Searches.Hit hit : searches.search(search)) {
      json.beginObject();
      document(json, hit.document());
      json.name("score").number(hit.score());
      if (text != null) {
        json.name("highlights");
        highlights(json, hit.highlights());
      }
      if (text != null && embedding.length > 0) {
        json.name("explain").beginObject();
        leg(json.name("text"), hit.text());
        leg(json.name("vector"), hit.vector());
        json.endObject();
      }
      json.endObject();
    }
    return Answer.of(json.endArray());
  }

  private static void leg(JsonWriter json, Searches.@Nullable Leg leg) {
    if (leg == null) {
      json.nothing();
      return;
    }
    json.beginObject().name("rank").number(leg.rank());
    json.name("score").number(leg.score()).endObject();
  }

  private static void highlights(JsonWriter json, List<Highlight> highlights) {
    json.beginArray();
    for (Highlight highlight : highlights) {
      json.beginObject().name("field").string(highlight.field());
      json.name("text").string(highlight.text()).name("matches").beginArray();
      for (Highlight.Match match : highlight.matches()) {
        json.beginArray().number(match.from()).number(match.to()).endArray();
      }
      json.endArray().endObject();
    }
    json.endArray();
  }

  private CrdtStore store(Request request) {
    return node.store(Parameters.database(request));
  }

  /** The members that every route shows of a document. */
  static void document(JsonWriter json, NodeRecord document) {
    json.name("id").string(document.id());
    json.name("data").raw(document.data());
    json.name("timestamp").number(document.timestamp());
  }

  static void embedding(JsonWriter json, NodeRecord document) {
    float[] embedding = document.embedding();
    if (embedding == null) {
      json.nothing();
      return;
    }
    json.beginArray();
    for (float value : embedding) {
      json.number(value);
    }
    json.endArray();
  }

  /** What lost: {@code value}, or {@code increment} where a counter's step lost against a value. */
  static void conflicts(JsonWriter json, NodeRecord document) {
    json.beginArray();
    for (NodeRecord.Conflict conflict : document.conflicts()) {
      json.beginObject().name("path").string(conflict.path());
      String value = conflict.value();
      if (value.startsWith("+")) {
        json.name("increment").number(Long.parseLong(value.substring(1)));
      } else {
        json.name("value").raw(value.getBytes(java.nio.charset.StandardCharsets.UTF_8));
      }
      json.name("actor").string(conflict.dot().actor().hex());
      json.name("seq").number(conflict.dot().seq());
      json.name("timestamp").number(conflict.timestamp()).endObject();
    }
    json.endArray();
  }
}
