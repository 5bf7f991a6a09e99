package io.pluresdb.crdt.store;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.causal.HybridClock;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.op.SignedHead;
import io.pluresdb.crdt.store.Rows.JoinedPast;
import io.pluresdb.crdt.store.Storage.Table;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;

/**
 * Up to where the log of a replica does not tell: of each actor the greatest seq that was applied
 * and is not in the log, or came by joining a snapshot. With the changes up to there everything
 * they depend on is below too.
 */
final class Floor {
  private final Map<ActorId, Long> seqs = new HashMap<>();
  private long timestamp = -1;

  Floor(Storage.Snapshot snapshot) {
    JoinedPast joined = JoinedPast.read(snapshot.get(Table.META, Rows.META_JOINED));
    seqs.putAll(joined.seqs());
    timestamp = joined.timestamp();
    try (var rows = snapshot.scan(Table.FLOOR, new byte[0], null)) {
      while (rows.next()) {
        SignedHead head = SignedHead.read(rows.value());
        seqs.merge(ActorId.read(new ByteReader(rows.key())), head.seq(), Math::max);
        timestamp = Math.max(timestamp, head.timestamp());
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
