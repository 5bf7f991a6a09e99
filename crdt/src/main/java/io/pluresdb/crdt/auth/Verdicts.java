package io.pluresdb.crdt.auth;

import io.pluresdb.crdt.auth.MembershipEntry.Admit;
import io.pluresdb.crdt.auth.MembershipEntry.Revoke;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.Hash;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Which admissions and removals count: a pure function of the set of entries.
 *
 * <p>Each entry names what its signer had seen, so the entries are a graph. What somebody does as
 * an admin is undone by a removal that had not seen it ("strong removal"): otherwise a removed
 * device could go on acting by pretending not to have heard. Where two admins remove each other,
 * the more senior one's removal counts: the founder first, then by the number of admissions between
 * the founder and the device, then by key. Formally:
 *
 * <ol>
 *   <li>A removal of oneself counts.
 *   <li>Another removal counts unless its signer was no admin, or a removal of its signer by
 *       somebody more senior (or by itself) counts and had not seen it. Since only more senior
 *       signers matter, this is decided signer by signer, the most senior first.
 *   <li>An admission counts unless its signer was no admin, or any removal of its signer counts and
 *       had not seen it.
 * </ol>
 *
 * A removed admin that was admitted again by somebody who had seen the removal may act again, by
 * entries that have seen that admission.
 */
final class Verdicts {
  /** Seniority of a device that no chain of admissions of admins connects with the founder. */
  static final int NO_RANK = Integer.MAX_VALUE;

  /** The limit of an actor of which nothing counts. */
  static final Head NOTHING = new Head(0, Hash.ZERO);

  private final byte[] founder;
  private final List<MembershipEntry> entries;
  private final BitSet[] past;
  private final BitSet complete;
  private final Map<byte[], Integer> depths = new TreeMap<>(Arrays::compareUnsigned);
  private final Map<byte[], List<Integer>> removals = new TreeMap<>(Arrays::compareUnsigned);
  private final Map<byte[], List<Integer>> grants = new TreeMap<>(Arrays::compareUnsigned);
  private final Map<byte[], List<Integer>> adminGrants = new TreeMap<>(Arrays::compareUnsigned);
  private final BitSet wastedInvites;
  private final BitSet counting = new BitSet();

  /**
   * Decides.
   *
   * @param entries authentic entries in ascending order of hashes
   */
  Verdicts(byte[] founder, Map<byte[], MembershipEntry> entries) {
    this.founder = founder;
    this.entries = List.copyOf(entries.values());
    int count = this.entries.size();
    past = new BitSet[count];
    complete = new BitSet(count);
    var index = new TreeMap<byte[], Integer>(Arrays::compareUnsigned);
    for (byte[] hash : entries.keySet()) {
      index.put(hash, index.size());
    }
    findPasts(index);
    for (int i = complete.nextSetBit(0); i >= 0; i = complete.nextSetBit(i + 1)) {
      switch (this.entries.get(i)) {
        case Admit admit -> {
          grants.computeIfAbsent(admit.device(), d -> new ArrayList<>()).add(i);
          if (admit.role() == Role.ADMIN) {
            adminGrants.computeIfAbsent(admit.device(), d -> new ArrayList<>()).add(i);
          }
        }
        case Revoke revoke ->
            removals.computeIfAbsent(revoke.device(), d -> new ArrayList<>()).add(i);
        case MembershipEntry.Fork fork -> {}
        case MembershipEntry.Keep keep -> {}
      }
    }
    depths.putAll(depths(founder, this.entries));
    wastedInvites = wastedInvites();
    decide();
  }

  /** Number of admissions between the founder and each device that may have been an admin. */
  static Map<byte[], Integer> depths(byte[] founder, List<MembershipEntry> entries) {
    var depths = new TreeMap<byte[], Integer>(Arrays::compareUnsigned);
    var bySigner = new TreeMap<byte[], List<Admit>>(Arrays::compareUnsigned);
    for (MembershipEntry entry : entries) {
      if (entry instanceof Admit admit && admit.role() == Role.ADMIN) {
        bySigner.computeIfAbsent(admit.signer(), s -> new ArrayList<>()).add(admit);
      }
    }
    depths.put(founder, 0);
    var reached = new ArrayDeque<byte[]>(List.of(founder));
    while (!reached.isEmpty()) {
      byte[] signer = reached.remove();
      for (Admit admit : bySigner.getOrDefault(signer, List.of())) {
        if (depths.putIfAbsent(admit.device(), depths.getOrDefault(signer, 0) + 1) == null) {
          reached.add(admit.device());
        }
      }
    }
    return depths;
  }

  /** Finds what each entry has seen, directly or through others; one that misses some waits. */
  private void findPasts(Map<byte[], Integer> index) {
    int count = entries.size();
    var followers = new ArrayList<List<Integer>>(count);
    int[] open = new int[count];
    var ready = new ArrayDeque<Integer>();
    for (int i = 0; i < count; i++) {
      followers.add(new ArrayList<>());
      past[i] = new BitSet();
    }
    for (int i = 0; i < count; i++) {
      boolean missing = false;
      for (Hash hash : seen(entries.get(i))) {
        Integer at = index.get(hash.bytes());
        if (at == null) {
          missing = true;
        } else {
          followers.get(at).add(i);
          open[i]++;
        }
      }
      if (missing) {
        open[i] = Integer.MAX_VALUE / 2;
      } else if (open[i] == 0) {
        ready.add(i);
      }
    }
    while (!ready.isEmpty()) {
      int i = ready.remove();
      complete.set(i);
      for (int follower : followers.get(i)) {
        past[follower].or(past[i]);
        past[follower].set(i);
        if (--open[follower] == 0) {
          ready.add(follower);
        }
      }
    }
  }

  private static List<Hash> seen(MembershipEntry entry) {
    return switch (entry) {
      case Admit admit -> admit.seen();
      case Revoke revoke -> revoke.seen();
      case MembershipEntry.Fork fork -> List.of();
      case MembershipEntry.Keep keep -> List.of();
    };
  }

  /** An invite serves one device: the first, and of concurrent ones that with the least hash. */
  private BitSet wastedInvites() {
    var wasted = new BitSet();
    var uses = new TreeMap<byte[], List<Integer>>(Arrays::compareUnsigned);
    for (int i = complete.nextSetBit(0); i >= 0; i = complete.nextSetBit(i + 1)) {
      if (entries.get(i) instanceof Admit admit && admit.usesInvite()) {
        var use = new ByteWriter(64).bytes(admit.signer()).bytes(admit.invite());
        uses.computeIfAbsent(use.toByteArray(), s -> new ArrayList<>()).add(i);
      }
    }
    for (List<Integer> all : uses.values()) {
      for (int i : all) {
        // Ascending by hash: the first that has seen no other.
        int first =
            all.stream().filter(u -> all.stream().noneMatch(past[u]::get)).findFirst().orElse(i);
        if (!Arrays.equals(entries.get(first).device(), entries.get(i).device())) {
          wasted.set(i);
        }
      }
    }
    return wasted;
  }

  private void decide() {
    var signers = new ArrayList<byte[]>();
    for (List<Integer> all : removals.values()) {
      for (int i : all) {
        var revoke = (Revoke) entries.get(i);
        if (revoke.isOwn()) {
          counting.set(i);
        } else if (depths.containsKey(revoke.signer())) {
          signers.add(revoke.signer());
        }
      }
    }
    signers.sort(this::bySeniority);
    byte[] decided = null;
    for (byte[] signer : signers) {
      if (decided != null && Arrays.equals(decided, signer)) {
        continue;
      }
      decided = signer;
      // At this moment only removals by more senior signers, and of oneself, count.
      BitSet admissions = admissions();
      var more = new BitSet();
      for (List<Integer> all : removals.values()) {
        for (int i : all) {
          var revoke = (Revoke) entries.get(i);
          if (Arrays.equals(revoke.signer(), signer)
              && !revoke.isOwn()
              && mayAct(signer, i, admissions)) {
            more.set(i);
          }
        }
      }
      counting.or(more);
    }
    counting.or(admissions());
  }

  private int bySeniority(byte[] one, byte[] other) {
    int order = Integer.compare(depth(one), depth(other));
    return order != 0 ? order : Arrays.compareUnsigned(one, other);
  }

  int depth(byte[] device) {
    return depths.getOrDefault(device, NO_RANK);
  }

  /** The admissions that count given the removals that count so far: a least fixed point. */
  private BitSet admissions() {
    var admissions = new BitSet();
    boolean grows = true;
    while (grows) {
      grows = false;
      for (int i = complete.nextSetBit(0); i >= 0; i = complete.nextSetBit(i + 1)) {
        if (!admissions.get(i)
            && entries.get(i) instanceof Admit admit
            && !wastedInvites.get(i)
            && (admit.isFounding()
                ? Arrays.equals(admit.signer(), founder)
                : mayAct(admit.signer(), i, admissions))) {
          admissions.set(i);
          grows = true;
        }
      }
    }
    return admissions;
  }

  /** Whether {@code signer} was an admin when it made entry {@code i}. */
  private boolean mayAct(byte[] signer, int i, BitSet admissions) {
    boolean admin = Arrays.equals(signer, founder);
    List<Integer> given = adminGrants.getOrDefault(signer, List.of());
    for (int grant : given) {
      admin |= admissions.get(grant);
    }
    if (!admin) {
      return false;
    }
    for (int removal : removals.getOrDefault(signer, List.of())) {
      boolean applies =
          counting.get(removal)
              && ((Revoke) entries.get(removal)).takes(Role.ADMIN)
              && !past[removal].get(i);
      if (applies && given.stream().noneMatch(g -> restores(g, removal, i, admissions))) {
        return false;
      }
    }
    return true;
  }

  private boolean restores(int grant, int removal, int entry, BitSet admissions) {
    return admissions.get(grant) && past[grant].get(removal) && past[entry].get(grant);
  }

  /** The role a device has, or null. */
  @Nullable Role role(byte[] device) {
    Role best = null;
    for (Role given : grants(device).values()) {
      if (given != null && (best == null || given.includes(best))) {
        best = given;
      }
    }
    return best;
  }

  /** Each grant that counts for the device, -1 for being the founder, and what is left of it. */
  private Map<Integer, @Nullable Role> grants(byte[] device) {
    var left = new TreeMap<Integer, @Nullable Role>();
    if (Arrays.equals(device, founder)) {
      left.put(-1, left(device, -1, Role.ADMIN));
    }
    for (int grant : grants.getOrDefault(device, List.of())) {
      if (counting.get(grant)) {
        left.put(grant, left(device, grant, ((Admit) entries.get(grant)).role()));
      }
    }
    return left;
  }

  /** What the removals that the grant had not seen leave of it. */
  private @Nullable Role left(byte[] device, int grant, Role given) {
    Role left = given;
    for (int removal : removals.getOrDefault(device, List.of())) {
      if (counting.get(removal) && (grant < 0 || !past[grant].get(removal))) {
        var revoke = (Revoke) entries.get(removal);
        if (left != null && revoke.takes(left)) {
          left = revoke.keep();
        }
      }
    }
    return left;
  }

  /** The admission that gives the device its role, the earliest by hash of several; or null. */
  @Nullable Admit admission(byte[] device) {
    Role role = role(device);
    for (var grant : grants(device).entrySet()) {
      if (grant.getKey() >= 0 && role != null && grant.getValue() == role) {
        return (Admit) entries.get(grant.getKey());
      }
    }
    return null;
  }

  /**
   * Up to which change the device's actor counts: null without end.
   *
   * <p>An actor that a removal from writing names ends there for good, an actor that it does not
   * name counts again only once the device was let in again by somebody who had seen the removal.
   */
  @Nullable Head limit(ActorId actor, byte[] device) {
    Map<Integer, @Nullable Role> given = grants(device);
    boolean wrote = Arrays.equals(device, founder);
    for (int grant : given.keySet()) {
      wrote |= grant >= 0 && ((Admit) entries.get(grant)).role().includes(Role.WRITE);
    }
    if (!wrote) {
      return NOTHING;
    }
    Head limit = null;
    for (int removal : removals.getOrDefault(device, List.of())) {
      var revoke = (Revoke) entries.get(removal);
      if (counting.get(removal) && revoke.takes(Role.WRITE)) {
        Head named = revoke.heads().get(actor);
        if (named != null) {
          limit = lesser(limit, named);
        } else if (given.keySet().stream()
            .noneMatch(
                g ->
                    g >= 0
                        && past[g].get(removal)
                        && ((Admit) entries.get(g)).role().includes(Role.WRITE))) {
          limit = NOTHING;
        }
      }
    }
    return limit;
  }

  private static Head lesser(@Nullable Head one, Head other) {
    if (one == null || other.seq() < one.seq()) {
      return other;
    }
    return other.seq() == one.seq() && MembershipEntry.HASHES.compare(other.hash(), one.hash()) < 0
        ? other
        : one;
  }

  /** The removals of {@code device} that count. */
  List<Revoke> removalsOf(byte[] device) {
    return removals.getOrDefault(device, List.of()).stream()
        .filter(counting::get)
        .map(i -> (Revoke) entries.get(i))
        .toList();
  }

  /** Whether the entry counts; also for one that is not in the set. */
  boolean counts(MembershipEntry entry) {
    for (int i = counting.nextSetBit(0); i >= 0; i = counting.nextSetBit(i + 1)) {
      if (entries.get(i).equals(entry)) {
        return true;
      }
    }
    return false;
  }

  /**
   * The removals from the database by somebody else that begin an epoch, count, and that no other
   * such removal has seen: each made a secret, and only who has them all is up to date.
   */
  List<Revoke> rotations() {
    var latest = new BitSet();
    for (List<Integer> all : removals.values()) {
      for (int i : all) {
        var revoke = (Revoke) entries.get(i);
        if (counting.get(i) && revoke.rotates()) {
          latest.set(i);
        }
      }
    }
    var seen = new BitSet();
    latest.stream().forEach(i -> seen.or(past[i]));
    latest.andNot(seen);
    return latest.stream().mapToObj(i -> (Revoke) entries.get(i)).toList();
  }

  /** The entries nobody has seen yet: what a new entry is to name. */
  List<MembershipEntry> newest() {
    var seen = new BitSet();
    for (BitSet each : past) {
      seen.or(each);
    }
    var newest = new ArrayList<MembershipEntry>();
    for (int i = complete.nextSetBit(0); i >= 0; i = complete.nextSetBit(i + 1)) {
      // Others come and go without having been seen.
      boolean counts = entries.get(i) instanceof Admit || entries.get(i) instanceof Revoke;
      if (!seen.get(i) && counts) {
        newest.add(entries.get(i));
      }
    }
    return newest;
  }

  /** Every entry about {@code device} that counts and everything those had seen. */
  List<MembershipEntry> about(byte[] device) {
    var about = new BitSet();
    for (int i = counting.nextSetBit(0); i >= 0; i = counting.nextSetBit(i + 1)) {
      if (Arrays.equals(entries.get(i).device(), device)) {
        about.or(past[i]);
        about.set(i);
      }
    }
    return about.stream().mapToObj(entries::get).toList();
  }
}
