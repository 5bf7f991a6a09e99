package io.pluresdb.crdt.compaction;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.compaction.StableCut.Known;
import io.pluresdb.crdt.compaction.StableCut.Standing;
import io.pluresdb.crdt.property.Gen;
import io.pluresdb.crdt.property.Property;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** The cut as a function of what is known. */
class StableCutTest {
  private static final ActorId A = new ActorId(1, 1);
  private static final ActorId B = new ActorId(2, 2);
  private static final byte[] SELF = device(1);
  private static final long LEASE = 1_000;
  private static final long NOW = 100_000;

  private static byte[] device(int number) {
    byte[] key = new byte[32];
    key[0] = (byte) number;
    return key;
  }

  private static Frontier frontier(long a, long b) {
    var heads = new TreeMap<ActorId, Head>();
    heads.put(A, new Head(a, Hash.ZERO));
    heads.put(B, new Head(b, Hash.ZERO));
    return Frontier.of(heads);
  }

  private static Stand stand(int device, long at, long a, long b) {
    var seqs = new TreeMap<ActorId, Long>();
    seqs.put(A, a);
    seqs.put(B, b);
    return new Stand(Hash.ZERO, device(device), at, seqs, new byte[64]);
  }

  private static Known known(int device, long admitted, @Nullable Stand stand, long received) {
    return new Known(device(device), admitted, stand, received);
  }

  private static StableCut cut(Known... others) {
    var all = new ArrayList<>(List.of(others));
    all.add(known(1, 0, null, 0));
    return StableCut.of(SELF, frontier(10, 20), all, NOW, LEASE);
  }

  @Test
  void alone_cutsAtItsFrontier() {
    assertThat(cut().seq(A)).isEqualTo(10);
    assertThat(cut().seq(B)).isEqualTo(20);
    assertThat(cut().seq(new ActorId(3, 3))).isZero();
    assertThat(cut().holdingBack()).isNull();
  }

  @Test
  void members_cutAtTheLeastOfEachActor_andNeverAboveOurs() {
    StableCut cut =
        cut(known(2, 0, stand(2, NOW, 4, 99), NOW), known(3, 0, stand(3, NOW, 99, 7), NOW));
    assertThat(cut.seq(A)).isEqualTo(4);
    assertThat(cut.seq(B)).isEqualTo(7);
    var holding = Objects.requireNonNull(cut.holdingBack());
    assertThat(holding.device()).isEqualTo(device(3));
    assertThat(holding.behind()).isEqualTo(13);
  }

  @Test
  void memberWithoutAStand_hasNothing_untilItsLeaseAfterTheAdmissionEnds() {
    assertThat(cut(known(2, NOW - LEASE, null, 0)).seq(A)).isZero();
    assertThat(cut(known(2, NOW - LEASE - 1, null, 0)).seq(A)).isEqualTo(10);
    assertThat(cut(known(2, NOW + 1_000_000, null, 0)).seq(A))
        .as("admitted by a clock that is ahead")
        .isZero();
  }

  @Test
  void silentMember_countsToTheEndOfItsLease_byTheLaterOfTwoClocks() {
    Stand old = stand(2, NOW - LEASE - 1, 4, 4);
    assertThat(cut(known(2, 0, stand(2, NOW - LEASE, 4, 4), 0)).seq(A)).isEqualTo(4);
    assertThat(cut(known(2, 0, old, 0)).seq(A)).isEqualTo(10);
    assertThat(cut(known(2, 0, old, NOW - LEASE)).seq(A)).as("came later").isEqualTo(4);
    StableCut ahead = cut(known(2, 0, stand(2, NOW + 9_999_999, 4, 4), 0));
    assertThat(ahead.members().getLast().heardMillis()).isEqualTo(NOW);
    assertThat(cut(known(2, 0, old, 0)).members().getLast().standing()).isEqualTo(Standing.EXPIRED);
  }

  /** More members, or members that have less, never cut higher. */
  @Test
  void cut_isMonotone() {
    Property.forAll(
        500,
        Gen.of(
            random -> {
              var members = new ArrayList<Known>();
              for (int i = 2; i < 2 + random.nextInt(5); i++) {
                Stand stand =
                    random.nextInt(5) == 0
                        ? null
                        : stand(
                            i,
                            NOW - random.nextLong(2 * LEASE),
                            random.nextLong(15),
                            random.nextLong(25));
                members.add(known(i, NOW - random.nextLong(2 * LEASE), stand, 0));
              }
              return members;
            }),
        members -> {
          StableCut all = cut(members.toArray(Known[]::new));
          for (int left = 0; left < members.size(); left++) {
            var fewer = new ArrayList<>(members);
            Known gone = fewer.remove(left);
            StableCut without = cut(fewer.toArray(Known[]::new));
            for (ActorId actor : List.of(A, B)) {
              assertThat(all.seq(actor)).isLessThanOrEqualTo(without.seq(actor));
              Standing standing =
                  all.members().stream()
                      .filter(member -> member.device()[0] == gone.device()[0])
                      .findFirst()
                      .orElseThrow()
                      .standing();
              long has = gone.stand() == null ? 0 : gone.stand().seq(actor);
              if (standing == Standing.ACTIVE) {
                assertThat(all.seq(actor)).isEqualTo(Math.min(without.seq(actor), has));
              } else {
                assertThat(all.seq(actor)).isEqualTo(without.seq(actor));
              }
            }
          }
        });
  }

  @Test
  void settings_outOfRange_areRefused() {
    assertThatThrownBy(() -> new CompactionSettings(CompactionSettings.MIN_LEASE_MILLIS - 1, 0))
        .hasMessage("lease must be 60000 ms or more, but is 59999");
    assertThatThrownBy(() -> new CompactionSettings(CompactionSettings.MIN_LEASE_MILLIS, -1))
        .hasMessage("keep must be 0 ms or more, but is -1");
  }
}
