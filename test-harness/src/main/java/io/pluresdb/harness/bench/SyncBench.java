package io.pluresdb.harness.bench;

import io.pluresdb.storage.rocks.RawRocks;
import java.nio.file.Path;

/** How fast a device gets many documents from another, and a stream of new ones. */
final class SyncBench {
  private static final int WARM_UP = 60_000;
  private static final int BATCH = 1_000;

  private SyncBench() {}

  /**
   * Two processes on loopback. After a warm-up of other documents, one device writes {@code
   * documents} while the other is away (catch-up: from its return until all is on its disk), then
   * as many more while it is there (live: from the first write until all is on both disks).
   */
  static Report run(Path directory, int documents) {
    var report =
        new Report("sync").add("documents", documents).add("documentBytes", Documents.BYTES);
    double catchUp;
    double live;
    double wire;
    try (Child a = Child.peer(directory.resolve("a"));
        Child b = Child.peer(directory.resolve("b"))) {
      a.ask("open");
      b.ask("open");
      String url = a.ask("invite")[0];
      a.ask("load warm-up " + WARM_UP);
      b.ask("join " + url);
      b.ask("documents " + WARM_UP);
      a.ask("acknowledged");
      a.ask("load warm-up-live " + WARM_UP);
      b.ask("documents " + 2 * WARM_UP);
      a.ask("acknowledged");
      b.ask("close");
      a.ask("load catch-up " + documents);
      long before = Long.parseLong(a.ask("traffic")[1]);
      long begun = Long.parseLong(b.ask("open")[1]);
      b.ask("documents " + (2 * WARM_UP + documents));
      long done = Long.parseLong(a.ask("acknowledged")[1]);
      wire = (Long.parseLong(a.ask("traffic")[1]) - before) / (double) documents;
      catchUp = documents / seconds(begun, done);
      String[] loaded = a.ask("load live " + documents);
      done = Long.parseLong(a.ask("acknowledged")[1]);
      live = documents / seconds(Long.parseLong(loaded[1]), done);
      if (!a.ask("hash")[0].equals(b.ask("hash")[0])) {
        throw new IllegalStateException("the devices are not equal");
      }
    }
    double raw =
        RawRocks.batchedPuts(directory.resolve("raw"), documents, Documents.BYTES, BATCH, true);
    return report
        .add("rawRocksDocumentsPerSecond", raw)
        .add("catchUpDocumentsPerSecond", catchUp, ">=", 30_000)
        .add("catchUpShareOfRaw", catchUp / raw, ">=", 0.25)
        .add("liveDocumentsPerSecond", live, ">=", 30_000)
        .add("liveShareOfRaw", live / raw, ">=", 0.25)
        .add("wireBytesPerDocument", wire, "<=", 240)
        .add("equal", true);
  }

  private static double seconds(long begun, long done) {
    return (done - begun) / 1e9;
  }
}
