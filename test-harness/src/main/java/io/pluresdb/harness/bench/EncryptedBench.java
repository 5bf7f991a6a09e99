package io.pluresdb.harness.bench;

import com.sun.management.OperatingSystemMXBean;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.daemon.node.NodeOptions;
import io.pluresdb.storage.crypto.EncryptionConfig;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** What encryption at rest costs: the same device without and with it, in turn. */
final class EncryptedBench {
  private static final int[] CLIENTS = {1, 16, 256};
  private static final int[] PUTS = {2_000, 20_000, 60_000};
  private static final int ROUNDS = 5;
  private static final int GETS = 100_000;
  private static final double TARGET = 0.7;

  private EncryptedBench() {}

  /**
   * Durable puts of new 200-byte documents by 1, 16 and 256 clients, gets at random by one of what
   * the 256 put, and a scan of all. Shares are medians of the rounds' own shares, so that a busy
   * moment of the machine falls on both.
   */
  static Report run(Path directory) throws InterruptedException {
    var report = new Report("encrypted").add("documentBytes", Documents.BYTES);
    EncryptionConfig secret = EncryptionConfig.password("a password of the bench");
    Path sealedAt = directory.resolve("encrypted");
    DeviceNode.init(sealedAt, false, secret);
    NodeOptions options = NodeOptions.offline("bench");
    try (DeviceNode plain = DeviceNode.open(directory.resolve("plain"), options);
        DeviceNode sealed = DeviceNode.open(sealedAt, options.with(metadata -> secret))) {
      CrdtStore[] stores = {
        plain.store(Node.DEFAULT_DATABASE), sealed.store(Node.DEFAULT_DATABASE)
      };
      PutBench.warmUp(stores);
      for (int i = 0; i < CLIENTS.length; i++) {
        int clients = CLIENTS[i];
        int puts = PUTS[i];
        compare(
            report,
            "puts",
            "PerSecond" + clients,
            clients,
            (store, round) -> PutBench.puts(store, "c" + clients + "-" + round, clients, puts),
            stores);
      }
      settle(); // What the stores put off until nothing is written is neither get nor scan.
      compare(report, "gets", "PerSecond", 0, (store, round) -> gets(store, round), stores);
      compare(report, "scanned", "PerSecond", -1, (store, round) -> scan(store), stores);
      report
          .add("bytesOnDisk", (double) stores[0].status().bytesOnDisk())
          .add("encryptedBytesOnDisk", (double) stores[1].status().bytesOnDisk());
    }
    return report;
  }

  /** Waits until this process hardly does anything, half a minute at most. */
  private static void settle() {
    var system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    double busy = 1;
    // Longer than it takes the stores to find that nothing is written.
    for (long window = TimeUnit.SECONDS.toNanos(3); busy > 0.05 && System.nanoTime() < end; ) {
      long begun = System.nanoTime();
      long used = system.getProcessCpuTime();
      for (long left = window; left > 0; left = window - (System.nanoTime() - begun)) {
        LockSupport.parkNanos(left);
      }
      busy = (double) (system.getProcessCpuTime() - used) / (System.nanoTime() - begun);
    }
  }

  private interface Scenario {
    /** Something a second. */
    double run(CrdtStore store, int round) throws InterruptedException;
  }

  /** {@code goal}: 0 and 1 or more clients have the target, -1 has none. */
  private static void compare(
      Report report, String what, String suffix, int goal, Scenario scenario, CrdtStore[] stores)
      throws InterruptedException {
    double[] plain = new double[ROUNDS];
    double[] sealed = new double[ROUNDS];
    double[] share = new double[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
      boolean first = round % 2 == 0;
      if (first) {
        plain[round] = scenario.run(stores[0], round);
      }
      sealed[round] = scenario.run(stores[1], round);
      if (!first) {
        plain[round] = scenario.run(stores[0], round);
      }
      share[round] = sealed[round] / plain[round];
    }
    report
        .add(what + suffix, PutBench.median(plain))
        .add("encrypted" + capital(what) + suffix, PutBench.median(sealed));
    String name = "shareOf" + capital(what) + (goal > 0 ? "" + goal : "");
    if (goal >= 0) {
      report.add(name, PutBench.median(share), ">=", TARGET);
    } else {
      report.add(name, PutBench.median(share));
    }
  }

  private static String capital(String word) {
    return Character.toUpperCase(word.charAt(0)) + word.substring(1);
  }

  private static double gets(CrdtStore store, int round) {
    var random = new SplittableRandom(round);
    long begun = System.nanoTime();
    int each = PUTS[2] / 256;
    for (int i = 0; i < GETS; i++) {
      String set = "c256-" + random.nextInt(ROUNDS) + "-" + random.nextInt(256);
      String id = Documents.id(set, random.nextInt(each));
      if (store.get(id).isEmpty()) {
        throw new IllegalStateException("document " + id + " is missing");
      }
    }
    return GETS / ((System.nanoTime() - begun) / 1e9);
  }

  private static double scan(CrdtStore store) {
    long count = 0;
    long begun = System.nanoTime();
    try (CrdtStore.Documents documents = store.list("", null)) {
      while (documents.hasNext()) {
        documents.next();
        count++;
      }
    }
    return count / ((System.nanoTime() - begun) / 1e9);
  }
}
