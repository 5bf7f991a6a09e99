package io.pluresdb.daemon.api;

import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.daemon.access.Level;
import io.pluresdb.daemon.api.Answer.Producer;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.storage.index.DocumentQuery;
import io.pluresdb.storage.index.Filter;
import io.pluresdb.storage.search.Searches;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/** Routes whose request or answer is of any length: they run in constant memory. */
final class BulkRoutes {
  /** Most changes a watcher looks at between two writes to its reader. */
  private static final int WATCH_STEP = 256;

  /**
   * Imports that go on at once, since each holds some transactions; the others are not read before
   * their turn has come.
   */
  static final int MAX_IMPORTS = 8;

  /** Documents of a sorted list unless said otherwise. */
  private static final int DEFAULT_SORTED = 100;

  private final Node node;
  private final long keepAliveMillis;
  private final Watchers watchers = new Watchers();
  private final Semaphore imports = new Semaphore(MAX_IMPORTS, true);

  /**
   * @param keepAlive how often an idle event stream sends a comment, to prove that it lives
   */
  BulkRoutes(Node node, Duration keepAlive) {
    this.node = node;
    keepAliveMillis = keepAlive.toMillis();
  }

  List<Route> routes() {
    return List.of(
        Route.get(
                "/api/list",
                Level.READ,
                "documents, ascending by the ids' UTF-8 bytes, or as `sort` says")
            .inDatabase()
            .may("prefix", "string", "ids begin with it")
            .may("type", "string", "the member `type` of each is this")
            .may("filter", "string", "a filter in JSON")
            .may("sort", "string", "fields, `-` before one for descending")
            .may("limit", "integer(1..)", "most of them; 100 with `sort`, else all")
            .may("after", "string", "ids come after it")
            .may("embeddings", "boolean", "with embeddings")
            .lists("Document")
            .waiting(this::list),
        Route.get("/api/watch", Level.READ, "changes as they come")
            .inDatabase()
            .may("prefix", "string", "ids begin with it")
            .may("since", "integer(0..)", "changes after that arrival; else from now on")
            .sends("Changed")
            .waiting(this::watch),
        Route.post("/api/import", Level.WRITE, "writes documents of any number")
            .inDatabase()
            .lines("Line")
            .answers("{imported: integer}")
            .reading(
                request -> {
                  String database = Parameters.database(request);
                  imports.acquire();
                  try {
                    return new Import(node.store(database), node.searches(database), request)
                        .answer();
                  } finally {
                    imports.release();
                  }
                }),
        Route.get("/api/export", Level.READ, "everything that import makes again elsewhere")
            .inDatabase()
            .may("prefix", "string", "ids begin with it")
            .lists("Line")
            .waiting(this::export));
  }

  private Answer export(Request request) {
    String database = Parameters.database(request);
    String prefix = request.query().getOrDefault("prefix", "");
    CrdtStore store = node.store(database);
    List<List<String>> indexes =
        node.searches(database).status().stream()
            .filter(index -> index.kind().equals("fields"))
            .map(Searches.IndexStatus::fields)
            .toList();
    return documents(
        request,
        sink -> {
          try (var documents = store.list(prefix, null)) {
            var out = new Elements(request.wantsLines(), sink);
            if (!indexes.isEmpty()) {
              out.write(json -> ExportLine.writeHeader(json, indexes));
            }
            while (documents.hasNext()) {
              NodeRecord document = documents.next();
              out.write(json -> ExportLine.write(json, document));
            }
            out.end();
          }
        });
  }

  private Answer list(Request request) {
    String database = Parameters.database(request);
    String prefix = request.query().getOrDefault("prefix", "");
    String after = Parameters.optional(request, "after");
    String type = Parameters.optional(request, "type");
    String filter = Parameters.optional(request, "filter");
    String sort = Parameters.optional(request, "sort");
    long otherwise = sort == null ? Long.MAX_VALUE : DEFAULT_SORTED;
    long limit = Parameters.integer(request, "limit", 1, otherwise);
    boolean embeddings = Parameters.bool(request, "embeddings", false);
    boolean all = type == null && filter == null && sort == null;
    Filter wanted =
        filter == null ? Filter.ALL : Filter.parse(filter.getBytes(StandardCharsets.UTF_8));
    var query =
        new DocumentQuery(
            prefix,
            after,
            wanted.andEquals("type", type),
            sort == null ? List.of() : DocumentQuery.parseOrders(sort),
            limit);
    CrdtStore store = node.store(database);
    return documents(
        request,
        sink -> {
          try (var documents =
              all ? store.list(prefix, after) : node.searches(database).find(query)) {
            var out = new Elements(request.wantsLines(), sink);
            for (long left = limit; left > 0 && documents.hasNext(); left--) {
              NodeRecord document = documents.next();
              out.write(
                  json -> {
                    DocumentRoutes.document(json, document);
                    if (embeddings) {
                      embedding(json, document);
                    }
                  });
            }
            out.end();
          }
        });
  }

  /** The member {@code embedding} of a document that has one. */
  static void embedding(JsonWriter json, NodeRecord document) {
    if (document.embedding() != null) {
      DocumentRoutes.embedding(json.name("embedding"), document);
    }
  }

  /** A streamed list of documents. */
  static Answer documents(Request request, Producer producer) {
    return new Answer.Streamed(request.wantsLines() ? Answer.NDJSON : Answer.JSON, producer);
  }

  /** Objects as the elements of a JSON array, or one a line. */
  static final class Elements {
    private final JsonWriter json = new JsonWriter();
    private final boolean lines;
    private final Sink sink;

    Elements(boolean lines, Sink sink) {
      this.lines = lines;
      this.sink = sink;
      if (!lines) {
        json.beginArray();
      }
    }

    void write(Consumer<JsonWriter> members) throws IOException {
      json.beginObject();
      members.accept(json);
      json.endObject();
      if (lines) {
        json.newline();
      }
      send();
    }

    void end() throws IOException {
      if (!lines) {
        json.endArray();
      }
      send();
    }

    private void send() throws IOException {
      sink.write(json.array(), 0, json.size());
      json.forget();
    }
  }

  /**
   * Server-sent events (WHATWG HTML, 9.2). The watcher is a place in the arrival log: a reader that
   * falls behind is not sent what it missed one by one, it reads on from its place, seeing each
   * document as it is by then.
   */
  private Answer watch(Request request) {
    CrdtStore store = node.store(Parameters.database(request));
    String prefix = request.query().getOrDefault("prefix", "");
    String resume = request.headers().get("last-event-id");
    long since =
        resume != null
            ? Parameters.integer("Last-Event-ID", resume, 0)
            : Parameters.integer(request, "since", 0, -1);
    long start = since >= 0 ? since : store.status().arrivals();
    return new Answer.Streamed(
        Answer.EVENTS,
        sink -> {
          var woken = new Semaphore(0);
          sink.onClose(woken::release);
          watchers.join(store, woken);
          try {
            follow(store, prefix, start, sink, woken);
          } finally {
            watchers.leave(store, woken);
          }
        });
  }

  private void follow(CrdtStore store, String prefix, long start, Sink sink, Semaphore woken)
      throws IOException, InterruptedException {
    var json = new JsonWriter();
    // The place is said at once and with each comment: a reader that saw no event yet resumes too.
    ascii(sink, ": watching\nid: " + start + "\n\n");
    sink.flush();
    long place = start;
    while (true) {
      // Before reading: a commit that comes after the read wakes us again.
      woken.drainPermits();
      CrdtStore.Events events = store.events(prefix, place, WATCH_STEP);
      if (events.next() != place) {
        send(events, json, sink);
        place = events.next();
      } else if (!woken.tryAcquire(keepAliveMillis, TimeUnit.MILLISECONDS)) {
        ascii(sink, ": keep-alive\nid: " + place + "\n\n");
        sink.flush();
      } else {
        // Woken by a commit, or because the reader left: flushing finds out which.
        sink.flush();
      }
    }
  }

  private static void send(CrdtStore.Events events, JsonWriter json, Sink sink) throws IOException {
    Iterator<CrdtStore.Event> list = events.events().iterator();
    if (events.truncated()) {
      ascii(sink, "data: {\"type\":\"truncated\"}\n\n");
    }
    CrdtStore.Event following = list.hasNext() ? list.next() : null;
    while (following != null) {
      CrdtStore.Event event = following;
      following = list.hasNext() ? list.next() : null;
      // Events of one change share their place: only the last may say it, or resuming skips some.
      if (following == null || following.arrival() != event.arrival()) {
        ascii(sink, "id: " + event.arrival() + "\n");
      }
      ascii(sink, "data: ");
      json.clear().beginObject();
      NodeRecord document = event.document();
      if (document == null) {
        json.name("type").string("delete").name("id").string(event.id());
      } else {
        json.name("type").string("upsert");
        DocumentRoutes.document(json, document);
      }
      json.endObject();
      sink.write(json.array(), 0, json.size());
      ascii(sink, "\n\n");
    }
    sink.flush();
  }

  private static void ascii(Sink sink, String text) throws IOException {
    byte[] bytes = text.getBytes(java.nio.charset.StandardCharsets.US_ASCII);
    sink.write(bytes, 0, bytes.length);
  }
}
