package io.pluresdb.crdt.overlay;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.causal.ActorId;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class PlumtreeTest {
  private static final ActorId X = new ActorId(1, 1);
  private static final ActorId Y = new ActorId(2, 2);

  private final Plumtree<String> tree = new Plumtree<>();

  @BeforeEach
  void links() {
    List.of("a", "b", "c").forEach(tree::up);
  }

  private Map<String, List<ActorId>> tick(long nowMillis) {
    return tree.onTick(nowMillis, actor -> 0);
  }

  @Test
  void duplicate_makesTheLinkLazy_andIsAnsweredOnce() {
    assertThat(tree.isEager("a")).isTrue();
    assertThat(tree.onDuplicate("a", 0)).isTrue();
    assertThat(tree.isEager("a")).isFalse();
    assertThat(tree.onDuplicate("a", 1)).isFalse();
    // Still pushing a while later: it was not told, or forgot.
    assertThat(tree.onDuplicate("a", Plumtree.GRAFT_MILLIS)).isTrue();
  }

  @Test
  void lastEagerLink_isNeverPruned() {
    assertThat(tree.onDuplicate("a", 0)).isTrue();
    assertThat(tree.onDuplicate("b", 0)).isTrue();
    assertThat(tree.onDuplicate("c", 0)).isFalse();
    assertThat(tree.isEager("c")).isTrue();
  }

  @Test
  void flooding_prunesNothing() {
    tree.onPrune("b");
    tree.flood(true);
    assertThat(tree.isEager("b")).isTrue();
    assertThat(tree.onDuplicate("a", 0)).isFalse();
    tree.onPrune("a");
    assertThat(tree.isEager("a")).isTrue();
  }

  @Test
  void announcedChange_thatDoesNotCome_isGrafted_fromOneAnnouncerAfterTheOther() {
    tree.onPrune("a");
    tree.onPrune("b");
    tree.onAnnounce("a", X, 1, 0, 0);
    tree.onAnnounce("b", X, 1, 0, 10);
    assertThat(tick(Plumtree.GRAFT_MILLIS - 1)).isEmpty();
    assertThat(tick(Plumtree.GRAFT_MILLIS)).isEqualTo(Map.of("a", List.of(X)));
    assertThat(tree.isEager("a")).isTrue();
    assertThat(tree.isEager("b")).isFalse();
    assertThat(tick(Plumtree.GRAFT_MILLIS + Plumtree.REGRAFT_MILLIS - 1)).isEmpty();
    assertThat(tick(Plumtree.GRAFT_MILLIS + Plumtree.REGRAFT_MILLIS))
        .isEqualTo(Map.of("b", List.of(X)));
    assertThat(tree.missing()).isZero();
  }

  @Test
  void announcedChange_thatComes_isForgotten() {
    tree.onAnnounce("a", X, 2, 0, 0);
    assertThat(tree.onFresh("b", X, 2, 100)).isNull();
    assertThat(tree.missing()).isZero();
    assertThat(tick(10_000)).isEmpty();
    tree.onAnnounce("a", X, 2, 2, 200);
    assertThat(tree.missing()).isZero();
    // Came by a way this is not told of.
    tree.onAnnounce("a", Y, 5, 0, 0);
    assertThat(tree.onTick(5_000, actor -> 5)).isEmpty();
    assertThat(tree.missing()).isZero();
  }

  @Test
  void progress_ofTheActor_givesTheRestMoreTime() {
    tree.onAnnounce("a", X, 9, 0, 0);
    tree.onFresh("b", X, 3, 400);
    long due = 400 + Plumtree.GRAFT_MILLIS;
    assertThat(tree.onTick(due - 1, actor -> 3)).isEmpty();
    assertThat(tree.onTick(due, actor -> 3)).isEqualTo(Map.of("a", List.of(X)));
  }

  @Test
  void branch_slowerThanAnAnnouncement_isReplaced() {
    tree.onPrune("a");
    tree.onAnnounce("a", X, 1, 0, 0);
    assertThat(tree.onFresh("b", X, 1, Plumtree.OPTIMISE_MILLIS))
        .isEqualTo(new Plumtree.Swap<>("a", "b"));
    assertThat(tree.isEager("a")).isTrue();
    assertThat(tree.isEager("b")).isFalse();
    tree.onAnnounce("b", Y, 1, 0, 1_000);
    assertThat(tree.onFresh("c", Y, 1, 1_000 + Plumtree.OPTIMISE_MILLIS - 1)).isNull();
    assertThat(tree.isEager("c")).isTrue();
  }

  @Test
  void graft_tellsWhetherThePeerWasLeftOut() {
    assertThat(tree.onGraft("a")).isFalse();
    tree.onPrune("a");
    assertThat(tree.onGraft("a")).isTrue();
    assertThat(tree.isEager("a")).isTrue();
    assertThat(tree.onGraft("nobody")).isFalse();
    assertThat(tree.isEager("nobody")).isFalse();
  }

  @Test
  void linkThatGoes_takesItsAnnouncementsAlong() {
    tree.onAnnounce("a", X, 1, 0, 0);
    tree.onAnnounce("a", Y, 1, 0, 0);
    tree.onAnnounce("b", Y, 1, 0, 0);
    tree.down("a");
    assertThat(tick(5_000)).isEqualTo(Map.of("b", List.of(Y)));
    assertThat(tree.onAnnounce("a", X, 1, 0, 0)).isTrue();
    assertThat(tree.missing()).isZero();
  }

  @Test
  void manyLinks_areAnnouncedTo_inTurns() {
    for (int i = 0; i < 20; i++) {
      tree.up("n" + i);
    }
    List.of("a", "b", "c").forEach(tree::down);
    var told = new ArrayList<String>();
    for (int i = 0; i < 20; i++) {
      tree.onPrune("n" + i);
    }
    for (long now = 0; now < 5_000; now += 50) {
      told.addAll(tree.announceTo(now, peer -> !peer.equals("n3")));
    }
    assertThat(told).hasSizeBetween(20, 24);
    assertThat(told.subList(0, 19)).doesNotHaveDuplicates().doesNotContain("n3");
    assertThat(tree.announceTo(60_000, peer -> peer.equals("n3"))).containsExactly("n3");
    tree.onGraft("n3");
    assertThat(tree.announceTo(70_000, peer -> peer.equals("n3"))).isEmpty();
  }

  @Test
  void oneLink_isAnnouncedToOnceASecond() {
    tree.onPrune("a");
    int told = 0;
    for (long now = 0; now < 10_000; now += 10) {
      told += tree.announceTo(now, peer -> true).size();
    }
    assertThat(told).isEqualTo(10);
  }

  @Test
  void inventedActors_areBoundedByLink_andLeaveRoomForOthers() {
    int refused = 0;
    for (int i = 0; i < 10_000; i++) {
      refused += tree.onAnnounce("a", new ActorId(99, i), 7, 0, 0) ? 0 : 1;
    }
    assertThat(refused).isEqualTo(10_000 - Plumtree.MAX_MISSING_PER_LINK);
    assertThat(tree.missing()).isEqualTo(Plumtree.MAX_MISSING_PER_LINK);
    assertThat(tree.onAnnounce("b", X, 1, 0, 0)).isTrue();
    var grafts = tick(Plumtree.GRAFT_MILLIS);
    assertThat(grafts).containsKeys("a", "b");
    // Asked once, nothing is kept of what nobody has.
    assertThat(tree.missing()).isZero();
    assertThat(tree.onAnnounce("a", X, 1, 0, 2_000)).isTrue();
  }
}
