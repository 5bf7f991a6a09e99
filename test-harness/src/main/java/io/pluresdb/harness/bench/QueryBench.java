package io.pluresdb.harness.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.engine.ReplicaStore;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.MemoryAnchor;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.store.Transaction.Acknowledgement;
import io.pluresdb.storage.index.DocumentQuery;
import io.pluresdb.storage.index.Filter;
import io.pluresdb.storage.index.IndexDefinition;
import io.pluresdb.storage.rocks.RocksOptions;
import io.pluresdb.storage.rocks.RocksStorage;
import io.pluresdb.storage.search.SearchIndexes;
import io.pluresdb.storage.search.Searches;
import io.pluresdb.storage.text.TextQuery;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.function.IntConsumer;
import java.util.zip.GZIPInputStream;

/** What a query costs, with an index and without. One replica in this process, on RocksDB. */
final class QueryBench {
  static final long WAIT_MILLIS = 600_000;
  private static final int WARM_UP = 60;
  private static final int RUNS = 200;
  private static final double TEXT_TARGET_MILLIS = 5;

  private QueryBench() {}

  /** A store on disk with its searches. */
  static final class Opened implements AutoCloseable {
    final RocksStorage storage;
    final ReplicaStore store;
    final SearchIndexes searches;

    Opened(Path folder) {
      storage =
          RocksStorage.open(
              folder.resolve("store"), RocksOptions.defaults(folder.resolveSibling("native")));
      var signer = new Signer(new byte[32]);
      var environment = new Environment(InstantSource.system(), new SecureRandom());
      var identity =
          new ReplicaIdentity(ReplicaIdentity.databaseHash("bench"), signer.publicKey(), signer);
      store =
          ReplicaStore.start(
              Replica.open(storage, identity, new MemoryAnchor(), environment),
              environment,
              event -> {},
              failure -> failure.printStackTrace());
      searches = SearchIndexes.open(storage, store, folder.resolve("indexes"));
    }

    /** Writes documents, many to a transaction. */
    void write(Iterable<Edit> edits) {
      var inFlight = new ArrayDeque<CompletableFuture<CrdtStore.Receipt>>();
      var batch = new ArrayList<Edit>();
      for (Edit edit : edits) {
        batch.add(edit);
        if (batch.size() == 200) {
          submit(batch, inFlight);
        }
      }
      if (!batch.isEmpty()) {
        submit(batch, inFlight);
      }
      inFlight.forEach(CrdtStore::await);
    }

    private void submit(List<Edit> batch, Deque<CompletableFuture<CrdtStore.Receipt>> inFlight) {
      inFlight.add(store.submit(new Transaction(batch, Acknowledgement.RELAXED)));
      batch.clear();
      if (inFlight.size() > 8) {
        CrdtStore.await(inFlight.remove());
      }
    }

    @Override
    public void close() {
      searches.close();
      store.close();
    }
  }

  static Report run(Path folder, int documents) {
    var report = new Report("query").add("documents", documents);
    boolean small = documents <= 10_000;
    try (var opened = new Opened(folder.resolve("db"))) {
      var random = new Random(5);
      var texts = new Documents(3);
      opened.write(
          () ->
              new java.util.Iterator<>() {
                private int i;

                @Override
                public boolean hasNext() {
                  return i < documents;
                }

                @Override
                public Edit next() {
                  String text = new String(texts.next(i), StandardCharsets.UTF_8);
                  String json =
                      text.replace("\"note\"", "\"kind" + random.nextInt(10) + "\"")
                          .replaceFirst("\"number\":\\d+", "\"number\":" + random.nextInt(1 << 24));
                  return Edit.put(Documents.id("doc", i++), json.getBytes(StandardCharsets.UTF_8));
                }
              });
      opened.storage.compact();
      IntConsumer query =
          i -> {
            byte[] filter =
                ("{\"type\":\"kind" + i % 10 + "\",\"number\":{\"gte\":" + (i * 1_000) + "}}")
                    .getBytes(StandardCharsets.UTF_8);
            var wanted =
                new DocumentQuery(
                    "", null, Filter.parse(filter), DocumentQuery.parseOrders("number"), 10);
            try (CrdtStore.Documents found = opened.searches.find(wanted)) {
              int count = 0;
              while (found.hasNext()) {
                found.next();
                count++;
              }
              if (count != 10) {
                throw new IllegalStateException("a query found " + count + " documents");
              }
            }
          };
      measure(report, "withoutIndexMillis", query, small ? 10 : 100);
      long start = System.nanoTime();
      opened.searches.declare(IndexDefinition.parse("type,number"));
      opened.searches.await(WAIT_MILLIS);
      report.add("indexMadeMillis", (System.nanoTime() - start) / 1e6);
      measure(report, "withIndexMillis", query, small ? 2 : 5);
      opened.searches.drop(IndexDefinition.parse("type,number"));
      opened.searches.declare(IndexDefinition.parse("number"));
      opened.searches.await(WAIT_MILLIS);
      measure(report, "withIndexOfOneFieldMillis", query, small ? 2 : 5);
      report.add("bytesOnDisk", opened.storage.bytesOnDisk());
    }
    return report;
  }

  /** What finding words costs over documents of a file: {@code {"id", "data"}} a line, gzipped. */
  static Report text(Path folder, Path file) throws IOException {
    var report = new Report("text search");
    var mapper = JsonMapper.builder().build();
    var edits = new ArrayList<Edit>();
    var words = new ArrayList<String>();
    try (var lines =
        new BufferedReader(
            new InputStreamReader(
                new GZIPInputStream(Files.newInputStream(file)), StandardCharsets.UTF_8))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        JsonNode document = mapper.readTree(line);
        JsonNode data = document.path("data");
        edits.add(Edit.put(document.path("id").asText(), mapper.writeValueAsBytes(data)));
        words.add(data.path("title").asText().replaceAll("[^\\p{L} ]", " ").strip());
      }
    }
    words.removeIf(String::isEmpty);
    report.add("documents", edits.size());
    try (var opened = new Opened(folder.resolve("db"))) {
      opened.write(edits);
      long start = System.nanoTime();
      search(opened, "film");
      report.add("indexMadeMillis", (System.nanoTime() - start) / 1e6);
      var random = new Random(1);
      measure(
          report,
          "wordsMillis",
          i -> search(opened, words.get(random.nextInt(words.size()))),
          TEXT_TARGET_MILLIS);
      measure(
          report,
          "phraseMillis",
          i -> search(opened, '"' + words.get(random.nextInt(words.size())) + '"'),
          TEXT_TARGET_MILLIS);
      measure(
          report,
          "prefixMillis",
          i -> {
            String word = words.get(random.nextInt(words.size())).split(" ")[0];
            search(opened, word.substring(0, Math.min(4, word.length())) + "*");
          },
          TEXT_TARGET_MILLIS);
      measure(
          report,
          "afterAWriteMillis",
          i -> {
            opened.store.put("new" + i, "{\"title\":\"fresh\"}".getBytes(StandardCharsets.UTF_8));
            if (search(opened, "fresh") == 0) {
              throw new IllegalStateException("a search did not see a write");
            }
          },
          Double.MAX_VALUE);
    }
    return report;
  }

  private static int search(Opened opened, String query) {
    return opened
        .searches
        .search(
            new Searches.Request(
                TextQuery.parse(query, null),
                new float[0],
                Filter.ALL,
                10,
                0,
                new Searches.Fusion.ReciprocalRank(),
                WAIT_MILLIS))
        .size();
  }

  /** Adds the median and the 99th percentile of a query; the target is the median's. */
  static void measure(Report report, String name, IntConsumer query, double target) {
    for (int i = 0; i < WARM_UP; i++) {
      query.accept(i);
    }
    long[] nanos = new long[RUNS];
    for (int i = 0; i < RUNS; i++) {
      long start = System.nanoTime();
      query.accept(i);
      nanos[i] = System.nanoTime() - start;
    }
    if (target < Double.MAX_VALUE) {
      report.add(name + "P50", Report.percentile(nanos, 0.5), "<=", target);
    } else {
      report.add(name + "P50", Report.percentile(nanos, 0.5));
    }
    report.add(name + "P99", Report.percentile(nanos, 0.99));
  }
}
