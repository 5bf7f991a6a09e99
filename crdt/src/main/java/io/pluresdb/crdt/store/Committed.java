package io.pluresdb.crdt.store;

import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.op.ChangeRun.Genesis;
import io.pluresdb.crdt.store.Rows.ActorRow;
import io.pluresdb.crdt.store.Rows.VoidRow;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** What a replica keeps in memory of its last commit. Only its thread touches it. */
final class Committed {
  /** A larger buffer, from a single change, is not kept for the next commit. */
  private static final int MAX_KEPT_BYTES = 4 * LogAppender.SEGMENT_BYTES;

  /** The actor this device writes as. */
  record Own(ActorId actor, Genesis genesis) {}

  final Map<ActorId, ActorRow> actors = new HashMap<>();
  final Map<ActorId, VoidRow> voids = new HashMap<>();
  final BucketSums buckets;
  Membership membership;
  long documents;
  long arrivals;
  @Nullable Own own;

  /** Actors with changes that the own actor has not named as dependencies yet. */
  TreeSet<ActorId> undeclared = new TreeSet<>();

  final RecentCommits recent;

  private ByteWriter segment = new ByteWriter(1_024);

  Committed(BucketSums buckets, Membership membership, long arrivals) {
    this.buckets = buckets;
    this.membership = membership;
    this.arrivals = arrivals;
    this.recent = new RecentCommits(arrivals);
  }

  /** Scratch for the one {@link LogAppender} there is at a time. */
  ByteWriter segment() {
    if (segment.array().length > MAX_KEPT_BYTES) {
      segment = new ByteWriter(1_024);
    }
    return segment;
  }

  /** The snapshot that is being joined, or null. */
  @Nullable Joining joining;

  /** What the base is made of; not up to date while a snapshot is being joined. */
  Floor floor = Floor.NONE;

  /** Whether anything left the log, so that documents have a base. */
  boolean hasBase() {
    return !floor.isEmpty() || joining != null;
  }

  /** Of an actor the last change that is in the base of documents that may be written now. */
  long floorSeq(ActorId actor) {
    return joining == null ? floor.seq(actor) : joining.floorSeq(actor);
  }

  /** The newest change of an actor, 0 for none. */
  long seq(ActorId actor) {
    ActorRow row = actors.get(actor);
    return row == null ? 0 : row.head().seq();
  }

  Replica.View view() {
    var heads = new TreeMap<ActorId, Head>();
    actors.forEach(
        (actor, row) -> {
          if (row.head().seq() > 0) {
            heads.put(actor, row.head());
          }
        });
    return new Replica.View(
        Frontier.of(heads),
        membership,
        documents,
        joining == null ? buckets.sum().hash() : joining.stateHash(),
        arrivals);
  }
}
