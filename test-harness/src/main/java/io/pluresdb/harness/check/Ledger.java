package io.pluresdb.harness.check;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.op.Change;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Every change that any replica ever held: an (actor, seq) means one change, for all time. */
public final class Ledger {
  /** The number of a change. */
  public record Key(ActorId actor, long seq) implements Comparable<Key> {
    @Override
    public int compareTo(Key other) {
      int order = actor.compareTo(other.actor);
      return order != 0 ? order : Long.compare(seq, other.seq);
    }
  }

  /** A change and its hash. */
  public record Entry(Hash hash, Change change) {}

  private final TreeMap<Key, Entry> entries = new TreeMap<>();
  private long greatestTimestamp;

  void record(ActorId actor, long seq, Hash hash, Change change) {
    Entry known = entries.putIfAbsent(new Key(actor, seq), new Entry(hash, change));
    if (known != null && !known.hash.equals(hash)) {
      throw new Violation(
          Invariant.I4,
          "change " + seq + " of actor " + actor + " is " + known.hash + " and " + hash);
    }
    greatestTimestamp = Math.max(greatestTimestamp, change.timestamp());
  }

  public @Nullable Entry get(ActorId actor, long seq) {
    return entries.get(new Key(actor, seq));
  }

  public int size() {
    return entries.size();
  }

  /** The greatest hybrid timestamp ever issued. */
  public long greatestTimestamp() {
    return greatestTimestamp;
  }
}
