package io.pluresdb.harness.bench;

import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.daemon.node.NodeOptions;
import io.pluresdb.storage.rocks.RawRocks;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;

/** How many durable writes one device takes, by number of clients. */
final class PutBench {
  private static final int[] CLIENTS = {1, 16, 256};
  private static final int[] PUTS = {3_000, 30_000, 120_000};
  private static final int[] WARM_UP_PUTS = {500, 10_000, 60_000};
  private static final int RAW_WARM_UP_PUTS = 100_000;
  private static final int ROUNDS = 5;

  private PutBench() {}

  /**
   * Each client is a thread that puts a new 200-byte document once the one before is on disk;
   * beside it, RocksDB alone with the same clients and the same group commit, and, to know what
   * that is worth, RocksDB called by the clients themselves. Each of the three goes on in a
   * database of its own and so flushes and merges what it wrote before, and begins a round when the
   * others have nothing left to do. Medians of five rounds.
   */
  static Report run(Path directory) throws InterruptedException {
    var report = new Report("put").add("documentBytes", Documents.BYTES);
    try (DeviceNode node = DeviceNode.open(directory.resolve("a"), NodeOptions.offline("bench"));
        RawRocks grouped = RawRocks.open(directory.resolve("raw-grouped"));
        RawRocks direct = RawRocks.open(directory.resolve("raw-direct"))) {
      CrdtStore store = node.store(Node.DEFAULT_DATABASE);
      warmUp(store);
      grouped.groupCommittedPuts(256, RAW_WARM_UP_PUTS, Documents.BYTES);
      direct.syncedPuts(256, RAW_WARM_UP_PUTS, Documents.BYTES);
      for (int i = 0; i < CLIENTS.length; i++) {
        int clients = CLIENTS[i];
        double[] raw = new double[ROUNDS];
        double[] called = new double[ROUNDS];
        double[] ours = new double[ROUNDS];
        double[] share = new double[ROUNDS];
        // In turn, so that a busy moment of the machine falls on all.
        for (int round = 0; round < ROUNDS; round++) {
          Settle.await();
          raw[round] = grouped.groupCommittedPuts(clients, PUTS[i], Documents.BYTES);
          Settle.await();
          called[round] = direct.syncedPuts(clients, PUTS[i], Documents.BYTES);
          Settle.await();
          ours[round] = puts(store, "c" + clients + "-" + round, clients, PUTS[i]);
          share[round] = ours[round] / raw[round];
        }
        report
            .add("rawPutsPerSecond" + clients, median(raw))
            .add("rocksCalledByClientsPutsPerSecond" + clients, median(called))
            .add("putsPerSecond" + clients, median(ours));
        if (clients == 256) {
          report.add("shareOfRaw" + clients, median(share), ">=", 0.5);
        } else {
          report.add("shareOfRaw" + clients, median(share));
        }
      }
    }
    return report;
  }

  /** Puts by every number of clients. */
  static void warmUp(CrdtStore... stores) throws InterruptedException {
    WarmUp.run(
        round -> {
          for (CrdtStore store : stores) {
            for (int i = 0; i < CLIENTS.length; i++) {
              puts(store, "warm-up-" + round + "-" + i, CLIENTS[i], WARM_UP_PUTS[i]);
            }
          }
        });
  }

  static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }

  /** New documents a second that {@code clients} threads put and wait for. */
  static double puts(CrdtStore store, String set, int clients, int puts)
      throws InterruptedException {
    int each = puts / clients;
    var start = new CountDownLatch(1);
    var threads = new Thread[clients];
    for (int client = 0; client < clients; client++) {
      String name = set + "-" + client;
      var documents = new Documents(client);
      byte[][] made = new byte[each][];
      Arrays.setAll(made, documents::next);
      String[] ids = new String[each];
      Arrays.setAll(ids, i -> Documents.id(name, i));
      threads[client] =
          Thread.ofVirtual()
              .start(
                  () -> {
                    awaitQuietly(start);
                    for (int i = 0; i < each; i++) {
                      store.put(ids[i], made[i]);
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
