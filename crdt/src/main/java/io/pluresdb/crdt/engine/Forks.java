package io.pluresdb.crdt.engine;

import io.pluresdb.crdt.auth.MembershipEntry.Fork;
import io.pluresdb.crdt.auth.MembershipEntry.Fork.Branch;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.op.ChangeRun.Genesis;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.sync.SyncMessage;
import io.pluresdb.crdt.sync.SyncMessage.Offshoot;
import io.pluresdb.crdt.sync.SyncMessage.Trace;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Proves that a device wrote twice under one actor, together with a peer that has the other branch.
 *
 * <p>Where a frontier names another hash for a change that is here, the two sides narrow down the
 * last change both have by telling each other hashes in between; each answer is worked out from the
 * question alone. Then one side sends its branch, and the other, which has its own, has the proof.
 */
final class Forks {
  /** Between two looks for the fork of one actor with one peer. */
  static final long TICKS_BETWEEN_LOOKS = 30;

  /** Most actors looked for with one peer at a time. */
  static final int MAX_LOOKS = 16;

  private static final int STEPS = 32;

  private final Replica replica;
  private final Map<PeerLink, Map<ActorId, Long>> looks = new HashMap<>();

  Forks(Replica replica) {
    this.replica = replica;
  }

  void forget(PeerLink link) {
    looks.remove(link);
  }

  /** The questions that a peer's frontier raises. */
  List<Trace> onHeads(PeerLink link, Frontier peer, long tick) {
    Map<ActorId, Long> asked = looks.computeIfAbsent(link, l -> new TreeMap<>());
    asked.values().removeIf(since -> tick - since >= TICKS_BETWEEN_LOOKS);
    Frontier ours = replica.view().frontier();
    var traces = new ArrayList<Trace>();
    for (Map.Entry<ActorId, Head> entry : peer.heads().entrySet()) {
      ActorId actor = entry.getKey();
      Head theirs = entry.getValue();
      Head own = ours.heads().get(actor);
      if (own == null || own.seq() < theirs.seq() || own.equals(theirs)) {
        continue;
      }
      Hash here = own.seq() == theirs.seq() ? own.hash() : replica.hashOf(actor, theirs.seq());
      boolean differs = here != null && !here.equals(theirs.hash());
      if (differs && asked.size() < MAX_LOOKS && asked.putIfAbsent(actor, tick) == null) {
        traces.add(new Trace(actor, points(actor, 0, theirs.seq())));
      }
    }
    return traces;
  }

  /** Our changes of an actor in (after, upTo], evenly spaced, the last among them. */
  private List<Head> points(ActorId actor, long after, long upTo) {
    var points = new ArrayList<Head>();
    long length = upTo - after;
    long before = after;
    for (int i = 1; i <= STEPS; i++) {
      long seq = after + length * i / STEPS;
      Hash hash = seq > before ? replica.hashOf(actor, seq) : null;
      if (hash != null) {
        points.add(new Head(seq, hash));
        before = seq;
      }
    }
    return points;
  }

  /** What to say to a peer that has other changes: where to look next, or our branch. */
  @Nullable SyncMessage onTrace(Trace trace) {
    ActorId actor = trace.actor();
    long newest = replica.newest(actor).seq();
    long common = 0;
    for (Head point : trace.points()) {
      Hash here = point.seq() <= newest ? replica.hashOf(actor, point.seq()) : null;
      if (here == null) {
        continue;
      }
      if (here.equals(point.hash())) {
        common = point.seq();
      } else if (point.seq() == common + 1) {
        Branch branch = replica.log().branch(actor, common, newest);
        return branch == null ? null : new Offshoot(actor, common, branch);
      } else {
        return new Trace(actor, points(actor, common, point.seq()));
      }
    }
    return null;
  }

  /** The proof that the peer's branch and ours make, or null when it is none. */
  @Nullable Fork onOffshoot(Offshoot offshoot) {
    ActorId actor = offshoot.actor();
    Genesis genesis = replica.genesis(actor);
    Hash hash = replica.hashOf(actor, offshoot.common());
    long newest = replica.newest(actor).seq();
    if (genesis == null || hash == null || newest <= offshoot.common()) {
      return null;
    }
    Branch own = replica.log().branch(actor, offshoot.common(), newest);
    if (own == null) {
      return null;
    }
    Fork fork =
        Fork.of(
            replica.identity().database(),
            genesis,
            new Head(offshoot.common(), hash),
            own,
            offshoot.branch());
    return fork.isAuthentic() ? fork : null;
  }
}
