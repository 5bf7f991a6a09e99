package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.ChangeRun.Genesis;
import io.pluresdb.crdt.op.SignedHead;
import io.pluresdb.crdt.store.Rows.ActorRow;
import io.pluresdb.crdt.store.Rows.ArrivalRow;
import io.pluresdb.crdt.store.Rows.JoinedRow;
import io.pluresdb.crdt.store.Rows.SegmentRow;
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
 * ends at a signed change, so the changes above still prove themselves. State, frontier and
 * fingerprints are not touched: nobody who does not look at the log can tell.
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
   * @param changes how many went
   * @param more whether there may be more to take at once
   */
  record Step(LogFloor floor, long changes, boolean more) {}

  private final Storage storage;
  private final Hash database;
  private final LogFloor floor;
  private final ToLongFunction<ActorId> cut;
  private final long beforeTimestamp;

  // Rows that may go together with the next signed change.
  private final List<byte[]> arrivalKeys = new ArrayList<>();
  private final List<byte[]> segmentKeys = new ArrayList<>();
  private final TreeMap<ActorId, SignedHead> heads = new TreeMap<>();
  private long pendingChanges;
  private long changes;
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
          if (row.lastSeq() > Math.max(cut.applyAsLong(row.actor()), floorSeq(row.actor()))) {
            break;
          }
          arrivalKeys.add(arrivals.key());
          Verdict verdict = look(snapshot, row);
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
        return new Step(floor, 0, false);
      }
      return commit(batch, reached, !ended);
    }
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

  private Verdict look(Storage.Snapshot snapshot, ArrivalRow row) {
    ActorId actor = row.actor();
    SegmentRow last = null;
    long lastFrom = 0;
    try (var segments =
        snapshot.scan(
            Table.LOG, Rows.logKey(actor, row.fromSeq()), Rows.logKey(actor, row.lastSeq() + 1))) {
      while (segments.next()) {
        bytes += segments.value().length;
        last = SegmentRow.read(segments.value());
        lastFrom = Rows.seq(segments.key());
        if (last.changes().getLast().timestamp() >= beforeTimestamp) {
          return Verdict.STAYS;
        }
        segmentKeys.add(segments.key());
      }
    }
    pendingChanges += row.count();
    if (last == null) {
      // Its changes are in a segment that began in the row before.
      return Verdict.GOES_ON;
    }
    byte[] signature = last.signature();
    if (signature == null || lastFrom + last.changes().size() - 1 != row.lastSeq()) {
      return Verdict.GOES_ON;
    }
    heads.put(actor, head(snapshot, database, actor, lastFrom, last, signature));
    return Verdict.GOES;
  }

  /** The last change of a signed segment, without its body. */
  static SignedHead head(
      Storage.Snapshot snapshot,
      Hash database,
      ActorId actor,
      long fromSeq,
      SegmentRow segment,
      byte[] signature) {
    byte[] row = snapshot.get(Table.FRONTIER, Rows.actorKey(actor));
    if (row == null) {
      throw new IllegalStateException("actor " + actor + " has changes and no frontier");
    }
    Genesis genesis = ActorRow.read(row).genesis();
    Hash previous = segment.previous();
    List<Change> all = segment.changes();
    for (int i = 0; i < all.size() - 1; i++) {
      previous = all.get(i).hash(database, actor, fromSeq + i, previous);
    }
    return new SignedHead(
        fromSeq + all.size() - 1, previous, all.getLast().link(), genesis, signature);
  }

  private void take(Storage.Batch batch) {
    arrivalKeys.forEach(key -> batch.delete(Table.ARRIVAL, key));
    segmentKeys.forEach(key -> batch.delete(Table.LOG, key));
    arrivalKeys.clear();
    segmentKeys.clear();
    changes += pendingChanges;
    pendingChanges = 0;
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
    batch.put(Table.META, Rows.META_FLOOR, Rows.floorRow(reached));
    storage.commit(batch, Durability.BUFFERED);
    return new Step(new LogFloor(reached, Frontier.of(seqs)), changes, more);
  }
}
