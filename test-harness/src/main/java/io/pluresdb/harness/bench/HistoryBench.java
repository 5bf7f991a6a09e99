package io.pluresdb.harness.bench;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.store.DocumentHistory;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.History;
import io.pluresdb.crdt.store.MemoryAnchor;
import io.pluresdb.crdt.store.MemoryStorage;
import io.pluresdb.crdt.store.Moment;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.store.Transaction.Acknowledgement;
import io.pluresdb.storage.rocks.RocksOptions;
import io.pluresdb.storage.rocks.RocksStorage;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.List;
import java.util.function.Supplier;

/**
 * What it costs to find the versions of one document in a long log, and to read it as it was. One
 * replica in this process; the files have just been written, so the operating system has most of
 * them in memory.
 */
final class HistoryBench {
  private static final Hash DATABASE = ReplicaIdentity.databaseHash("history");
  private static final String TARGET = "the document";
  private static final int ROUNDS = 5;

  private HistoryBench() {}

  private static Replica open(Storage storage, Signer signer) {
    return Replica.open(
        storage,
        new ReplicaIdentity(DATABASE, signer.publicKey(), signer),
        new MemoryAnchor(),
        new Environment(InstantSource.system(), new SecureRandom()));
  }

  /**
   * Runs the scenario.
   *
   * @param changes in the log, of one document each
   * @param group changes that are committed together
   * @param versions of the document that is looked for, spread evenly
   */
  static Report run(Path folder, int changes, int group, int versions) {
    byte[] secret = new byte[32];
    new SecureRandom().nextBytes(secret);
    var signer = new Signer(secret);
    ChangeRun early = unseen(signer);
    try (var storage =
        RocksStorage.open(folder.resolve("db"), RocksOptions.defaults(folder.resolve("native")))) {
      Replica replica = open(storage, signer);
      write(replica, changes, group, versions);
      replica.stage(early);
      replica.commit();
      var report =
          new Report("history")
              .add("changes", changes)
              .add("changesInACommit", group)
              .add("versionsOfTheDocument", versions + 1);
      measure(storage, replica, report);
      replica.close();
      return report.add("bytesOnDisk", storage.bytesOnDisk());
    }
  }

  /** A change of the document that the author of the others never sees: the worst for versions. */
  private static ChangeRun unseen(Signer signer) {
    try (var storage = new MemoryStorage()) {
      Replica other = open(storage, signer);
      other.stage(Transaction.of(Edit.put(TARGET, json("{\"early\":true}"))));
      other.commit();
      return other.log().read(0, 1, actor -> 0, 1).runs().getFirst();
    }
  }

  private static byte[] json(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static void write(Replica replica, int changes, int group, int versions) {
    var documents = new Documents(1);
    int every = changes / versions;
    for (int i = 0; i < changes; i++) {
      String id = i % every == every / 2 ? TARGET : Documents.id("doc", i % (changes / 2));
      replica.stage(
          new Transaction(List.of(Edit.put(id, documents.next(i))), Acknowledgement.RELAXED));
      if ((i + 1) % group == 0 || replica.isGroupFull() || i + 1 == changes) {
        replica.commit();
      }
    }
  }

  private static void measure(Storage storage, Replica replica, Report report) {
    var past = new DocumentHistory(storage);
    byte[] id = json(TARGET);
    History all = past.page(id, History.MAX_VERSIONS, Long.MAX_VALUE);
    report.add("versionsFound", all.versions().size());
    History.Version last = all.versions().get(1);
    History.Version middle = all.versions().get(all.versions().size() / 2);
    add(report, "pageOf10Millis", () -> past.page(id, 10, Long.MAX_VALUE));
    add(report, "allVersionsMillis", () -> past.page(id, History.MAX_VERSIONS, Long.MAX_VALUE));
    add(report, "neverWrittenMillis", () -> past.page(json("none"), 10, Long.MAX_VALUE));
    add(report, "asOfATimeMillis", () -> past.asOf(id, new Moment.Time(middle.wallMillis())));
    add(
        report,
        "asOfAFrontierMillis",
        () -> past.asOf(id, Moment.Seen.of(replica.view().frontier())));
    add(
        report,
        "asOfAVersionWithoutTheUnseenMillis",
        () -> past.asOf(id, new Moment.Version(last.actor(), last.seq())));
  }

  private static void add(Report report, String name, Supplier<Object> call) {
    long[] nanos = new long[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
      long begun = System.nanoTime();
      if (call.get() == null) {
        throw new IllegalStateException(name + " gave nothing");
      }
      nanos[i] = System.nanoTime() - begun;
    }
    report.add(name + "First", nanos[0] / 1e6);
    report.add(name, Report.percentile(nanos, 0.5));
  }
}
