package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.CrdtOperation.OnSequence;
import io.pluresdb.crdt.op.DocumentEdit;
import io.pluresdb.crdt.op.SignedHead;
import io.pluresdb.crdt.reconcile.DocumentHasher;
import io.pluresdb.crdt.reconcile.Fingerprint;
import io.pluresdb.crdt.sequence.Sequence;
import io.pluresdb.crdt.sequence.SequenceRows;
import io.pluresdb.crdt.store.ChangeLog.Arrived;
import io.pluresdb.crdt.store.Rows.ActorRow;
import io.pluresdb.crdt.store.Rows.ArrivalRow;
import io.pluresdb.crdt.store.Rows.FloorRow;
import io.pluresdb.crdt.store.Rows.JoinedRow;
import io.pluresdb.crdt.store.Rows.SegmentRow;
import io.pluresdb.crdt.store.Rows.VoidRow;
import io.pluresdb.crdt.store.Staging.DocumentKey;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * Takes changes off the old end of the log, as far as a cut lets it.
 *
 * <p>What goes is always a prefix of the arrival log, so what is left stays in causal order, and it
 * ends at a signed change, so the changes above still prove themselves. Void changes in it go, too,
 * when they are old enough. State, frontier and fingerprints are not touched: nobody who does not
 * look at the log can tell. The {@link Base} moves on: it takes in those that went and count.
 */
final class LogTruncation {
  /** A step ends when it has looked at so many bytes of segments. */
  static final int STEP_BYTES = 512 << 10;

  /** A step ends when it has looked at so many rows of the arrival log. */
  static final int STEP_ROWS = 2_048;

  /**
   * What a step did.
   *
   * @param floor where the log begins now
   * @param voids actors whose void changes went, with what is left to say of them
   * @param more whether there may be more to take at once
   */
  record Step(LogFloor floor, Map<ActorId, VoidRow> voids, boolean more) {}

  private final Storage storage;
  private final Hash database;
  private final LogFloor floor;
  private final ToLongFunction<ActorId> cut;
  private final long beforeTimestamp;
  private final long settledTimestamp;
  private final Set<ActorId> unwritten;

  // Rows that may go together with the next signed change.
  private final List<byte[]> arrivalKeys = new ArrayList<>();
  private final List<byte[]> segmentKeys = new ArrayList<>();
  private final TreeMap<ActorId, SignedHead> heads = new TreeMap<>();
  private final TreeMap<ActorId, VoidRow> pendingVoids = new TreeMap<>();
  private final TreeMap<ActorId, VoidRow> voids = new TreeMap<>();
  private final List<Arrived> pendingChanges = new ArrayList<>();
  private final List<Arrived> changes = new ArrayList<>();
  private int bytes;
  private int rows;

  private LogTruncation(
      Storage storage,
      Hash database,
      LogFloor floor,
      ToLongFunction<ActorId> cut,
      long beforeTimestamp,
      long settledTimestamp,
      Set<ActorId> unwritten) {
    this.storage = storage;
    this.database = database;
    this.floor = floor;
    this.cut = cut;
    this.beforeTimestamp = beforeTimestamp;
    this.settledTimestamp = settledTimestamp;
    this.unwritten = unwritten;
  }

  /**
   * Commits one step.
   *
   * @param cut the greatest seq of an actor that may go
   * @param beforeTimestamp only changes of an earlier hybrid time may go
   * @param settledTimestamp what depends on void changes goes only if it is of an earlier hybrid
   *     time, too: once those count again, only the log tells what it overwrote of them
   * @param unwritten actors whose void changes stay, because they are to be written again
   */
  static Step step(
      Storage storage,
      Hash database,
      LogFloor floor,
      ToLongFunction<ActorId> cut,
      long beforeTimestamp,
      long settledTimestamp,
      Set<ActorId> unwritten) {
    return new LogTruncation(
            storage, database, floor, cut, beforeTimestamp, settledTimestamp, unwritten)
        .step();
  }

  private Step step() {
    long reached = floor.arrivals();
    boolean ended = true;
    try (var snapshot = storage.snapshot();
        var batch = storage.newBatch()) {
      try (var arrivals =
          snapshot.scan(Table.ARRIVAL, Rows.arrivalKey(floor.arrivals() + 1), null)) {
        while (arrivals.next()) {
          if (arrivalKeys.isEmpty() && (bytes >= STEP_BYTES || rows >= STEP_ROWS)) {
            ended = false;
            break;
          }
          long arrival = Rows.arrival(arrivals.key());
          rows++;
          if (JoinedRow.is(arrivals.value())) {
            arrivalKeys.add(arrivals.key());
            if (segmentKeys.isEmpty()) {
              reached = arrival;
              take(batch);
            }
            continue;
          }
          ArrivalRow row = ArrivalRow.read(arrivals.value());
          if (!mayGo(snapshot, row)) {
            break;
          }
          arrivalKeys.add(arrivals.key());
          Verdict verdict = look(snapshot, arrival, row);
          if (verdict == Verdict.STAYS) {
            break;
          }
          if (verdict == Verdict.GOES) {
            reached = arrival + row.count() - 1;
            take(batch);
          }
        }
      }
      if (reached == floor.arrivals()) {
        return new Step(floor, Map.of(), false);
      }
      return commit(snapshot, batch, reached, !ended);
    }
  }

  private boolean mayGo(Storage.Snapshot snapshot, ArrivalRow row) {
    ActorId actor = row.actor();
    ActorRow head = frontier(snapshot, actor);
    long counts = head.head().seq();
    if (Math.min(row.lastSeq(), counts) > Math.max(cut.applyAsLong(actor), floorSeq(actor))) {
      return false;
    }
    if (row.lastSeq() <= counts) {
      return true;
    }
    // Void changes are nobody's to acknowledge: they are kept for their time, then they are gone,
    // all of an actor together.
    byte[] stored = snapshot.get(Table.VOID, Rows.actorKey(actor));
    VoidRow known = stored == null ? VoidRow.of(head) : VoidRow.read(stored);
    if (known.tail().seq() > counts) {
      if (known.timestamp() >= beforeTimestamp || unwritten.contains(actor)) {
        return false;
      }
      pendingVoids.put(actor, known.endingAt(head.head(), head.timestamp()));
    }
    return true;
  }

  private static ActorRow frontier(Storage.Snapshot snapshot, ActorId actor) {
    byte[] row = snapshot.get(Table.FRONTIER, Rows.actorKey(actor));
    if (row == null) {
      throw ChangeLog.missing(actor, 1);
    }
    return ActorRow.read(row);
  }

  private long floorSeq(ActorId actor) {
    return floor.frontier().seq(actor);
  }

  private enum Verdict {
    GOES,
    /** Only together with what follows. */
    GOES_ON,
    STAYS
  }

  private Verdict look(Storage.Snapshot snapshot, long arrival, ArrivalRow row) {
    ActorId actor = row.actor();
    long counts = Math.min(row.lastSeq(), frontier(snapshot, actor).head().seq());
    SegmentRow last = null;
    long lastFrom = 0;
    try (var segments =
        snapshot.scan(
            Table.LOG, Rows.logKey(actor, row.fromSeq()), Rows.logKey(actor, row.lastSeq() + 1))) {
      while (segments.next()) {
        bytes += segments.value().length;
        SegmentRow segment = SegmentRow.read(segments.value());
        long from = Rows.seq(segments.key());
        if (segment.arrival() != arrival + from - row.fromSeq()) {
          // Void changes that went, and came again later.
          continue;
        }
        last = segment;
        lastFrom = from;
        if (last.changes().getLast().timestamp() >= beforeTimestamp) {
          return Verdict.STAYS;
        }
        if (from <= counts
            && last.changes().stream().anyMatch(change -> restsOnVoid(snapshot, change))) {
          return Verdict.STAYS;
        }
        segmentKeys.add(segments.key());
        long seq = from;
        for (Change change : segment.changes()) {
          pendingChanges.add(new Arrived(segment.arrival() + seq - from, actor, seq, change));
          seq++;
        }
      }
    }
    if (last == null) {
      return segmentKeys.isEmpty() ? Verdict.GOES : Verdict.GOES_ON;
    }
    byte[] signature = last.signature();
    if (signature == null || lastFrom + last.changes().size() - 1 != row.lastSeq()) {
      return Verdict.GOES_ON;
    }
    if (counts > floorSeq(actor)) {
      heads.put(actor, head(snapshot, database, actor, counts));
    }
    return Verdict.GOES;
  }

  private boolean restsOnVoid(Storage.Snapshot snapshot, Change change) {
    return change.timestamp() >= settledTimestamp
        && change.deps().stream()
            .anyMatch(seen -> seen.seq() > frontier(snapshot, seen.actor()).head().seq());
  }

  /**
   * A change of the log, or the one where it begins, without its body. It has a signature of its
   * own where a stretch ends; otherwise the signature is all zero, and an entry of the membership
   * that names its hash has to vouch for it.
   */
  static SignedHead head(Storage.Snapshot snapshot, Hash database, ActorId actor, long seq) {
    byte[] floor = snapshot.get(Table.FLOOR, Rows.actorKey(actor));
    SignedHead lowest = floor == null ? null : SignedHead.read(floor);
    if (lowest != null && lowest.seq() == seq) {
      return lowest;
    }
    byte[] row = snapshot.get(Table.FRONTIER, Rows.actorKey(actor));
    try (var rows = ChangeLog.segmentsBackwards(snapshot, actor, seq)) {
      if (row == null || !rows.next()) {
        throw ChangeLog.missing(actor, seq);
      }
      SegmentRow segment = SegmentRow.read(rows.value());
      List<Change> all = segment.changes();
      int index = Math.toIntExact(seq - Rows.seq(rows.key()));
      if (index >= all.size()) {
        throw ChangeLog.missing(actor, seq);
      }
      Hash previous = segment.previous();
      for (int i = 0; i < index; i++) {
        previous = all.get(i).hash(database, actor, seq - index + i, previous);
      }
      byte[] signature = segment.signature();
      boolean last = index == all.size() - 1;
      return new SignedHead(
          seq,
          previous,
          all.get(index).link(),
          ActorRow.read(row).genesis(),
          signature != null && last ? signature : new byte[Signer.SIGNATURE_BYTES]);
    }
  }

  private void take(Storage.Batch batch) {
    arrivalKeys.forEach(key -> batch.delete(Table.ARRIVAL, key));
    segmentKeys.forEach(key -> batch.delete(Table.LOG, key));
    arrivalKeys.clear();
    segmentKeys.clear();
    changes.addAll(pendingChanges);
    pendingChanges.clear();
    voids.putAll(pendingVoids);
    pendingVoids.clear();
  }

  private Step commit(Storage.Snapshot snapshot, Storage.Batch batch, long reached, boolean more) {
    var seqs = new TreeMap<ActorId, Head>(floor.frontier().heads());
    var before = new Floor(snapshot);
    for (Map.Entry<ActorId, SignedHead> entry : heads.entrySet()) {
      ActorId actor = entry.getKey();
      SignedHead head = entry.getValue();
      if (head.seq() > floorSeq(actor)) {
        seqs.put(actor, head.head(database, actor));
        batch.put(Table.FLOOR, Rows.actorKey(actor), head.toByteArray());
      }
      if (head.seq() > before.seq(actor)) {
        batch.put(Table.BASE, Base.headKey(actor), head.toByteArray());
      }
    }
    voids.forEach((actor, row) -> batch.put(Table.VOID, Rows.actorKey(actor), row.toByteArray()));
    FloorRow row = FloorRow.read(snapshot.get(Table.META, Rows.META_FLOOR)).at(reached);
    batch.put(Table.META, Rows.META_FLOOR, advance(snapshot, batch, before, row).toByteArray());
    storage.commit(batch, Durability.BUFFERED);
    return new Step(new LogFloor(reached, Frontier.of(seqs)), voids, more);
  }

  /** Takes what leaves the log into the base; what is said of it then. */
  private FloorRow advance(
      Storage.Snapshot snapshot, Storage.Batch batch, Floor before, FloorRow row) {
    var base = new Base(snapshot, before::seq);
    var sequences = new BaseSequences(base);
    var rebuild = new Rebuild(sequences);
    var counting = new ArrayList<Arrived>();
    var touched = new TreeMap<byte[], byte @Nullable []>(Arrays::compareUnsigned);
    for (Arrived change : changes) {
      if (before.covers(change.actor(), change.seq())) {
        continue;
      }
      if (change.seq() <= frontier(snapshot, change.actor()).head().seq()) {
        counting.add(change);
      }
      // A document that only void changes touched may be the same again.
      for (DocumentEdit edit : ChangeBody.decode(change.actor(), change.change().body())) {
        if (!touched.containsKey(edit.id())) {
          byte[] then = base.row(edit.id(), snapshot.get(Table.STATE, edit.id()));
          touched.put(edit.id(), then);
          rebuild.want(
              new DocumentKey(edit.id()),
              then == null ? new DocumentState() : DocumentState.read(then));
        }
      }
    }
    counting.forEach(change -> rebuild.add(change, isOvertaken(snapshot, change)));
    var hasher = new DocumentHasher(database);
    Map<DocumentKey, DocumentState> made = rebuild.documents();
    FloorRow now = row;
    for (var entry : touched.entrySet()) {
      byte[] id = entry.getKey();
      DocumentState state = made.get(new DocumentKey(id));
      if (state != null) {
        NavigableMap<byte[], byte[]> then = sequences.rows(id, state, hasher);
        byte[] after = state.isEmpty() ? null : state.toByteArray();
        byte[] stored = snapshot.get(Table.STATE, id);
        var current =
            new Base.Document(stored, Arrays.equals(stored, after) ? then : base.stored(id));
        base.put(batch, id, new Base.Document(after, then), current);
        now = now.with(hasher, id, entry.getValue(), after);
      }
    }
    return now;
  }

  /** Whether changes that depend on it may have arrived before it. */
  private static boolean isOvertaken(Storage.Snapshot snapshot, Arrived change) {
    byte[] stored = snapshot.get(Table.VOID, Rows.actorKey(change.actor()));
    return stored != null && change.seq() <= VoidRow.read(stored).skipped();
  }

  /** The texts and lists of documents of the base, as far as changes touch them. */
  private static final class BaseSequences implements Rebuild.Sequences {
    private static final class Open {
      final NavigableMap<byte[], byte[]> rows;
      final Map<DocumentKey, Sequence> sequences = new LinkedHashMap<>();

      Open(NavigableMap<byte[], byte[]> rows) {
        this.rows = rows;
      }
    }

    private final Base base;
    private final Map<DocumentKey, Open> documents = new HashMap<>();

    BaseSequences(Base base) {
      this.base = base;
    }

    private Open open(byte[] id) {
      return documents.computeIfAbsent(
          new DocumentKey(id),
          i -> {
            var open = new Open(base.document(id).sequences());
            OpenSequences.byRegister(open.rows)
                .forEach(
                    (prefix, rows) ->
                        open.sequences.put(
                            prefix,
                            Sequence.read(
                                SequenceRows.register(prefix.bytes), prefix.bytes, rows)));
            return open;
          });
    }

    @Override
    public void apply(byte[] id, OnSequence operation, Dot dot, long timestamp) {
      sequence(id, operation).applyRest(operation, dot, timestamp);
    }

    @Override
    public int count(byte[] id, OnSequence operation, ActorId actor) {
      return sequence(id, operation).count(actor);
    }

    private Sequence sequence(byte[] id, OnSequence operation) {
      byte[] register = operation.register();
      return open(id)
          .sequences
          .computeIfAbsent(
              new DocumentKey(SequenceRows.prefix(id, register)), p -> Sequence.empty(register));
    }

    /** All rows of a document now; its state takes their sum in. */
    NavigableMap<byte[], byte[]> rows(byte[] id, DocumentState state, DocumentHasher hasher) {
      Open touched = documents.get(new DocumentKey(id));
      if (touched == null) {
        return state.sequenceSum().equals(Fingerprint.ZERO)
            ? new TreeMap<>(Arrays::compareUnsigned)
            : base.document(id).sequences();
      }
      touched.sequences.forEach(
          (prefix, sequence) ->
              sequence.flush(
                  prefix.bytes,
                  (key, row) -> {
                    byte[] old =
                        row == null ? touched.rows.remove(key) : touched.rows.put(key, row);
                    Fingerprint sum = state.sequenceSum();
                    sum = old == null ? sum : sum.minus(hasher.of(key, old));
                    state.sequenceSum(row == null ? sum : sum.plus(hasher.of(key, row)));
                  }));
      return touched.rows;
    }
  }
}
