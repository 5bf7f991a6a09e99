package io.pluresdb.crdt.auth;

import io.pluresdb.crdt.auth.MembershipEntry.Admit;
import io.pluresdb.crdt.auth.MembershipEntry.Fork;
import io.pluresdb.crdt.auth.MembershipEntry.Keep;
import io.pluresdb.crdt.auth.MembershipEntry.Revoke;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.Hash;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * The members of a database: a growing set of signed entries and what follows from them, which does
 * not depend on the order in which they came. Immutable.
 *
 * <p>Of several admissions of a device the greatest role counts, less what removals took that the
 * admission had not seen. {@link Verdicts} says which entries count.
 */
public final class Membership {
  /** Most entries of a database; of more the ones by the most senior signers are kept. */
  public static final int MAX_ENTRIES = 4_096;

  /** Most entries of one signer. */
  public static final int MAX_BY_SIGNER = 2_048;

  /** Most entries of signers that no admission of an admin leads to. */
  public static final int MAX_STRAY = 256;

  /** Most actors of which one signer may say that it cannot take back what they did. */
  public static final int MAX_KEPT = 256;

  /** Most proofs of forks of one device; those at the least places are kept. */
  public static final int MAX_FORKS = 64;

  private static final Comparator<Head> PLACES =
      Comparator.comparingLong(Head::seq).thenComparing(Head::hash, MembershipEntry.HASHES);

  private final Hash database;
  private final byte[] founder;
  private final NavigableMap<byte[], MembershipEntry> entries;
  private final Verdicts verdicts;
  private final NavigableMap<byte[], Admit> members = new TreeMap<>(Arrays::compareUnsigned);
  private final NavigableMap<byte[], Role> roles = new TreeMap<>(Arrays::compareUnsigned);
  private final Map<ActorId, Head> forks = new HashMap<>();
  private final Map<ActorId, Head> kept = new HashMap<>();
  private final Hash hash;

  private Membership(Hash database, byte[] founder, NavigableMap<byte[], MembershipEntry> entries) {
    this.database = database;
    this.founder = founder;
    this.entries = entries;
    this.verdicts = new Verdicts(founder, entries);
    note(founder);
    for (MembershipEntry entry : entries.values()) {
      switch (entry) {
        case Admit admit -> note(admit.device());
        case Revoke revoke -> {}
        case Fork fork ->
            forks.merge(fork.actor(), fork.common(), (a, b) -> a.seq() <= b.seq() ? a : b);
        case Keep keep -> {}
      }
    }
    for (Keep keep : keeps()) {
      Role role = verdicts.role(keep.signer());
      if (role != null && role.includes(Role.WRITE)) {
        kept.merge(keep.actor(), keep.place(), (a, b) -> PLACES.compare(a, b) >= 0 ? a : b);
      }
    }
    var out = new ByteWriter(32 * entries.size() + 32);
    entries.keySet().forEach(out::bytes);
    hash = Hash.of("pluresdb-members-v1", out.toByteArray());
  }

  private void note(byte[] device) {
    if (roles.containsKey(device)) {
      return;
    }
    Role role = verdicts.role(device);
    if (role != null) {
      roles.put(device, role);
    }
    Admit admission = verdicts.admission(device);
    if (admission != null) {
      members.put(device, admission);
    }
  }

  /** The membership that follows from {@code entries}; those that do not hold are left out. */
  public static Membership of(
      Hash database, byte[] founder, Collection<? extends MembershipEntry> entries) {
    var empty = new Membership(database, founder, new TreeMap<>(Arrays::compareUnsigned));
    return empty.with(entries);
  }

  /**
   * This membership with {@code more}; itself when nothing is new. Entries that are not authentic,
   * belong to another database or exceed the limits are left out.
   */
  public Membership with(Collection<? extends MembershipEntry> more) {
    var all = new TreeMap<byte[], MembershipEntry>(entries);
    for (MembershipEntry entry : more) {
      byte[] name = entry.hash().bytes();
      if (entry.database().equals(database) && !all.containsKey(name) && entry.isAuthentic()) {
        all.put(name, entry);
      }
    }
    if (all.size() == entries.size()) {
      return this;
    }
    var kept = bounded(all);
    return kept.keySet().equals(entries.keySet()) ? this : new Membership(database, founder, kept);
  }

  /** Keeps to the limits: one proof for each fork, and the most senior signers' entries. */
  private NavigableMap<byte[], MembershipEntry> bounded(NavigableMap<byte[], MembershipEntry> all) {
    Map<byte[], Integer> depths = Verdicts.depths(founder, List.copyOf(all.values()));
    var known = new TreeMap<byte[], Boolean>(Arrays::compareUnsigned);
    all.values().forEach(entry -> known.put(entry.device(), true));
    var order = new ArrayList<Map.Entry<byte[], MembershipEntry>>(all.entrySet());
    order.sort(
        Comparator.comparingInt(e -> depths.getOrDefault(signer(e.getValue()), Verdicts.NO_RANK)));
    var kept = new TreeMap<byte[], MembershipEntry>(Arrays::compareUnsigned);
    var counts = new TreeMap<byte[], Integer>(Arrays::compareUnsigned);
    int strays = 0;
    var proofs = new ArrayList<Map.Entry<byte[], Fork>>();
    var keeps = new ArrayList<Keep>();
    for (var each : order) {
      byte[] signer = signer(each.getValue());
      if (each.getValue() instanceof Fork fork) {
        proofs.add(Map.entry(each.getKey(), fork));
        continue;
      }
      if (each.getValue() instanceof Keep keep) {
        keeps.add(keep);
        continue;
      }
      boolean stray = !depths.containsKey(signer);
      if (kept.size() < MAX_ENTRIES
          && (!stray || strays < MAX_STRAY)
          && counts.merge(signer, 1, Integer::sum) <= MAX_BY_SIGNER) {
        kept.put(each.getKey(), each.getValue());
        strays += stray ? 1 : 0;
      }
    }
    var admitted = new TreeSet<byte[]>(Arrays::compareUnsigned);
    admitted.add(founder);
    kept.values().forEach(entry -> admitted.add(entry.device()));
    keepProofs(proofs, admitted, kept);
    keepKept(keeps, admitted, kept);
    return kept;
  }

  private static byte[] signer(MembershipEntry entry) {
    return switch (entry) {
      case Admit admit -> admit.signer();
      case Revoke revoke -> revoke.signer();
      case Fork fork -> fork.device();
      case Keep keep -> keep.signer();
    };
  }

  private static void keepProofs(
      List<Map.Entry<byte[], Fork>> proofs,
      Set<byte[]> admitted,
      NavigableMap<byte[], MembershipEntry> kept) {
    var counts = new TreeMap<byte[], Integer>(Arrays::compareUnsigned);
    proofs.sort(
        Comparator.<Map.Entry<byte[], Fork>>comparingLong(p -> p.getValue().common().seq())
            .thenComparing(Map.Entry::getKey, Arrays::compareUnsigned));
    var cut = new HashMap<ActorId, Boolean>();
    for (var proof : proofs) {
      // One proof an actor suffices: the one at the least place ends it.
      Fork fork = proof.getValue();
      if (admitted.contains(fork.device())
          && counts.getOrDefault(fork.device(), 0) < MAX_FORKS
          && cut.putIfAbsent(fork.actor(), true) == null) {
        counts.merge(fork.device(), 1, Integer::sum);
        kept.put(proof.getKey(), fork);
      }
    }
  }

  /** Of each signer and actor the one that reaches furthest. */
  private static void keepKept(
      List<Keep> keeps, Set<byte[]> admitted, NavigableMap<byte[], MembershipEntry> kept) {
    var furthest = new TreeMap<byte[], TreeMap<ActorId, Keep>>(Arrays::compareUnsigned);
    for (Keep keep : keeps) {
      if (admitted.contains(keep.signer())) {
        furthest
            .computeIfAbsent(keep.signer(), s -> new TreeMap<>())
            .merge(keep.actor(), keep, (a, b) -> PLACES.compare(a.place(), b.place()) >= 0 ? a : b);
      }
    }
    for (TreeMap<ActorId, Keep> bySigner : furthest.values()) {
      bySigner.values().stream()
          .limit(MAX_KEPT)
          .forEach(keep -> kept.put(keep.hash().bytes(), keep));
    }
  }

  /** The role of a device, or null when it is no member. The founder is an admin from the start. */
  public @Nullable Role role(byte[] device) {
    return roles.get(device);
  }

  public boolean may(byte[] device, Role needed) {
    Role role = role(device);
    return role != null && role.includes(needed);
  }

  /**
   * Up to which change an actor of {@code device} counts, or null when there is no end: seq 0 when
   * nothing of it does. Changes beyond are void on every replica.
   */
  public @Nullable Head limit(ActorId actor, byte[] device) {
    Head limit = verdicts.limit(actor, device);
    Head least = kept.get(actor);
    if (limit != null && least != null && least.seq() > limit.seq()) {
      limit = least;
    }
    Head fork = forks.get(actor);
    return fork != null && (limit == null || fork.seq() < limit.seq()) ? fork : limit;
  }

  /** The admission of each member, ascending by key; the founder only once it named itself. */
  public List<Admit> members() {
    return List.copyOf(members.values());
  }

  /** The newest admission of a device that is or was a member, or null. */
  public @Nullable Admit lastAdmission(byte[] device) {
    Admit last = null;
    for (MembershipEntry entry : entries.values()) {
      if (entry instanceof Admit admit
          && Arrays.equals(admit.device(), device)
          && (last == null || admit.atMillis() > last.atMillis())) {
        last = admit;
      }
    }
    return last;
  }

  /** The removals of a device that count. */
  public List<Revoke> removals(byte[] device) {
    return verdicts.removalsOf(device);
  }

  /** Whether the device was a member and is none any more. */
  public boolean isRemoved(byte[] device) {
    return role(device) == null && !removals(device).isEmpty();
  }

  /** Whether an entry counts. */
  public boolean counts(MembershipEntry entry) {
    return verdicts.counts(entry);
  }

  /** The removals whose secrets make the current epoch; see {@link Verdicts#rotations}. */
  public List<Revoke> rotations() {
    return verdicts.rotations();
  }

  /** The proofs of forks. */
  public List<Fork> forks() {
    var forks = new ArrayList<Fork>();
    for (MembershipEntry entry : entries.values()) {
      if (entry instanceof Fork fork) {
        forks.add(fork);
      }
    }
    return forks;
  }

  /** What was said to have left logs, whether it counts or not. */
  public List<Keep> keeps() {
    var keeps = new ArrayList<Keep>();
    for (MembershipEntry entry : entries.values()) {
      if (entry instanceof Keep keep) {
        keeps.add(keep);
      }
    }
    return keeps;
  }

  /** What a device that was removed must know to see that it was. */
  public List<MembershipEntry> about(byte[] device) {
    return verdicts.about(device);
  }

  /** Whether an entry admits somebody by this invite. */
  public boolean isUsed(byte[] invite) {
    return entries.values().stream()
        .anyMatch(
            e -> e instanceof Admit a && !a.isFounding() && Arrays.equals(a.invite(), invite));
  }

  public boolean isEmpty() {
    return entries.isEmpty();
  }

  /** All entries, also those that do not count, or not yet. */
  public List<MembershipEntry> entries() {
    return List.copyOf(entries.values());
  }

  /** The hashes a new entry names as seen: with their pasts they are everything known here. */
  public List<Hash> newest() {
    return verdicts.newest().stream().map(MembershipEntry::hash).toList();
  }

  public byte[] founder() {
    return founder.clone();
  }

  /** Equal on two replicas exactly when they hold the same entries. */
  public Hash hash() {
    return hash;
  }

  /** {@code count varint, entry *}. */
  public static void write(List<? extends MembershipEntry> entries, ByteWriter out) {
    out.varint(entries.size());
    entries.forEach(entry -> entry.write(out));
  }

  public static List<MembershipEntry> read(ByteReader in) {
    int count = in.count("membership entries", MAX_ENTRIES);
    var entries = new ArrayList<MembershipEntry>(Math.min(count, 64));
    for (int i = 0; i < count; i++) {
      entries.add(MembershipEntry.read(in));
    }
    return entries;
  }
}
