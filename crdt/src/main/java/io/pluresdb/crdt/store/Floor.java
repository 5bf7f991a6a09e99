package io.pluresdb.crdt.store;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.causal.HybridClock;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.store.Rows.ActorRow;
import io.pluresdb.crdt.store.Rows.SegmentRow;
import io.pluresdb.crdt.store.Storage.Table;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;

/**
 * Up to where the log of a replica is no longer kept: of each actor the greatest seq that was
 * applied and is not in the log. With the changes up to there everything they depend on is gone
 * too.
 */
final class Floor {
  private final Map<ActorId, Long> seqs = new HashMap<>();
  private long timestamp = -1;

  Floor(Storage.Snapshot snapshot) {
    try (var rows = snapshot.scan(Table.FRONTIER, new byte[0], null)) {
      while (rows.next()) {
        look(snapshot, ActorId.read(new ByteReader(rows.key())), ActorRow.read(rows.value()));
      }
    }
  }

  private void look(Storage.Snapshot snapshot, ActorId actor, ActorRow head) {
    long last = head.head().seq();
    if (last == 0) {
      return;
    }
    try (var log = snapshot.scan(Table.LOG, Rows.logKey(actor, 0), Rows.logKey(actor, last + 1))) {
      if (!log.next()) {
        seqs.put(actor, last);
        timestamp = Math.max(timestamp, head.timestamp());
      } else if (Rows.seq(log.key()) > 1) {
        seqs.put(actor, Rows.seq(log.key()) - 1);
        long after = SegmentRow.links(log.value()).getFirst().timestamp();
        timestamp = Math.max(timestamp, after - 1);
      }
    }
  }

  boolean isEmpty() {
    return seqs.isEmpty();
  }

  boolean covers(ActorId actor, long seq) {
    return seqs.getOrDefault(actor, 0L) >= seq;
  }

  boolean covers(Dot dot) {
    return covers(dot.actor(), dot.seq());
  }

  /** An upper bound of the timestamps of what is gone; -1 when nothing is. */
  long timestamp() {
    return timestamp;
  }

  /** Every actor some of whose changes are gone, with the last seq that is. */
  Map<ActorId, Long> seqs() {
    return seqs;
  }

  /** That a moment is too old, naming the earliest one that can be asked for. */
  static CoreException tooOld(long timestamp) {
    long millis = HybridClock.wallMillis(timestamp) + 1;
    return new CoreException(
        CoreException.Kind.HISTORY_TRUNCATED,
        "what the document was then is no longer kept; the earliest moment that can be asked for"
            + " is "
            + Instant.ofEpochMilli(millis)
            + " ("
            + millis
            + ")");
  }
}
