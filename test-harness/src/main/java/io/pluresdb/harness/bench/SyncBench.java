package io.pluresdb.harness.bench;

import io.pluresdb.storage.rocks.RawRocks;
import java.nio.file.Path;

/** How fast a device gets many documents from another, and a stream of new ones. */
final class SyncBench {
  private static final int BATCH = 1_000;
  private static final int ROUNDS = 5;

  private final Child a;
  private final Child b;
  private final int documents;

  /** Documents that both have. */
  private long held;

  private SyncBench(Child a, Child b, int documents) {
    this.a = a;
    this.b = b;
    this.documents = documents;
  }

  /**
   * Two processes on loopback. One device writes {@code documents} while the other is away
   * (catch-up: from its return until all is on its disk), then as many more while it is there
   * (live: from the first write until all is on both disks); beside it, RocksDB alone with the same
   * bytes in synced batches. Both go on in the same databases, and begin when nothing is left to do
   * of what was before. Medians of five rounds; the first catch-up of all, by processes that have
   * just started, stands for itself.
   */
  static Report run(Path directory, int documents) {
    var report =
        new Report("sync").add("documents", documents).add("documentBytes", Documents.BYTES);
    double[] catchUp = new double[ROUNDS];
    double[] live = new double[ROUNDS];
    double[] wire = new double[ROUNDS];
    double[] raw = new double[ROUNDS];
    try (Child a = Child.peer(directory.resolve("a"));
        Child b = Child.peer(directory.resolve("b"));
        RawRocks rocks = RawRocks.open(directory.resolve("raw"))) {
      var bench = new SyncBench(a, b, documents);
      report.add("firstCatchUpDocumentsPerSecond", bench.join());
      WarmUp.run(bench::compilingMillis, bench::warmUp);
      rocks.batchedPuts(documents, Documents.BYTES, BATCH);
      for (int round = 0; round < ROUNDS; round++) {
        bench.settle();
        raw[round] = rocks.batchedPuts(documents, Documents.BYTES, BATCH);
        bench.goAway("catch-up-" + round);
        bench.settle();
        long before = bench.traffic();
        catchUp[round] = bench.catchUp();
        wire[round] = (bench.traffic() - before) / (double) documents;
        bench.settle();
        live[round] = bench.live("live-" + round);
      }
      bench.requireEqual();
    }
    return report
        .add("rawRocksDocumentsPerSecond", PutBench.median(raw))
        .add("catchUpDocumentsPerSecond", PutBench.median(catchUp), ">=", 30_000)
        .add("catchUpShareOfRaw", PutBench.median(shares(catchUp, raw)), ">=", 0.25)
        .add("liveDocumentsPerSecond", PutBench.median(live), ">=", 30_000)
        .add("liveShareOfRaw", PutBench.median(shares(live, raw)), ">=", 0.25)
        .add("wireBytesPerDocument", PutBench.median(wire), "<=", 240)
        .add("equal", true);
  }

  private static double[] shares(double[] rates, double[] raw) {
    double[] shares = new double[rates.length];
    for (int i = 0; i < shares.length; i++) {
      shares[i] = rates[i] / raw[i];
    }
    return shares;
  }

  /** The one writes, the other joins and gets it; documents a second from the joining. */
  private double join() {
    a.ask("open");
    b.ask("open");
    String url = a.ask("invite")[0];
    a.ask("load join " + documents);
    long begun = System.nanoTime();
    b.ask("join " + url);
    return rate(begun, awaitAll());
  }

  private void warmUp(int round) {
    goAway("warm-up-" + round);
    catchUp();
    live("warm-up-live-" + round);
  }

  private long compilingMillis() {
    return Long.parseLong(a.ask("compiling")[1]) + Long.parseLong(b.ask("compiling")[1]);
  }

  private void settle() {
    a.ask("settle");
    b.ask("settle");
  }

  /** One leaves, the other writes. */
  private void goAway(String set) {
    b.ask("close");
    a.ask("load " + set + " " + documents);
  }

  private double catchUp() {
    long begun = Long.parseLong(b.ask("open")[1]);
    return rate(begun, awaitAll());
  }

  private double live(String set) {
    String[] loaded = a.ask("load " + set + " " + documents);
    return rate(Long.parseLong(loaded[1]), awaitAll());
  }

  /** When all the documents written last are on both disks. */
  private long awaitAll() {
    held += documents;
    b.ask("documents " + held);
    return Long.parseLong(a.ask("acknowledged")[1]);
  }

  private double rate(long begun, long done) {
    return documents / ((done - begun) / 1e9);
  }

  private long traffic() {
    return Long.parseLong(a.ask("traffic")[1]);
  }

  private void requireEqual() {
    if (!a.ask("hash")[0].equals(b.ask("hash")[0])) {
      throw new IllegalStateException("the devices are not equal");
    }
  }
}
