package io.pluresdb.crdt.store;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.causal.HybridClock;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.op.SignedHead;
import io.pluresdb.crdt.reconcile.DocumentHasher;
import io.pluresdb.crdt.reconcile.Fingerprint;
import io.pluresdb.crdt.reconcile.Summary;
import io.pluresdb.crdt.sequence.SequenceRows;
import io.pluresdb.crdt.store.Rows.ActorRow;
import io.pluresdb.crdt.store.Rows.ArrivalRow;
import io.pluresdb.crdt.store.Rows.JoinedRow;
import io.pluresdb.crdt.store.Rows.SegmentRow;
import io.pluresdb.crdt.store.Rows.VoidRow;
import io.pluresdb.crdt.store.Storage.Table;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.NavigableSet;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Looks whether everything a replica has stored fits together: the newest commit, read from a
 * snapshot on the caller's thread while the replica goes on. It repairs nothing.
 */
public final class Inspection {
  /** Above, the state is not computed again from the log: that takes as much memory as it has. */
  public static final int MAX_REPLAYED_DOCUMENTS = 20_000;

  private static final int MAX_EDGE_DIFFERENCES = 3;

  private static final String ELSEWHERE =
      "a device that still has the data can serve it: start over with an empty data directory and"
          + " join again, or restore a backup";
  private static final String REPORT =
      "compare with another device: pluresdb doctor --against PEER; then start over on the device"
          + " that is wrong and join again";

  private final Replica replica;
  private final Storage.Snapshot snapshot;
  private final Hash database;
  private final byte[] meta;

  private Inspection(Replica replica, Storage.Snapshot snapshot) {
    this.replica = replica;
    this.snapshot = snapshot;
    this.database = replica.identity().database();
    byte[] row = snapshot.get(Table.META, Rows.META_REPLICA);
    if (row == null) {
      throw new CodecException("the replica row is missing");
    }
    this.meta = row;
  }

  /** All checks, one finding each. Takes a few seconds for a million documents. */
  public static List<Finding> of(Replica replica) {
    try (var snapshot = replica.storage().snapshot()) {
      var inspection = new Inspection(replica, snapshot);
      var findings = new ArrayList<Finding>();
      findings.add(checked("rows", inspection::rows));
      findings.add(checked("log", inspection::log));
      findings.add(checked("arrivals", inspection::arrivals));
      findings.add(checked("dots", inspection::dots));
      findings.add(checked("ends", inspection::ends));
      findings.add(checked("fingerprints", inspection::fingerprints));
      findings.add(checked("replay", inspection::replay));
      findings.add(checked("edges", inspection::edges));
      return findings;
    } catch (StorageException | CodecException e) {
      return List.of(Finding.error("rows", String.valueOf(e.getMessage()), ELSEWHERE));
    }
  }

  private static Finding checked(String name, Supplier<Finding> check) {
    try {
      return check.get();
    } catch (StorageException | CodecException e) {
      return Finding.error(name, String.valueOf(e.getMessage()), ELSEWHERE);
    }
  }

  /** Every row can be read: the storage compares checksums on the way. */
  private Finding rows() {
    long rows = 0;
    for (Table table : Table.values()) {
      try (var cursor = snapshot.scan(table, new byte[0], null)) {
        while (cursor.next()) {
          rows++;
        }
      }
    }
    return Finding.ok("rows", rows + " rows are readable");
  }

  /** A chain being followed, from its first stored change on. */
  private static final class Chain {
    final ActorId actor;
    long seq;
    Hash hash = Hash.ZERO;

    /** Whether the device of the actor signed the change we are at. */
    boolean signed = true;

    Chain(ActorId actor) {
      this.actor = actor;
    }
  }

  /** Hash chains, the signature at the end of each, and that the frontier is where they end. */
  private Finding log() {
    NavigableMap<ActorId, ActorRow> frontier = storedHeads();
    int actors = frontier.size();
    long changes = 0;
    var floors = new TreeMap<ActorId, SignedHead>();
    try (var rows = snapshot.scan(Table.FLOOR, new byte[0], null)) {
      while (rows.next()) {
        floors.put(ActorId.read(new ByteReader(rows.key())), SignedHead.read(rows.value()));
      }
    }
    Chain chain = null;
    String wrong = null;
    try (var rows = snapshot.scan(Table.LOG, new byte[0], null)) {
      while (wrong == null && rows.next()) {
        var key = new ByteReader(rows.key());
        ActorId actor = ActorId.read(key);
        long fromSeq = key.i64();
        byte[] beyond = snapshot.get(Table.VOID, Rows.actorKey(actor));
        if (beyond != null && fromSeq > VoidRow.read(beyond).tail().seq()) {
          // Void changes that are being thrown away.
          continue;
        }
        SegmentRow segment = SegmentRow.read(rows.value());
        if (chain == null || !chain.actor.equals(actor)) {
          wrong = chain == null ? null : ended(chain, frontier, floors);
          chain = new Chain(actor);
        }
        SignedHead floor = floors.get(actor);
        if (floor != null && floor.seq() == fromSeq - 1 && chain.seq < floor.seq()) {
          begin(chain, floor);
        }
        if (floor != null && fromSeq > chain.seq + 1 && fromSeq <= floor.seq()) {
          // Left of a log that was cut before a snapshot raised the floor.
          chain.seq = fromSeq - 1;
          chain.hash = segment.previous();
        }
        if (wrong == null) {
          wrong = follow(chain, fromSeq, segment, frontier.get(actor));
          changes += segment.changes().size();
        }
      }
    }
    if (wrong == null && chain != null) {
      wrong = ended(chain, frontier, floors);
    }
    // Actors all of whose changes lie below the floor.
    while (wrong == null && !frontier.isEmpty()) {
      wrong = ended(new Chain(frontier.firstKey()), frontier, floors);
    }
    return wrong == null
        ? Finding.ok("log", changes + " changes of " + actors + " actors, chained and signed")
        : Finding.error("log", wrong, ELSEWHERE);
  }

  /** Where the log of each actor that has one must end, void changes included. */
  private NavigableMap<ActorId, ActorRow> storedHeads() {
    var heads = new TreeMap<ActorId, ActorRow>();
    try (var rows = snapshot.scan(Table.FRONTIER, new byte[0], null)) {
      while (rows.next()) {
        var actor = ActorId.read(new ByteReader(rows.key()));
        ActorRow row = ActorRow.read(rows.value());
        byte[] beyond = snapshot.get(Table.VOID, rows.key());
        Head tail = beyond == null ? row.head() : VoidRow.read(beyond).tail();
        if (tail.seq() > 0) {
          heads.put(actor, new ActorRow(tail, row.timestamp(), row.genesis()));
        }
      }
    }
    return heads;
  }

  /** Goes on above what is not in the log any more. */
  private void begin(Chain chain, SignedHead floor) {
    chain.seq = floor.seq();
    chain.hash = floor.head(database, chain.actor).hash();
    byte[] device = floor.genesis().deviceKey();
    Head place = floor.head(database, chain.actor);
    chain.signed =
        place.equals(replica.view().membership().limit(chain.actor, device))
            || floor.isAuthentic(database, chain.actor);
  }

  private @Nullable String follow(
      Chain chain, long fromSeq, SegmentRow segment, @Nullable ActorRow row) {
    if (fromSeq != chain.seq + 1 || !segment.previous().equals(chain.hash)) {
      return "change "
          + fromSeq
          + " of actor "
          + chain.actor.hex()
          + " does not follow change "
          + chain.seq;
    }
    for (Change change : segment.changes()) {
      chain.seq++;
      chain.hash = change.hash(database, chain.actor, chain.seq, chain.hash);
    }
    byte[] signature = segment.signature();
    chain.signed = signature != null;
    // Signatures take long to check: the last of an actor answers for all.
    if (signature != null && row != null && row.head().seq() == chain.seq) {
      chain.signed = Signer.verify(row.genesis().deviceKey(), chain.hash.bytes(), signature);
    }
    return null;
  }

  private @Nullable String ended(
      Chain chain, Map<ActorId, ActorRow> frontier, Map<ActorId, SignedHead> floors) {
    String actor = chain.actor.hex();
    ActorRow row = frontier.remove(chain.actor);
    if (row == null) {
      return "the frontier lacks actor " + actor;
    }
    SignedHead floor = floors.get(chain.actor);
    if (floor != null && floor.seq() > chain.seq) {
      begin(chain, floor);
    }
    if (row.head().seq() != chain.seq || !row.head().hash().equals(chain.hash)) {
      return "the frontier has change "
          + row.head().seq()
          + " of actor "
          + actor
          + " as the last, the log change "
          + chain.seq;
    }
    if (!row.genesis().actor(database).equals(chain.actor)) {
      return "actor " + actor + " is not derived from its key";
    }
    Head limit = replica.view().membership().limit(chain.actor, row.genesis().deviceKey());
    // A membership entry may answer for the last that counts.
    if (!chain.signed && !new Head(chain.seq, chain.hash).equals(limit)) {
      return "the last change of actor " + actor + " is not signed by its device";
    }
    return null;
  }

  private Finding arrivals() {
    var in = new ByteReader(meta, 1, meta.length);
    in.varint();
    Fingerprint.read(in);
    long expected = in.varint();
    byte[] floor = snapshot.get(Table.META, Rows.META_FLOOR);
    long next = 1 + Rows.FloorRow.read(floor).arrivals();
    try (var rows = snapshot.scan(Table.ARRIVAL, new byte[0], null)) {
      while (rows.next()) {
        long arrival = Rows.arrival(rows.key());
        if (arrival != next) {
          return Finding.error("arrivals", "arrival " + next + " is missing", ELSEWHERE);
        }
        boolean joined = JoinedRow.is(rows.value());
        next = arrival + (joined ? 1 : ArrivalRow.read(rows.value()).count());
      }
    }
    if (next != expected + 1) {
      return Finding.error(
          "arrivals",
          "the arrival log ends at " + (next - 1) + ", but " + expected + " are counted",
          ELSEWHERE);
    }
    return Finding.ok("arrivals", expected + " arrivals without a gap");
  }

  /** No actor ends before what is not in the log any more. */
  private Finding ends() {
    Membership members = replica.view().membership();
    int actors = 0;
    try (var rows = snapshot.scan(Table.FLOOR, new byte[0], null)) {
      while (rows.next()) {
        ActorId actor = ActorId.read(new ByteReader(rows.key()));
        SignedHead floor = SignedHead.read(rows.value());
        Head limit = members.limit(actor, floor.genesis().deviceKey());
        if (limit != null && limit.seq() < floor.seq()) {
          return Finding.error(
              "ends",
              "changes of actor "
                  + actor.hex()
                  + " count up to "
                  + limit.seq()
                  + ", but left this log up to "
                  + floor.seq()
                  + " before that was known, so this device cannot take them back",
              "start over with an empty data directory and join again");
        }
        actors++;
      }
    }
    return Finding.ok("ends", actors + " actors count beyond what left the log");
  }

  /** Every change is in the log once, where the arrival log says, and no other has its number. */
  private Finding dots() {
    var floors = new HashMap<ActorId, Long>();
    try (var rows = snapshot.scan(Table.FLOOR, new byte[0], null)) {
      while (rows.next()) {
        floors.put(ActorId.read(new ByteReader(rows.key())), SignedHead.read(rows.value()).seq());
      }
    }
    // What did not count for a while may have come twice, or be thrown away.
    var voids = new HashSet<ActorId>();
    try (var rows = snapshot.scan(Table.VOID, new byte[0], null)) {
      while (rows.next()) {
        voids.add(ActorId.read(new ByteReader(rows.key())));
      }
    }
    long runs = 0;
    try (var rows = snapshot.scan(Table.ARRIVAL, new byte[0], null)) {
      while (rows.next()) {
        if (JoinedRow.is(rows.value())) {
          continue;
        }
        ArrivalRow row = ArrivalRow.read(rows.value());
        long arrival = Rows.arrival(rows.key());
        if (voids.contains(row.actor()) || row.fromSeq() <= floors.getOrDefault(row.actor(), 0L)) {
          continue;
        }
        runs++;
        byte[] segment = snapshot.get(Table.LOG, Rows.logKey(row.actor(), row.fromSeq()));
        String change = "change " + row.fromSeq() + " of actor " + row.actor().hex();
        if (segment == null) {
          return Finding.error(
              "dots", change + " arrived as number " + arrival + ", but is not there", ELSEWHERE);
        }
        long stored = SegmentRow.arrivalOf(segment, 0);
        if (stored != arrival) {
          return Finding.error(
              "dots",
              change + " arrived twice, as number " + stored + " and " + arrival,
              ELSEWHERE);
        }
      }
    }
    return Finding.ok("dots", runs + " runs of changes are in the log once");
  }

  /** The index of edges holds the documents that are edges, and no others. */
  private Finding edges() {
    List<String> differences = EdgeIndex.differences(snapshot, MAX_EDGE_DIFFERENCES);
    return differences.isEmpty()
        ? Finding.ok("edges", "the index of edges agrees with the documents")
        : Finding.error(
            "edges", String.join("; ", differences), "make it anew: pluresdb edge rebuild");
  }

  /** What is stored of the documents' sums is what they add up to. */
  private Finding fingerprints() {
    var hasher = new DocumentHasher(database);
    var boundaries = BucketSums.boundaries(database);
    BucketSums.Stored stored = BucketSums.Stored.read(snapshot);
    NavigableSet<byte[]> uncut = stored.uncut();
    var buckets = new TreeMap<byte[], Summary>(Arrays::compareUnsigned);
    Fingerprint sum = Fingerprint.ZERO;
    long documents = 0;
    byte[] start = BucketSums.FIRST;
    NavigableMap<byte[], Fingerprint> sequences = sequenceSums(hasher);
    try (var rows = snapshot.scan(Table.STATE, new byte[0], null)) {
      while (rows.next()) {
        byte[] id = rows.key();
        Fingerprint ofSequences = sequences.remove(id);
        DocumentState state = DocumentState.read(rows.value());
        if (!state.sequenceSum().equals(ofSequences == null ? Fingerprint.ZERO : ofSequences)) {
          return Finding.error(
              "fingerprints",
              "texts and lists of document \"" + text(id) + "\" add up to other",
              REPORT);
        }
        if (BucketSums.isBoundary(boundaries, id) && !uncut.remove(id)) {
          start = id;
        }
        Fingerprint fingerprint = hasher.of(id, rows.value());
        sum = sum.plus(fingerprint);
        buckets.merge(start, Summary.EMPTY.plus(fingerprint), Summary::plus);
        documents += state.exists() ? 1 : 0;
      }
    }
    if (!sequences.isEmpty()) {
      return Finding.error(
          "fingerprints",
          "texts or lists of document \"" + text(sequences.firstKey()) + "\" belong to nothing",
          REPORT);
    }
    for (var bucket : stored.buckets().entrySet()) {
      if (!bucket.getValue().equals(buckets.remove(bucket.getKey()))) {
        return Finding.error("fingerprints", bucket(bucket.getKey()) + " adds up to other", REPORT);
      }
    }
    if (!uncut.isEmpty()) {
      return Finding.error(
          "fingerprints", bucket(uncut.first()) + " begins at no document", REPORT);
    }
    if (!buckets.isEmpty()) {
      return Finding.error("fingerprints", bucket(buckets.firstKey()) + " is not added up", REPORT);
    }
    var in = new ByteReader(meta, 1, meta.length);
    long counted = in.varint();
    if (!Fingerprint.read(in).equals(sum)) {
      return Finding.error("fingerprints", "all documents add up to other", REPORT);
    }
    if (counted != documents) {
      return Finding.error(
          "fingerprints",
          counted + " documents are counted, but " + documents + " are there",
          REPORT);
    }
    return Finding.ok("fingerprints", documents + " documents add up to what is stored of them");
  }

  /** What the rows of texts and lists add up to, by document. */
  private NavigableMap<byte[], Fingerprint> sequenceSums(DocumentHasher hasher) {
    var sums = new TreeMap<byte[], Fingerprint>(Arrays::compareUnsigned);
    try (var rows = snapshot.scan(Table.SEQUENCE, new byte[0], null)) {
      while (rows.next()) {
        sums.merge(
            SequenceRows.document(rows.key()),
            hasher.of(rows.key(), rows.value()),
            Fingerprint::plus);
      }
    }
    return sums;
  }

  private static String bucket(byte[] start) {
    return start.length == 0
        ? "the first bucket of documents"
        : "the bucket of documents from \"" + text(start) + "\"";
  }

  private static String text(byte[] id) {
    return new String(id, StandardCharsets.UTF_8);
  }

  /** A fresh replica that is fed the log holds the same documents. */
  private Finding replay() {
    var in = new ByteReader(meta, 1, meta.length);
    long documents = in.varint();
    Fingerprint.read(in);
    long arrivals = in.varint();
    long timestamp = in.i64();
    if (documents > MAX_REPLAYED_DOCUMENTS || arrivals > 10L * MAX_REPLAYED_DOCUMENTS) {
      return Finding.notApplicable(
          "replay", "the log is replayed for up to " + MAX_REPLAYED_DOCUMENTS + " documents");
    }
    if (!new Floor(snapshot).isEmpty()) {
      return Finding.notApplicable("replay", "the log does not reach back to the first change");
    }
    long wall = HybridClock.wallMillis(timestamp);
    var environment = new Environment(() -> Instant.ofEpochMilli(wall), new SplittableRandom(wall));
    var storage = new MemoryStorage();
    var fresh = Replica.open(storage, replica.identity(), new MemoryAnchor(), environment);
    var members = new ArrayList<MembershipEntry>();
    try (var rows = snapshot.scan(Table.MEMBERS, new byte[0], null)) {
      while (rows.next()) {
        members.add(MembershipEntry.read(new ByteReader(rows.value())));
      }
    }
    fresh.stageMembers(members);
    fresh.commit();
    try (var rows = snapshot.scan(Table.FRONTIER, new byte[0], null)) {
      while (rows.next()) {
        fresh.stageOrigin(ActorRow.read(rows.value()).genesis());
      }
    }
    fresh.commit();
    var late = new ArrayList<ChangeRun>();
    long cursor = 0;
    while (cursor < arrivals) {
      ChangeLog.Batch batch = replica.log().read(cursor, arrivals, actor -> 0, 1 << 20);
      for (ChangeRun run : batch.runs()) {
        RunOutcome outcome = fresh.stage(run);
        if (outcome instanceof RunOutcome.Waiting) {
          // It arrived while what it depends on did not count.
          late.add(run);
        } else if (!(outcome instanceof RunOutcome.Applied
            || outcome instanceof RunOutcome.Known)) {
          return refused(run, outcome);
        }
      }
      fresh.commit();
      if (batch.cursor() == cursor) {
        return Finding.error("replay", "the log cannot be read behind " + cursor, ELSEWHERE);
      }
      cursor = batch.cursor();
    }
    while (!late.isEmpty()) {
      if (!late.removeIf(run -> !(fresh.stage(run) instanceof RunOutcome.Waiting))) {
        return refused(late.getFirst(), fresh.stage(late.getFirst()));
      }
    }
    fresh.commit();
    return compared(storage);
  }

  private static Finding refused(ChangeRun run, RunOutcome outcome) {
    return Finding.error(
        "replay",
        "changes from " + run.fromSeq() + " of actor " + run.actor().hex() + ": " + outcome,
        REPORT);
  }

  private Finding compared(Storage replayed) {
    long documents = 0;
    try (var other = replayed.snapshot();
        var stored = snapshot.scan(Table.STATE, new byte[0], null);
        var fresh = other.scan(Table.STATE, new byte[0], null)) {
      while (stored.next()) {
        if (!fresh.next()
            || !Arrays.equals(stored.key(), fresh.key())
            || !Arrays.equals(stored.value(), fresh.value())) {
          return Finding.error(
              "replay",
              "document \"" + text(stored.key()) + "\" is not what the log makes of it",
              REPORT);
        }
        documents++;
      }
      if (fresh.next()) {
        return Finding.error(
            "replay", "document \"" + text(fresh.key()) + "\" of the log is missing", REPORT);
      }
    }
    return Finding.ok("replay", documents + " documents are what the log makes of them");
  }
}
