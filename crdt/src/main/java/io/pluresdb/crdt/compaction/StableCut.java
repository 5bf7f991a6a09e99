package io.pluresdb.crdt.compaction;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Of each actor, what every member has that counts: changes up to there can leave the log.
 *
 * <p>A member counts until it was silent for its lease. One that never said where it stands has
 * nothing, until its lease after the admission ends. Each replica reckons with what it has heard,
 * so replicas come to different cuts; a cut too high costs a member a snapshot, never a change.
 *
 * @param seqs of each actor of our frontier; 0 where somebody has nothing
 * @param members all of them, ascending by device
 */
public record StableCut(NavigableMap<ActorId, Long> seqs, List<Member> members) {
  /** What a member does to the cut. */
  public enum Standing {
    /** This device: it has its frontier. */
    SELF,
    /** It counts. */
    ACTIVE,
    /** It was silent for its lease and does not count. */
    EXPIRED
  }

  /**
   * A member, before the cut.
   *
   * @param admittedMillis when it was admitted, by the clock of who did it
   * @param stand its newest, or null
   * @param receivedMillis when that stand came here
   */
  public record Known(
      byte[] device, long admittedMillis, @Nullable Stand stand, long receivedMillis) {
    /** When it last gave a sign of life, by its own clock or by ours, whichever is later. */
    long heardMillis(long nowMillis) {
      Stand newest = stand;
      return newest == null
          ? Math.min(admittedMillis, nowMillis)
          : Math.max(Math.min(newest.at(), nowMillis), Math.min(receivedMillis, nowMillis));
    }
  }

  /**
   * A member.
   *
   * @param heardMillis when it last gave a sign of life
   * @param behind how many of our changes it is not known to have
   */
  public record Member(byte[] device, Standing standing, long heardMillis, long behind) {}

  /**
   * The cut as of now.
   *
   * @param self this device
   * @param frontier what this replica has
   * @param known all members
   * @param leaseMillis silence after which a member does not count, 1 or more
   */
  public static StableCut of(
      byte[] self, Frontier frontier, Collection<Known> known, long nowMillis, long leaseMillis) {
    var seqs = new TreeMap<ActorId, Long>();
    frontier.heads().forEach((actor, head) -> seqs.put(actor, head.seq()));
    var members = new ArrayList<Member>();
    for (Known member : known) {
      long heard = member.heardMillis(nowMillis);
      Standing standing =
          Arrays.equals(member.device, self)
              ? Standing.SELF
              : nowMillis - heard > leaseMillis ? Standing.EXPIRED : Standing.ACTIVE;
      Stand stand = member.stand;
      long behind = 0;
      for (var entry : frontier.heads().entrySet()) {
        long seq = entry.getValue().seq();
        long has = standing == Standing.SELF ? seq : stand == null ? 0 : stand.seq(entry.getKey());
        behind += Math.max(0, seq - has);
        if (standing == Standing.ACTIVE) {
          seqs.merge(entry.getKey(), has, Math::min);
        }
      }
      members.add(new Member(member.device, standing, heard, behind));
    }
    members.sort((a, b) -> Arrays.compareUnsigned(a.device, b.device));
    return new StableCut(seqs, List.copyOf(members));
  }

  public long seq(ActorId actor) {
    return seqs.getOrDefault(actor, 0L);
  }

  /** The member that counts and is furthest behind, or null when none is behind. */
  public @Nullable Member holdingBack() {
    Member furthest = null;
    for (Member member : members) {
      if (member.standing == Standing.ACTIVE
          && member.behind > (furthest == null ? 0 : furthest.behind)) {
        furthest = member;
      }
    }
    return furthest;
  }
}
