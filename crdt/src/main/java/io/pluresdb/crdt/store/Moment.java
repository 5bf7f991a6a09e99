package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.HybridClock;
import java.util.Collections;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;

/**
 * A moment in the past of a database: a set of changes that holds, with each change, everything
 * that change depends on.
 */
public sealed interface Moment {

  /**
   * Every change that was made up to a time, by its author's hybrid clock. Hybrid time rises along
   * every dependency, so nothing is missing that such a change depends on; but a change of that
   * time that arrives later belongs to the moment from then on.
   *
   * @param millis since 1970, inclusive
   */
  record Time(long millis) implements Moment {
    /** The greatest hybrid timestamp of this moment. */
    long last() {
      return HybridClock.endOf(millis);
    }
  }

  /** A change and all that its author had seen when making it. */
  record Version(ActorId actor, long seq) implements Moment {}

  /**
   * What a replica had seen: of each actor the changes up to a seq, of others none. The caller
   * answers for its being a set that some replica had.
   */
  record Seen(NavigableMap<ActorId, Long> seqs) implements Moment {
    public Seen(Map<ActorId, Long> seqs) {
      this(Collections.unmodifiableNavigableMap(new TreeMap<>(seqs)));
    }

    public static Seen of(Frontier frontier) {
      var seqs = new TreeMap<ActorId, Long>();
      frontier.heads().forEach((actor, head) -> seqs.put(actor, head.seq()));
      return new Seen(Collections.unmodifiableNavigableMap(seqs));
    }
  }
}
