package io.pluresdb.harness.check;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.causal.HybridClock;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.doc.DocumentState.RegisterState;
import io.pluresdb.crdt.doc.Sibling;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.op.ChangeRun.Genesis;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.DocumentEdit;
import io.pluresdb.crdt.reconcile.Summary;
import io.pluresdb.crdt.store.ChangeLog;
import io.pluresdb.crdt.store.DocumentHistory;
import io.pluresdb.crdt.store.DocumentReader;
import io.pluresdb.crdt.store.EdgeIndex;
import io.pluresdb.crdt.store.MemoryAnchor;
import io.pluresdb.crdt.store.MemoryStorage;
import io.pluresdb.crdt.store.Moment;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.crdt.store.RunOutcome;
import io.pluresdb.crdt.store.StateRanges;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.harness.check.Ledger.Entry;
import io.pluresdb.harness.check.Ledger.Placed;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Looks at whole replicas. Everything here is computed anew from rows and changes. */
public final class Checks {
  private static final BigInteger MODULUS = BigInteger.ONE.shiftLeft(256);
  private static final byte[] LOWEST = {};

  /** Documents of a replica whose history is replayed. */
  private static final int PAST_DOCUMENTS = 8;

  private Checks() {}

  /** The documents of a storage, as stored. */
  static SortedMap<byte[], byte[]> rows(Storage storage) {
    return rows(storage, Table.STATE);
  }

  private static SortedMap<byte[], byte[]> rows(Storage storage, Table table) {
    var rows = new TreeMap<byte[], byte[]>(Arrays::compareUnsigned);
    try (var snapshot = storage.snapshot();
        var cursor = snapshot.scan(table, LOWEST, null)) {
      while (cursor.next()) {
        rows.put(cursor.key(), cursor.value());
      }
    }
    return rows;
  }

  /** Fingerprint and number of documents against what is stored. */
  public static void rescan(Replica replica, Chains chains) {
    Replica.View view = replica.view();
    if (!chains.equal(view.frontier())) {
      throw new Violation(Invariant.I12, "the frontier is not what the log holds");
    }
    if (replica.isJoining()) {
      return; // The fingerprint is the frontier's; some documents are of a later moment.
    }
    SortedMap<byte[], byte[]> rows = rows(replica.storage());
    Hash key = Hash.of("pluresdb-fingerprint-v1", replica.identity().database().bytes());
    var digest = Hash.newBulkDigest();
    BigInteger sum = BigInteger.ZERO;
    TreeMap<byte[], BigInteger> buckets = new TreeMap<>(Arrays::compareUnsigned);
    SortedMap<byte[], Summary> stored;
    try (var ranges = StateRanges.open(replica.storage(), replica.identity().database())) {
      stored = ranges.buckets();
    }
    long documents = 0;
    for (var row : rows.entrySet()) {
      byte[] id = row.getKey();
      digest.update(key.bytes());
      digest.update((byte) (id.length >>> 8));
      digest.update((byte) id.length);
      digest.update(id, 0, id.length);
      byte[] out = digest.digest(row.getValue());
      BigInteger fingerprint = number(out, 0);
      sum = sum.add(fingerprint);
      var upTo = stored.headMap(Arrays.copyOf(id, id.length + 1));
      if (upTo.isEmpty()) {
        throw new Violation(Invariant.I12, "a document is in no bucket");
      }
      buckets.merge(upTo.lastKey(), fingerprint, BigInteger::add);
      if (DocumentState.read(row.getValue()).exists()) {
        documents++;
      }
    }
    buckets(stored, buckets);
    BigInteger claimed = number(view.stateHash().bytes(), 0);
    if (!sum.mod(MODULUS).equals(claimed)) {
      throw new Violation(Invariant.I12, "the fingerprint is not that of the stored documents");
    }
    if (documents != view.documents()) {
      throw new Violation(
          Invariant.I12, view.documents() + " documents claimed, " + documents + " stored");
    }
    try (var snapshot = replica.storage().snapshot()) {
      List<String> edges = EdgeIndex.differences(snapshot, 1);
      if (!edges.isEmpty()) {
        throw new Violation(Invariant.I12, edges.getFirst());
      }
    }
  }

  /** Four big-endian limbs, the least significant first. */
  private static BigInteger number(byte[] bytes, int from) {
    BigInteger number = BigInteger.ZERO;
    for (int limb = 3; limb >= 0; limb--) {
      number = number.shiftLeft(64).or(new BigInteger(1, bytes, from + 8 * limb, 8));
    }
    return number;
  }

  private static void buckets(
      SortedMap<byte[], Summary> stored, SortedMap<byte[], BigInteger> expected) {
    for (var bucket : stored.entrySet()) {
      BigInteger sum = expected.remove(bucket.getKey());
      byte[] claimed = bucket.getValue().sum().hash().bytes();
      if (sum == null || !number(claimed, 0).equals(sum.mod(MODULUS))) {
        throw new Violation(Invariant.I12, "a bucket is not what its documents add up to");
      }
    }
  }

  /** Byte for byte the same documents, their texts and lists included. */
  public static void sameRows(Storage one, Storage two, Invariant invariant, String what) {
    sameRows(one, two, Table.STATE, invariant, what);
    sameRows(one, two, Table.SEQUENCE, invariant, what);
  }

  private static void sameRows(
      Storage one, Storage two, Table table, Invariant invariant, String what) {
    var mine = rows(one, table).entrySet().iterator();
    var theirs = rows(two, table).entrySet().iterator();
    while (mine.hasNext() && theirs.hasNext()) {
      var a = mine.next();
      var b = theirs.next();
      if (!Arrays.equals(a.getKey(), b.getKey()) || !Arrays.equals(a.getValue(), b.getValue())) {
        throw new Violation(
            invariant,
            what + " differ at document " + new String(a.getKey(), StandardCharsets.UTF_8));
      }
    }
    if (mine.hasNext() || theirs.hasNext()) {
      throw new Violation(invariant, what + " hold different documents");
    }
  }

  /** Feeds the whole log to a fresh replica and compares. */
  public static void replay(Replica replica, long greatestTimestamp) {
    long wall = HybridClock.wallMillis(greatestTimestamp);
    var environment = new Environment(() -> Instant.ofEpochMilli(wall), new SplittableRandom(wall));
    var storage = new MemoryStorage();
    var fresh = Replica.open(storage, replica.identity(), new MemoryAnchor(), environment);
    if (fresh.stageMembers(replica.view().membership().entries())) {
      fresh.commit();
    }
    replica.endedActors().forEach(fresh::stageOrigin);
    long cursor = 0;
    long end = replica.view().arrivals();
    // What counts again may have come after changes that had seen it.
    var waiting = new ArrayList<ChangeRun>();
    while (cursor < end) {
      ChangeLog.Batch batch = replica.log().read(cursor, end, actor -> 0, 1 << 20);
      for (ChangeRun run : batch.runs()) {
        waiting.add(run);
        while (waiting.removeIf(held -> applies(fresh, held))) {}
      }
      if (batch.cursor() == cursor) {
        throw new Violation(Invariant.I12, "reading the log stops at " + cursor + " of " + end);
      }
      cursor = batch.cursor();
    }
    if (!waiting.isEmpty()) {
      throw new Violation(
          Invariant.I12, "a fresh replica answers " + fresh.stage(waiting.getFirst()));
    }
    fresh.commit();
    if (!fresh.view().frontier().equals(replica.view().frontier())
        || !fresh.view().stateHash().equals(replica.view().stateHash())) {
      throw new Violation(Invariant.I12, "replay of the log gives another state");
    }
    sameRows(storage, replica.storage(), Invariant.I12, "replay and replica");
    past(replica);
  }

  /** Whether a run of the log could be applied; false while it waits for others. */
  private static boolean applies(Replica fresh, ChangeRun run) {
    return switch (fresh.stage(run)) {
      case RunOutcome.Applied applied -> true;
      case RunOutcome.Waiting waiting -> false;
      case RunOutcome.Known known ->
          throw new Violation(Invariant.I12, "the log holds " + run + " twice");
      case RunOutcome.Ahead ahead -> throw refused(ahead);
      case RunOutcome.Rejected rejected -> throw refused(rejected);
    };
  }

  private static Violation refused(RunOutcome outcome) {
    return new Violation(Invariant.I12, "a fresh replica answers " + outcome);
  }

  /** A document replayed from its own changes, as of now, is the document. */
  private static void past(Replica replica) {
    var history = new DocumentHistory(replica.storage());
    Moment now = Moment.Seen.of(replica.view().frontier());
    for (byte[] id : rows(replica.storage()).keySet().stream().limit(PAST_DOCUMENTS).toList()) {
      String is = shown(DocumentReader.read(replica.storage(), id));
      String was = shown(history.asOf(id, now).orElse(null));
      if (!was.equals(is)) {
        throw new Violation(
            Invariant.I12,
            "document "
                + new String(id, StandardCharsets.UTF_8)
                + " is "
                + is
                + ", but by its history "
                + was);
      }
    }
  }

  private static String shown(@Nullable NodeRecord record) {
    return record == null ? "none" : record.json() + record.conflicts() + record.clock();
  }

  /**
   * Feeds every change that counts, as the ledger holds it, to a fresh replica that never cut its
   * log, and compares; then compares with a model that knows nothing but the changes.
   */
  public static void archive(Replica replica, Ledger ledger) {
    long wall = HybridClock.wallMillis(ledger.greatestTimestamp());
    var environment = new Environment(() -> Instant.ofEpochMilli(wall), new SplittableRandom(wall));
    var storage = new MemoryStorage();
    // Signatures were verified where the changes were taken; the ledger does not keep them.
    var identity =
        new ReplicaIdentity(
            replica.identity().database(),
            replica.identity().founder(),
            new Signer(new byte[32]),
            (key, message, signature) -> true);
    var fresh = Replica.open(storage, identity, new MemoryAnchor(), environment);
    if (fresh.stageMembers(replica.view().membership().entries())) {
      fresh.commit();
    }
    // A replica that joined by snapshot need not know whose void changes others had seen.
    ledger.origins().forEach(fresh::stageOrigin);
    fresh.commit();
    Frontier frontier = replica.view().frontier();
    var open = new ArrayList<Placed>();
    frontier
        .heads()
        .forEach(
            (actor, head) -> {
              long seq = 1;
              for (Entry entry : ledger.chain(actor, head)) {
                open.add(new Placed(actor, seq++, entry));
              }
            });
    open.sort(Comparator.comparingLong(placed -> placed.entry().change().timestamp()));
    var model = new NaiveModel();
    for (Placed placed : ledger.all()) {
      model.know(placed.actor(), placed.seq(), placed.entry().change());
    }
    // Who deleted before these counted again did not see them.
    var voidOnce =
        replica.view().membership().keeps().stream()
            .map(MembershipEntry.Keep::actor)
            .collect(Collectors.toSet());
    boolean progress = true;
    while (progress && !open.isEmpty()) {
      progress = open.removeIf(placed -> stage(fresh, placed, ledger, model, voidOnce));
    }
    fresh.commit();
    if (!open.isEmpty()) {
      Placed first = open.getFirst();
      throw new Violation(
          Invariant.I5,
          "change " + first.seq() + " of " + first.actor() + " counts without its past");
    }
    if (!fresh.view().frontier().equals(frontier)
        || !fresh.view().stateHash().equals(replica.view().stateHash())) {
      throw new Violation(Invariant.I12, "an archive of all changes has another state");
    }
    sameRows(storage, replica.storage(), Invariant.I12, "archive and replica");
    for (Placed placed : ledger.all()) {
      Head head = frontier.heads().get(placed.actor());
      boolean counts =
          head != null
              && placed.seq() <= head.seq()
              && (!ledger.isForked(placed.actor())
                  || ledger.chain(placed.actor(), head).contains(placed.entry()));
      if (!counts) {
        model.ignore(placed.actor(), placed.entry().change());
      }
    }
    compare(replica, model);
  }

  private static boolean stage(
      Replica fresh, Placed placed, Ledger ledger, NaiveModel model, Set<ActorId> voidOnce) {
    ActorId actor = placed.actor();
    Genesis genesis = placed.seq() == 1 ? ledger.origin(actor) : null;
    Change change = placed.entry().change();
    var run =
        new ChangeRun(
            actor, placed.seq(), genesis, List.of(change), new byte[Signer.SIGNATURE_BYTES]);
    return switch (fresh.stage(run)) {
      case RunOutcome.Applied applied -> {
        boolean unseen = ledger.isLiar(actor) || voidOnce.contains(actor);
        model.apply(actor, placed.seq(), change, unseen);
        yield true;
      }
      case RunOutcome.Waiting waiting -> false;
      case RunOutcome.Known known -> throw refused(placed, known);
      case RunOutcome.Ahead ahead -> throw refused(placed, ahead);
      case RunOutcome.Rejected rejected -> throw refused(placed, rejected);
    };
  }

  private static Violation refused(Placed placed, RunOutcome outcome) {
    return new Violation(
        Invariant.I12,
        "an archive answers to change " + placed.seq() + " of " + placed.actor() + ": " + outcome);
  }

  /** What a change assigns and adds, whatever it replaces; the same when it is adopted. */
  public static String deed(ActorId actor, Change change) {
    var deed = new StringBuilder();
    for (DocumentEdit edit : ChangeBody.decode(actor, change.body())) {
      for (CrdtOperation operation : edit.operations()) {
        String what =
            switch (operation) {
              case CrdtOperation.Assign assign ->
                  "=" + new String(assign.value(), StandardCharsets.UTF_8);
              case CrdtOperation.Increment increment -> "+" + increment.amount();
              case CrdtOperation.TextInsert insert -> "<" + insert.text();
              default -> "";
            };
        if (!what.isEmpty()) {
          deed.append(new String(edit.id(), StandardCharsets.UTF_8)).append(' ');
          deed.append(new String(operation.register(), StandardCharsets.ISO_8859_1));
          deed.append(what).append(';');
        }
      }
    }
    return deed.toString();
  }

  private static void compare(Replica replica, NaiveModel model) {
    var seen = new TreeSet<String>();
    for (var row : rows(replica.storage()).entrySet()) {
      String id = new String(row.getKey(), StandardCharsets.UTF_8);
      seen.add(id);
      DocumentState state = DocumentState.read(row.getValue());
      if (model.isCausal(id) && state.exists() != model.exists(id)) {
        throw new Violation(
            Invariant.I8,
            "document "
                + id
                + (state.exists() ? " exists, though deleted" : " is gone, though written"));
      }
      if (!dots(state).equals(model.dots(id))) {
        throw new Violation(
            Invariant.I12,
            "document " + id + " holds " + dots(state) + ", model " + model.dots(id));
      }
    }
    for (String id : model.existing()) {
      if (!seen.contains(id)) {
        throw new Violation(Invariant.I8, "document " + id + " is gone, though written");
      }
    }
  }

  private static Set<Dot> dots(DocumentState state) {
    var dots = new TreeSet<Dot>();
    for (RegisterState register : state.registers()) {
      dots.addAll(register.dots());
    }
    return dots;
  }

  /** Both halves of a pair show the same batches. */
  public static void pair(Storage storage, String pair) {
    String a = contexts(storage, pair + ":a");
    String b = contexts(storage, pair + ":b");
    if (!a.equals(b)) {
      throw new Violation(Invariant.I7, "the halves of " + pair + " are " + a + " and " + b);
    }
  }

  private static String contexts(Storage storage, String id) {
    byte[] row = storage.get(Table.STATE, id.getBytes(StandardCharsets.UTF_8));
    var out = new StringBuilder();
    if (row != null) {
      for (RegisterState register : DocumentState.read(row).registers()) {
        out.append(new String(register.key(), StandardCharsets.ISO_8859_1));
        for (Sibling sibling : register.siblings()) {
          ActorId actor = sibling.dot().actor();
          out.append(' ').append(actor.hex()).append('/').append(sibling.dot().seq());
          out.append('=').append(new String(sibling.value(), StandardCharsets.UTF_8));
        }
        out.append(';');
      }
    }
    return out.toString();
  }
}
