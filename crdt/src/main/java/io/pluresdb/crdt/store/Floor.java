package io.pluresdb.crdt.store;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.causal.HybridClock;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.op.SignedHead;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;

/**
 * Up to where the log of a replica does not tell: of each actor the greatest seq that was applied
 * and is not in the log, or came by joining a snapshot. With the changes up to there everything
 * they depend on is below too.
 */
final class Floor {
  private final Map<ActorId, Long> seqs = new HashMap<>();
  private final Map<ActorId, SignedHead> heads = new TreeMap<>();
  private long timestamp = -1;

  /** Of a log that reaches back to the first change. */
  static final Floor NONE = new Floor();

  private Floor() {}

  Floor(Storage.Snapshot snapshot) {
    try (var rows = Base.heads(snapshot)) {
      while (rows.next()) {
        SignedHead head = SignedHead.read(rows.value());
        seqs.put(Base.actor(rows.key()), head.seq());
        heads.put(Base.actor(rows.key()), head);
        timestamp = Math.max(timestamp, head.timestamp());
      }
    }
  }

  boolean isEmpty() {
    return seqs.isEmpty();
  }

  boolean covers(ActorId actor, long seq) {
    return seq(actor) >= seq;
  }

  /** The greatest seq of an actor that is gone, 0 for none. */
  long seq(ActorId actor) {
    return seqs.getOrDefault(actor, 0L);
  }

  boolean covers(Dot dot) {
    return covers(dot.actor(), dot.seq());
  }

  /** An upper bound of the timestamps of what is gone; -1 when nothing is. */
  long timestamp() {
    return timestamp;
  }

  /** The last change of each actor that is gone. */
  Frontier frontier(Hash database) {
    var places = new TreeMap<ActorId, Head>();
    heads.forEach((actor, head) -> places.put(actor, head.head(database, actor)));
    return Frontier.of(places);
  }

  /** The last change of each actor that is gone, as it proves itself. */
  Map<ActorId, SignedHead> heads() {
    return heads;
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
