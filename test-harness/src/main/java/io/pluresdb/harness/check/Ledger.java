package io.pluresdb.harness.check;

import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.ChangeRun.Genesis;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Every change that any replica ever held: an (actor, seq) means one change, for all time, and the
 * device of the actor had it first. Only a device that lies, or of whose data directory there are
 * two, may sign several; and what never left its author may be forgotten with a restored copy and
 * its number used again.
 *
 * <p>Two copies of a data directory are one device here.
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

  /** A change, its hash and the hash of the one before it. */
  public record Entry(Hash hash, Hash previous, Change change) {}

  /** A change in its place. */
  record Placed(ActorId actor, long seq, Entry entry) {}

  /** What may become of the changes of a device that lies. */
  public enum Standing {
    /** It is a member: what it signs by the rules is taken. */
    MEMBER,
    /** It is none: nothing of it is ever taken. */
    OUTSIDER
  }

  private static final LinkedHashMap<Hash, Entry> NONE = new LinkedHashMap<>();

  /** Of each number the changes that were seen, in order. */
  private final TreeMap<Key, LinkedHashMap<Hash, Entry>> entries = new TreeMap<>();

  private final TreeMap<ActorId, Integer> authors = new TreeMap<>();
  private final TreeMap<ActorId, Genesis> origins = new TreeMap<>();
  private final TreeMap<ActorId, Standing> liars = new TreeMap<>();

  /** Actors that two data directories go on with, and the last change that both had. */
  private final TreeMap<ActorId, Long> shared = new TreeMap<>();

  private final TreeSet<ActorId> forked = new TreeSet<>();
  private final TreeMap<ActorId, Long> published = new TreeMap<>();

  /** How far each device, by its key, ever had each actor on its disk. */
  private final NavigableMap<byte[], TreeMap<ActorId, Long>> durable =
      new TreeMap<>(Arrays::compareUnsigned);

  private final Map<Hash, Membership> memberships = new HashMap<>();
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

  /** From now on two data directories may go on with an actor of which both hold {@code seq}. */
  public void share(ActorId actor, long seq) {
    shared.merge(actor, seq, Math::min);
  }

  /** Whether a correct device may write a change twice, since it cannot know better. */
  public boolean isShared(ActorId actor, long seq) {
    Long common = shared.get(actor);
    return common != null && seq > common;
  }

  /** Whether a text names an actor that two data directories go on with. */
  public boolean namesShared(String text) {
    return shared.keySet().stream().anyMatch(actor -> text.contains(actor.toString()));
  }

  /** Whether replicas took different changes of one number. */
  public boolean isForked(ActorId actor) {
    return forked.contains(actor);
  }

  /** {@code device} holds a change. */
  void record(int device, ActorId actor, long seq, Entry entry) {
    Standing standing = liars.get(actor);
    if (standing == Standing.OUTSIDER) {
      throw new Violation(
          Invariant.I13, "device " + device + " takes change " + seq + " of outsider " + actor);
    }
    var key = new Key(actor, seq);
    boolean isAuthor = authors.getOrDefault(actor, -1) == device;
    if (standing == null && isAuthor && !isPublished(actor, seq) && !isShared(actor, seq)) {
      entries.remove(key);
    }
    var known = entries.computeIfAbsent(key, k -> new LinkedHashMap<>());
    greatestTimestamp = Math.max(greatestTimestamp, entry.change.timestamp());
    if (known.containsKey(entry.hash)) {
      return;
    }
    if (standing == null && authors.computeIfAbsent(actor, a -> device) != device) {
      throw new Violation(
          Invariant.I13,
          "device " + device + " takes change " + seq + " of " + actor + ", which is forged");
    }
    if (!known.isEmpty()) {
      if (standing == null && !isShared(actor, seq)) {
        throw new Violation(
            Invariant.I4,
            "change "
                + seq
                + " of actor "
                + actor
                + " is "
                + known.firstEntry().getKey()
                + " and "
                + entry.hash);
      }
      forked.add(actor);
    }
    known.put(entry.hash, entry);
  }

  /** Takes note of whose an actor is. */
  void originates(ActorId actor, Genesis genesis) {
    origins.putIfAbsent(actor, genesis);
  }

  @Nullable Genesis origin(ActorId actor) {
    return origins.get(actor);
  }

  /** Whether somebody ever held this change. */
  boolean holds(ActorId actor, long seq, Hash hash) {
    return entries.getOrDefault(new Key(actor, seq), NONE).containsKey(hash);
  }

  /** Whether anybody ever held a change of that number. */
  boolean holds(ActorId actor, long seq) {
    return entries.containsKey(new Key(actor, seq));
  }

  /** The hybrid time of a change, of several the least; null when there is none. */
  @Nullable Long timestamp(ActorId actor, long seq) {
    Long least = null;
    for (Entry entry : entries.getOrDefault(new Key(actor, seq), NONE).values()) {
      long timestamp = entry.change.timestamp();
      least = least == null ? timestamp : Math.min(least, timestamp);
    }
    return least;
  }

  /**
   * The changes of an actor up to a head, ascending.
   *
   * @throws Violation when nobody ever held one of them
   */
  public List<Entry> chain(ActorId actor, Head head) {
    var chain = new ArrayList<Entry>();
    Hash hash = head.hash();
    for (long seq = head.seq(); seq > 0; seq--) {
      var known = entries.get(new Key(actor, seq));
      Entry entry = known == null ? null : known.get(hash);
      if (entry == null) {
        throw new Violation(
            Invariant.I4, "nobody wrote change " + seq + " of " + actor + " with hash " + hash);
      }
      chain.add(entry);
      hash = entry.previous;
    }
    return chain.reversed();
  }

  /** All changes ever seen, both branches of forks too. */
  List<Placed> all() {
    var all = new ArrayList<Placed>();
    entries.forEach(
        (key, variants) ->
            variants.values().forEach(entry -> all.add(new Placed(key.actor, key.seq, entry))));
    return all;
  }

  /** How many actors a device has written as. */
  public int actorsOf(int device) {
    return (int) authors.values().stream().filter(author -> author == device).count();
  }

  /** The actors a device has written as. */
  public List<ActorId> actors(int device) {
    return authors.entrySet().stream()
        .filter(author -> author.getValue() == device)
        .map(Map.Entry::getKey)
        .toList();
  }

  /** The greatest hybrid timestamp that any replica took. */
  public long greatestTimestamp() {
    return greatestTimestamp;
  }

  /** Whose the actors are. */
  Collection<Genesis> origins() {
    return origins.values();
  }

  /** A device, by its key, has changes up to {@code seq} on its disk. */
  void durable(byte[] device, ActorId actor, long seq) {
    durable.computeIfAbsent(device, d -> new TreeMap<>()).merge(actor, seq, Math::max);
  }

  /** The greatest change of an actor that a device ever had on its disk. */
  public long everDurable(byte[] device, ActorId actor) {
    return durable.getOrDefault(device, new TreeMap<>()).getOrDefault(actor, 0L);
  }

  /** What follows from membership rows. */
  Membership membership(Hash database, byte[] founder, Collection<byte[]> rows) {
    byte[][] sorted = rows.toArray(byte[][]::new);
    Hash name = Hash.of("members", sorted);
    return memberships.computeIfAbsent(
        name,
        n ->
            Membership.of(
                database,
                founder,
                rows.stream().map(row -> MembershipEntry.read(new ByteReader(row))).toList()));
  }
}
