package io.pluresdb.harness.bench;

import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.daemon.node.NodeOptions;
import io.pluresdb.storage.rocks.RawRocks;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;

/** How many durable writes one device takes, by number of clients. */
final class PutBench {
  private static final int[] CLIENTS = {1, 16, 256};
  private static final int[] PUTS = {5_000, 50_000, 200_000};

  private PutBench() {}

  /**
   * Each client is a thread that puts a new 200-byte document once the one before is on disk;
   * beside it, RocksDB alone with the same clients and the same group commit.
   */
  static Report run(Path directory) throws InterruptedException {
    var report = new Report("put").add("documentBytes", Documents.BYTES);
    try (DeviceNode node = DeviceNode.open(directory.resolve("a"), NodeOptions.offline("bench"))) {
      CrdtStore store = node.store(Node.DEFAULT_DATABASE);
      puts(store, "warm-up", 256, 100_000);
      for (int i = 0; i < CLIENTS.length; i++) {
        int clients = CLIENTS[i];
        Path rawDirectory = directory.resolve("raw-" + clients);
        double raw = RawRocks.groupCommittedPuts(rawDirectory, clients, PUTS[i], Documents.BYTES);
        double ours = puts(store, "c" + clients, clients, PUTS[i]);
        report.add("rawPutsPerSecond" + clients, raw).add("putsPerSecond" + clients, ours);
        if (clients == 256) {
          report.add("shareOfRaw" + clients, ours / raw, ">=", 0.5);
        } else {
          report.add("shareOfRaw" + clients, ours / raw);
        }
      }
    }
    return report;
  }

  private static double puts(CrdtStore store, String set, int clients, int puts)
      throws InterruptedException {
    int each = puts / clients;
    var start = new CountDownLatch(1);
    var threads = new Thread[clients];
    for (int client = 0; client < clients; client++) {
      String name = set + "-" + client;
      var documents = new Documents(client);
      threads[client] =
          Thread.ofVirtual()
              .start(
                  () -> {
                    awaitQuietly(start);
                    for (int i = 0; i < each; i++) {
                      store.put(Documents.id(name, i), documents.next(i));
                    }
                  });
    }
    long begun = System.nanoTime();
    start.countDown();
    for (Thread thread : threads) {
      thread.join();
    }
    return (double) each * clients / ((System.nanoTime() - begun) / 1e9);
  }

  private static void awaitQuietly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
