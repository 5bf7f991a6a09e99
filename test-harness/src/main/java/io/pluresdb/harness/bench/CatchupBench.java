package io.pluresdb.harness.bench;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.engine.PeerLink;
import io.pluresdb.crdt.engine.ReplicaEngine;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.reconcile.Differences;
import io.pluresdb.crdt.reconcile.KeyRange;
import io.pluresdb.crdt.reconcile.RangeAsker;
import io.pluresdb.crdt.reconcile.RangeMessage;
import io.pluresdb.crdt.reconcile.RangeResponder;
import io.pluresdb.crdt.store.ChangeLog;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.crdt.store.StateRanges;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.sync.SyncMessage;
import io.pluresdb.daemon.replication.Envelope;
import io.pluresdb.storage.anchor.AnchorFile;
import io.pluresdb.storage.rocks.RocksOptions;
import io.pluresdb.storage.rocks.RocksStorage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;

/**
 * What it costs to make two replicas equal that share nearly everything: bytes on the wire, as the
 * daemon wraps them, and time on this machine. Two engines over RocksDB in this process; messages
 * are handed over in memory, so there is no session and no network in the figures.
 */
final class CatchupBench {
  private static final Hash DATABASE = ReplicaIdentity.databaseHash("catchup");
  private static final int DOCUMENTS_PER_TRANSACTION = 1_000;
  private static final int ROUNDS = 5;

  /** Where the documents lie that differ. */
  enum Spread {
    /** Documents all over, with new content. */
    EVEN,
    /** New documents with the greatest ids. */
    NEWEST;

    static Spread parse(String name) {
      return valueOf(name.toUpperCase(Locale.ROOT));
    }
  }

  private CatchupBench() {}

  /** A replica, its files and its end of the link. */
  private static final class Side implements PeerLink, AutoCloseable {
    final RocksStorage storage;
    final AnchorFile anchor;
    final ReplicaEngine engine;
    final ArrayDeque<byte[]> outgoing = new ArrayDeque<>();
    long sentBytes;
    long sentMessages;

    Side(Path directory, Path nativeDirectory, byte[] founder, Signer signer) {
      var environment = new Environment(InstantSource.system(), new SecureRandom());
      storage = RocksStorage.open(directory, RocksOptions.defaults(nativeDirectory));
      anchor = AnchorFile.open(directory.resolveSibling(directory.getFileName() + ".anchor"));
      var identity = new ReplicaIdentity(DATABASE, founder, signer);
      engine =
          new ReplicaEngine(
              Replica.open(storage, identity, anchor, environment), environment, event -> {});
    }

    void write(List<Edit> edits) {
      engine.submit(
          new Transaction(edits, Transaction.Acknowledgement.LOCAL),
          (receipt, failure) -> {
            if (failure != null) {
              throw failure;
            }
          });
      engine.turn(true);
    }

    @Override
    public void send(SyncMessage message) {
      byte[] envelope = Envelope.wrap(message);
      sentBytes += envelope.length;
      sentMessages++;
      outgoing.add(envelope);
    }

    @Override
    public boolean isWritable() {
      return true;
    }

    @Override
    public void flush() {}

    @Override
    public void close(String reason) {
      throw new IllegalStateException("the session was closed: " + reason);
    }

    @Override
    public void close() {
      engine.replica().close();
      storage.close();
      anchor.close();
    }
  }

  static Report run(Path folder, int documents, int differences, Spread spread) throws IOException {
    var report =
        new Report("catchup")
            .add("processes", "one, two engines, link in memory")
            .add("documents", documents)
            .add("documentBytes", Documents.BYTES)
            .add("differences", differences)
            .add("spread", spread.toString().toLowerCase(Locale.ROOT));
    Signer founder = signer();
    Signer second = signer();
    load(folder, documents, founder, second);
    Path nativeDirectory = folder.resolve("native");
    try (Side a = new Side(folder.resolve("a"), nativeDirectory, founder.publicKey(), founder);
        Side b = new Side(folder.resolve("b"), nativeDirectory, founder.publicKey(), second)) {
      // Both have written something that both know: otherwise the first change of an actor counts.
      b.write(List.of(edit("known", 0, 1)));
      sync(a, b);
      warmUp(a, b);
      diverge(a, b, documents, differences, spread);
      compareRanges(a, b, differences, report);
      catchUp(a, b, differences, report);
    }
    return report;
  }

  private static Signer signer() {
    byte[] secret = new byte[32];
    new SecureRandom().nextBytes(secret);
    return new Signer(secret);
  }

  private static Edit edit(String set, int number, long seed) {
    return Edit.put(Documents.id(set, number), new Documents(seed).next(number));
  }

  /** Fills one replica and copies its files: the copy goes on under its own actor. */
  private static void load(Path folder, int documents, Signer founder, Signer second)
      throws IOException {
    Path a = folder.resolve("a");
    try (Side side = new Side(a, folder.resolve("native"), founder.publicKey(), founder)) {
      for (Signer device : List.of(founder, second)) {
        side.engine.admit(
            MembershipEntry.Admit.sign(
                DATABASE,
                device.publicKey(),
                Role.ADMIN,
                "bench",
                0,
                new byte[16],
                List.of(),
                founder));
      }
      var source = new Documents(1);
      var edits = new ArrayList<Edit>();
      for (int i = 0; i < documents; i++) {
        edits.add(Edit.put(Documents.id("doc", i), source.next(i)));
        if (edits.size() == DOCUMENTS_PER_TRANSACTION || i + 1 == documents) {
          side.write(edits);
          edits.clear();
        }
      }
      rest(side.engine);
    }
    Path b = folder.resolve("b");
    Files.createDirectories(b);
    try (var files = Files.list(a)) {
      for (Path file : files.toList()) {
        Files.copy(file, b.resolve(file.getFileName()));
      }
    }
  }

  /** Lets a second or two pass after a burst, in which what was put off is done. */
  private static void rest(ReplicaEngine engine) {
    engine.tick();
    engine.tick();
    boolean more = true;
    while (more) {
      more = engine.turn(true);
    }
  }

  /** Each side writes half of the differences, one change each. */
  private static void diverge(Side a, Side b, int documents, int differences, Spread spread) {
    for (int i = 0; i < differences; i++) {
      long number =
          switch (spread) {
            case EVEN -> (2L * i + 1) * documents / (2L * differences);
            case NEWEST -> documents + i;
          };
      (i % 2 == 0 ? a : b).write(List.of(edit("doc", (int) number, 7 + i)));
    }
  }

  private static long deliver(Side from, Side to, ReplicaEngine.Peer peer) {
    long delivered = 0;
    byte[] envelope;
    while ((envelope = from.outgoing.poll()) != null) {
      to.engine.receive(peer, Envelope.unwrap(envelope));
      delivered++;
    }
    return delivered;
  }

  /** Connects, exchanges messages until nobody says anything, disconnects. */
  private static int sync(Side a, Side b) {
    a.sentBytes = a.sentMessages = b.sentBytes = b.sentMessages = 0;
    ReplicaEngine.Peer peerOfA = a.engine.connect(a);
    ReplicaEngine.Peer peerOfB = b.engine.connect(b);
    int rounds = 0;
    long moved = 1;
    while (moved > 0) {
      moved = deliver(a, b, peerOfB) + deliver(b, a, peerOfA);
      rounds += moved > 0 ? 1 : 0;
      a.engine.turn(true);
      b.engine.turn(true);
      moved += a.outgoing.size() + b.outgoing.size();
    }
    a.engine.disconnect(peerOfA);
    b.engine.disconnect(peerOfB);
    return rounds;
  }

  private static void warmUp(Side a, Side b) {
    for (int round = 0; round < ROUNDS; round++) {
      for (int i = 0; i < 50; i++) {
        a.write(List.of(edit("warm-up-a", i, round)));
        b.write(List.of(edit("warm-up-b", i, round)));
      }
      ranges(a, b);
      sync(a, b);
    }
  }

  private record Compared(
      Differences differences, long bytes, int roundTrips, double millis, long rows) {}

  /** The whole comparison of documents, by hand: the frontiers are not looked at. */
  private static Compared ranges(Side a, Side b) {
    long begun = System.nanoTime();
    try (StateRanges mine = StateRanges.open(a.storage, DATABASE);
        StateRanges theirs = StateRanges.open(b.storage, DATABASE)) {
      var asker = new RangeAsker(1, mine, mine.frontier().hash(), false, KeyRange.ALL, 1_000_000);
      var responder = new RangeResponder(theirs, 1_000_000);
      a.sentBytes = b.sentBytes = 0;
      a.send(new SyncMessage.Ranges(asker.open()));
      Hash frontier = theirs.frontier().hash();
      b.send(
          new SyncMessage.Ranges(
              new RangeMessage.Opened(1, frontier, theirs.summary(KeyRange.ALL).digest())));
      a.outgoing.clear();
      int roundTrips = 1;
      RangeAsker.Progress progress = asker.onOpened((RangeMessage.Opened) last(b));
      while (progress instanceof RangeAsker.Send(var message)) {
        a.send(new SyncMessage.Ranges(message));
        b.send(
            new SyncMessage.Ranges(
                Objects.requireNonNull(responder.answer((RangeMessage.Ask) last(a)))));
        progress = asker.onAnswer((RangeMessage.Answer) last(b));
        roundTrips++;
      }
      if (!(progress instanceof RangeAsker.Done(var differences, var peerFrontier))) {
        throw new IllegalStateException("the comparison ended as " + progress);
      }
      a.send(new SyncMessage.Ranges(new RangeMessage.Close(1, RangeMessage.Reason.DONE)));
      a.outgoing.clear();
      return new Compared(
          differences,
          a.sentBytes + b.sentBytes,
          roundTrips,
          (System.nanoTime() - begun) / 1e6,
          mine.rowsRead() + theirs.rowsRead());
    }
  }

  private static RangeMessage last(Side side) {
    return ((SyncMessage.Ranges) Envelope.unwrap(side.outgoing.remove())).message();
  }

  private static void compareRanges(Side a, Side b, int differences, Report report) {
    Compared first = ranges(a, b);
    if (first.differences.documents().size() != differences) {
      throw new IllegalStateException(
          first.differences.documents().size() + " documents found to differ");
    }
    double best = first.millis;
    for (int i = 1; i < ROUNDS; i++) {
      best = Math.min(best, ranges(a, b).millis);
    }
    report.add("rangeFound", first.differences.documents().size());
    if (differences == 100) {
      report.add("rangeWireBytes", (double) first.bytes, "<=", 150_000);
    } else {
      report.add("rangeWireBytes", first.bytes);
    }
    report
        .add("rangeRoundTrips", first.roundTrips)
        .add("rangeRowsRead", first.rows)
        .add("rangeMillis", first.millis)
        .add("rangeMillisBestOf" + ROUNDS, best);
  }

  /** What the changes that one side lacks take in one message, compressed. */
  private static long compressedChanges(Side from, Side to) {
    var runs = new ArrayList<ChangeRun>();
    Replica replica = from.engine.replica();
    long end = replica.view().arrivals();
    long cursor = 0;
    while (cursor < end) {
      ChangeLog.Batch batch =
          replica
              .log()
              .read(
                  cursor,
                  end,
                  actor -> to.engine.replica().view().frontier().seq(actor),
                  ChangeRun.MAX_BYTES / 2);
      if (batch.cursor() == cursor) {
        throw new IllegalStateException("reading the log stops at " + cursor);
      }
      runs.addAll(batch.runs());
      cursor = batch.cursor();
    }
    return runs.isEmpty() ? 0 : Envelope.wrap(new SyncMessage.Changes(1, runs)).length;
  }

  private static void catchUp(Side a, Side b, int differences, Report report) {
    long changes = compressedChanges(a, b) + compressedChanges(b, a);
    long begun = System.nanoTime();
    int rounds = sync(a, b);
    double millis = (System.nanoTime() - begun) / 1e6;
    Replica.View left = a.engine.replica().view();
    Replica.View right = b.engine.replica().view();
    if (!left.frontier().equals(right.frontier()) || !left.stateHash().equals(right.stateHash())) {
      throw new IllegalStateException("the replicas are not equal");
    }
    long bytes = a.sentBytes + b.sentBytes;
    report.add("compressedChangesBytes", changes).add("messages", a.sentMessages + b.sentMessages);
    if (differences == 0) {
      report.add("wireBytes", (double) bytes, "<=", 1_000).add("roundTrips", rounds, "<=", 1);
    } else {
      report.add("wireBytes", bytes).add("oneWayTrips", rounds);
    }
    if (changes > 0) {
      double share = bytes / (double) changes;
      if (differences >= 100) {
        report.add("shareOfCompressedChanges", share, "<=", 1.3);
      } else {
        report.add("shareOfCompressedChanges", share);
      }
    }
    if (differences == 100) {
      report.add("millis", millis, "<=", 100);
    } else {
      report.add("millis", millis);
    }
    report.add("equal", true);
  }
}
