package io.pluresdb.crdt.auth;

import io.pluresdb.crdt.auth.MembershipEntry.Admit;
import io.pluresdb.crdt.auth.MembershipEntry.Revoke;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.Hash;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The rules of membership as they are written down, by recursion over every definition: no order of
 * evaluation, no sets kept between questions, nothing shared with the product but the entries.
 */
final class NaiveMembership {
  /** A rule that can be broken, to see that the histories exercise it. */
  enum Mutant {
    NONE,
    REMOVALS_UNDO_NOTHING,
    REMOVED_ADMINS_MAY_ADMIT,
    JUNIORS_COME_FIRST,
    ALL_REMOVALS_COUNT,
    NO_WAY_BACK,
    ANY_WAY_BACK,
    NEWEST_GRANT_WINS,
    REMOVALS_TAKE_ALL,
    LAST_CUT_WINS,
    UNNAMED_ACTORS_GO_ON,
    UNNAMED_ACTORS_END_FOR_GOOD,
    NAMED_ACTORS_GO_ON_AGAIN,
    INVITES_SERVE_MANY,
    MISSING_PASTS_DO_NOT_MATTER
  }

  private final byte[] founder;
  private final List<MembershipEntry> entries;
  private final Mutant mutant;
  private final Map<Hash, MembershipEntry> names = new HashMap<>();

  NaiveMembership(byte[] founder, List<MembershipEntry> entries, Mutant mutant) {
    this.founder = founder;
    this.entries = entries;
    this.mutant = mutant;
    entries.forEach(entry -> names.put(entry.hash(), entry));
  }

  private static boolean same(byte[] a, byte[] b) {
    return Arrays.equals(a, b);
  }

  private static List<Hash> seen(MembershipEntry entry) {
    return entry instanceof Admit a ? a.seen() : ((Revoke) entry).seen();
  }

  private static byte[] signer(MembershipEntry entry) {
    return entry instanceof Admit a ? a.signer() : ((Revoke) entry).signer();
  }

  private @Nullable MembershipEntry named(Hash hash) {
    return names.get(hash);
  }

  private boolean complete(MembershipEntry entry) {
    if (mutant == Mutant.MISSING_PASTS_DO_NOT_MATTER) {
      return true;
    }
    return seen(entry).stream()
        .allMatch(
            hash -> {
              MembershipEntry earlier = named(hash);
              return earlier != null && complete(earlier);
            });
  }

  private boolean hasSeen(MembershipEntry later, MembershipEntry earlier) {
    return seen(later).stream()
        .map(this::named)
        .anyMatch(
            e ->
                e != null && (same(e.toByteArray(), earlier.toByteArray()) || hasSeen(e, earlier)));
  }

  private int depth(byte[] device) {
    var reached = new ArrayList<>(List.of(founder));
    for (int depth = 0; !reached.isEmpty() && depth <= entries.size(); depth++) {
      if (reached.stream().anyMatch(d -> same(d, device))) {
        return depth;
      }
      var next = new ArrayList<byte[]>();
      for (byte[] signer : reached) {
        for (MembershipEntry entry : entries) {
          if (entry instanceof Admit a && a.role() == Role.ADMIN && same(a.signer(), signer)) {
            next.add(a.device());
          }
        }
      }
      reached = next;
    }
    return Integer.MAX_VALUE;
  }

  private boolean senior(byte[] one, byte[] other) {
    int order = Integer.compare(depth(one), depth(other));
    if (mutant == Mutant.JUNIORS_COME_FIRST) {
      order = -order;
    }
    return order < 0 || (order == 0 && Arrays.compareUnsigned(one, other) < 0);
  }

  /** Does it count? Of removals of its signer only those by seniors of {@code junior} matter. */
  private boolean counts(MembershipEntry entry, byte @Nullable [] junior, List<Hash> asking) {
    if (!complete(entry)) {
      return false;
    }
    return switch (entry) {
      case Admit admit ->
          !isWasted(admit)
              && (same(admit.device(), admit.signer())
                  ? same(admit.signer(), founder)
                  : mayAct(admit, junior, asking));
      case Revoke revoke ->
          same(revoke.device(), revoke.signer())
              || mutant == Mutant.ALL_REMOVALS_COUNT
              || (depth(revoke.signer()) < Integer.MAX_VALUE
                  && mayAct(revoke, revoke.signer(), List.of()));
      case MembershipEntry.Fork fork -> false;
      case MembershipEntry.Keep keep -> false;
    };
  }

  private boolean isWasted(Admit admit) {
    if (same(admit.invite(), new byte[16]) || mutant == Mutant.INVITES_SERVE_MANY) {
      return false;
    }
    var uses = new ArrayList<Admit>();
    for (MembershipEntry entry : entries) {
      if (entry instanceof Admit other
          && complete(other)
          && same(other.invite(), admit.invite())
          && same(other.signer(), admit.signer())) {
        uses.add(other);
      }
    }
    uses.sort((a, b) -> MembershipEntry.HASHES.compare(a.hash(), b.hash()));
    for (Admit use : uses) {
      boolean first = true;
      for (Admit other : uses) {
        first &= !hasSeen(use, other);
      }
      if (first) {
        return !same(use.device(), admit.device());
      }
    }
    return false;
  }

  private boolean mayAct(MembershipEntry act, byte @Nullable [] junior, List<Hash> asking) {
    if (asking.contains(act.hash())) {
      return false;
    }
    var deeper = new ArrayList<>(asking);
    deeper.add(act.hash());
    byte[] signer = signer(act);
    boolean admin = same(signer, founder);
    for (MembershipEntry entry : entries) {
      admin |= isAdminGrant(entry, signer) && counts(entry, junior, deeper);
    }
    if (!admin) {
      return false;
    }
    for (MembershipEntry entry : entries) {
      if (entry instanceof Revoke removal
          && same(removal.device(), signer)
          && removal.keep() != Role.ADMIN
          && mutant != Mutant.REMOVALS_UNDO_NOTHING
          && !(mutant == Mutant.REMOVED_ADMINS_MAY_ADMIT && act instanceof Admit)
          && matters(removal, junior)
          && !hasSeen(removal, act)
          && counts(removal, null, List.of())) {
        boolean back = mutant == Mutant.ANY_WAY_BACK;
        for (MembershipEntry grant : entries) {
          back |=
              mutant != Mutant.NO_WAY_BACK
                  && isAdminGrant(grant, signer)
                  && hasSeen(grant, removal)
                  && hasSeen(act, grant)
                  && counts(grant, junior, deeper);
        }
        if (!back) {
          return false;
        }
      }
    }
    return true;
  }

  private boolean matters(Revoke removal, byte @Nullable [] junior) {
    return junior == null
        || same(removal.device(), removal.signer())
        || senior(removal.signer(), junior);
  }

  private static boolean isAdminGrant(MembershipEntry entry, byte[] device) {
    return entry instanceof Admit admit
        && admit.role() == Role.ADMIN
        && same(admit.device(), device);
  }

  private boolean counts(MembershipEntry entry) {
    return counts(entry, null, List.of());
  }

  private List<Revoke> removals(byte[] device) {
    var removals = new ArrayList<Revoke>();
    for (MembershipEntry entry : entries) {
      if (entry instanceof Revoke revoke && same(revoke.device(), device) && counts(revoke)) {
        removals.add(revoke);
      }
    }
    return removals;
  }

  private static int level(@Nullable Role role) {
    return role == null ? -1 : role.code();
  }

  /** 0 to 3 for the roles, -1 for none. */
  int role(byte[] device) {
    int best = same(device, founder) ? left(device, null, Role.ADMIN.code()) : -1;
    for (MembershipEntry entry : entries) {
      if (entry instanceof Admit admit && same(admit.device(), device) && counts(admit)) {
        best = Math.max(best, left(device, admit, admit.role().code()));
      }
    }
    return best;
  }

  private int left(byte[] device, @Nullable Admit grant, int given) {
    int left = given;
    for (Revoke removal : removals(device)) {
      boolean seen = grant != null && hasSeen(grant, removal);
      if (mutant == Mutant.NEWEST_GRANT_WINS) {
        seen = grant != null && !hasSeen(removal, grant);
      }
      if (!seen) {
        left = Math.min(left, mutant == Mutant.REMOVALS_TAKE_ALL ? -1 : level(removal.keep()));
      }
    }
    return left;
  }

  /** The last change that counts, or {@code Long.MAX_VALUE}. */
  long limit(ActorId actor, byte[] device) {
    var grants = new ArrayList<Admit>();
    for (MembershipEntry entry : entries) {
      if (entry instanceof Admit admit
          && same(admit.device(), device)
          && admit.role().includes(Role.WRITE)
          && counts(admit)) {
        grants.add(admit);
      }
    }
    if (grants.isEmpty() && !same(device, founder)) {
      return 0;
    }
    long limit = Long.MAX_VALUE;
    for (Revoke removal : removals(device)) {
      if (level(removal.keep()) >= Role.WRITE.code()) {
        continue;
      }
      boolean again = grants.stream().anyMatch(grant -> hasSeen(grant, removal));
      Head named = removal.heads().get(actor);
      if (named != null) {
        if (!(again && mutant == Mutant.NAMED_ACTORS_GO_ON_AGAIN)) {
          limit = mutant == Mutant.LAST_CUT_WINS ? named.seq() : Math.min(limit, named.seq());
        }
      } else if (mutant != Mutant.UNNAMED_ACTORS_GO_ON
          && (!again || mutant == Mutant.UNNAMED_ACTORS_END_FOR_GOOD)) {
        limit = 0;
      }
    }
    return limit;
  }
}
