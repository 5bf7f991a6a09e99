package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.SignedHead;
import io.pluresdb.crdt.store.Rows.ActorRow;
import io.pluresdb.crdt.store.Rows.ArrivalRow;
import io.pluresdb.crdt.store.Rows.JoinedRow;
import io.pluresdb.crdt.store.Rows.SegmentRow;
import io.pluresdb.crdt.store.Rows.VoidRow;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.ToLongFunction;

/**
 * Takes changes off the old end of the log, as far as a cut lets it.
 *
 * <p>What goes is always a prefix of the arrival log, so what is left stays in causal order, and it
 * ends at a signed change, so the changes above still prove themselves. Void changes in it go, too,
 * when they are old enough. State, frontier and fingerprints are not touched: nobody who does not
 * look at the log can tell.
 */
final class LogTruncation {
  /** A step ends when it has looked at so many bytes of segments. */
  static final int STEP_BYTES = 2 << 20;

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

  // Rows that may go together with the next signed change.
  private final List<byte[]> arrivalKeys = new ArrayList<>();
  private final List<byte[]> segmentKeys = new ArrayList<>();
  private final TreeMap<ActorId, SignedHead> heads = new TreeMap<>();
  private final TreeMap<ActorId, VoidRow> pendingVoids = new TreeMap<>();
  private final TreeMap<ActorId, VoidRow> voids = new TreeMap<>();
  private int bytes;
  private int rows;

  private LogTruncation(
      Storage storage,
      Hash database,
      LogFloor floor,
      ToLongFunction<ActorId> cut,
      long beforeTimestamp) {
    this.storage = storage;
    this.database = database;
    this.floor = floor;
    this.cut = cut;
    this.beforeTimestamp = beforeTimestamp;
  }

  /**
   * Commits one step.
   *
   * @param cut the greatest seq of an actor that may go
   * @param beforeTimestamp only changes of an earlier hybrid time may go
   */
  static Step step(
      Storage storage,
      Hash database,
      LogFloor floor,
      ToLongFunction<ActorId> cut,
      long beforeTimestamp) {
    return new LogTruncation(storage, database, floor, cut, beforeTimestamp).step();
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
      return commit(batch, reached, !ended);
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
      if (known.timestamp() >= beforeTimestamp) {
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
        segmentKeys.add(segments.key());
      }
    }
    if (last == null) {
      return segmentKeys.isEmpty() ? Verdict.GOES : Verdict.GOES_ON;
    }
    byte[] signature = last.signature();
    if (signature == null || lastFrom + last.changes().size() - 1 != row.lastSeq()) {
      return Verdict.GOES_ON;
    }
    long counts = Math.min(row.lastSeq(), frontier(snapshot, actor).head().seq());
    if (counts > floorSeq(actor)) {
      heads.put(actor, head(snapshot, database, actor, counts));
    }
    return Verdict.GOES;
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
    voids.putAll(pendingVoids);
    pendingVoids.clear();
  }

  private Step commit(Storage.Batch batch, long reached, boolean more) {
    var seqs = new TreeMap<ActorId, Head>(floor.frontier().heads());
    for (Map.Entry<ActorId, SignedHead> entry : heads.entrySet()) {
      ActorId actor = entry.getKey();
      SignedHead head = entry.getValue();
      if (head.seq() > floorSeq(actor)) {
        seqs.put(actor, head.head(database, actor));
        batch.put(Table.FLOOR, Rows.actorKey(actor), head.toByteArray());
      }
    }
    voids.forEach((actor, row) -> batch.put(Table.VOID, Rows.actorKey(actor), row.toByteArray()));
    batch.put(Table.META, Rows.META_FLOOR, Rows.floorRow(reached));
    storage.commit(batch, Durability.BUFFERED);
    return new Step(new LogFloor(reached, Frontier.of(seqs)), voids, more);
  }
}
