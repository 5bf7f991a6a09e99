package io.pluresdb.harness.check;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.op.Change;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Every change that any replica ever held: an (actor, seq) means one change, for all time, and the
 * device of the actor had it first. Only a device that lies may sign several; and what never left
 * its author may be forgotten with a restored copy and its number used again.
 */
public final class Ledger {
  /** The number of a change. */
  public record Key(ActorId actor, long seq) implements Comparable<Key> {
    @Override
    public int compareTo(Key other) {
      int order = actor.compareTo(other.actor);
      return order != 0 ? order : Long.compare(seq, other.seq);
    }
  }

  /** A change and its hash; of several, the one that was taken first. */
  public record Entry(Hash hash, Change change) {}

  /** What may become of the changes of a device that lies. */
  public enum Standing {
    /** It is a member: what it signs by the rules is taken. */
    MEMBER,
    /** It is none: nothing of it is ever taken. */
    OUTSIDER
  }

  private final TreeMap<Key, Entry> entries = new TreeMap<>();
  private final TreeMap<ActorId, Integer> authors = new TreeMap<>();
  private final TreeMap<ActorId, Standing> liars = new TreeMap<>();
  private final TreeSet<ActorId> forked = new TreeSet<>();
  private final TreeMap<ActorId, Long> published = new TreeMap<>();
  private long greatestTimestamp;

  /** The author shows its changes up to {@code seq} to somebody. */
  public void publish(ActorId actor, long seq) {
    published.merge(actor, seq, Math::max);
  }

  /** Whether somebody but the author may know of a change. */
  public boolean isPublished(ActorId actor, long seq) {
    return published.getOrDefault(actor, 0L) >= seq;
  }

  /** Takes note of an actor of a device that lies. */
  public void lies(ActorId actor, Standing standing) {
    liars.put(actor, standing);
  }

  /** Whether an actor belongs to a device that lies. */
  public boolean isLiar(ActorId actor) {
    return liars.containsKey(actor);
  }

  /** Whether replicas took different changes of one number: only liars can do that to them. */
  public boolean isForked(ActorId actor) {
    return forked.contains(actor);
  }

  /** {@code device} holds a change. */
  void record(int device, ActorId actor, long seq, Hash hash, Change change) {
    Standing standing = liars.get(actor);
    if (standing == Standing.OUTSIDER) {
      throw new Violation(
          Invariant.I13, "device " + device + " takes change " + seq + " of outsider " + actor);
    }
    var key = new Key(actor, seq);
    if (standing == null && !isPublished(actor, seq) && authors.getOrDefault(actor, -1) == device) {
      entries.remove(key);
    }
    Entry known = entries.putIfAbsent(key, new Entry(hash, change));
    if (known == null && standing == null) {
      int author = authors.computeIfAbsent(actor, a -> device);
      if (author != device) {
        throw new Violation(
            Invariant.I13,
            "device " + device + " takes change " + seq + " of " + actor + ", which is forged");
      }
    }
    if (known != null && !known.hash.equals(hash)) {
      if (standing == null) {
        throw new Violation(
            Invariant.I4,
            "change " + seq + " of actor " + actor + " is " + known.hash + " and " + hash);
      }
      forked.add(actor);
    }
    greatestTimestamp = Math.max(greatestTimestamp, change.timestamp());
  }

  public @Nullable Entry get(ActorId actor, long seq) {
    return entries.get(new Key(actor, seq));
  }

  /** How many actors a device has written as. */
  public int actorsOf(int device) {
    return (int) authors.values().stream().filter(author -> author == device).count();
  }

  public int size() {
    return entries.size();
  }

  /** The greatest hybrid timestamp that any replica took. */
  public long greatestTimestamp() {
    return greatestTimestamp;
  }
}
