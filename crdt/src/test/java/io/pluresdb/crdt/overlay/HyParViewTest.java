package io.pluresdb.crdt.overlay;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.overlay.HyParView.Send;
import io.pluresdb.crdt.overlay.HyParView.Step;
import io.pluresdb.crdt.overlay.OverlayMessage.Disconnect;
import io.pluresdb.crdt.overlay.OverlayMessage.ForwardJoin;
import io.pluresdb.crdt.overlay.OverlayMessage.Join;
import io.pluresdb.crdt.overlay.OverlayMessage.Neighbor;
import io.pluresdb.crdt.overlay.OverlayMessage.NeighborReply;
import io.pluresdb.crdt.overlay.OverlayMessage.Shuffle;
import io.pluresdb.crdt.overlay.OverlayMessage.ShuffleReply;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class HyParViewTest {
  private static final PeerId SELF = id(0);

  private HyParView view;

  private static PeerId id(int n) {
    return new PeerId(n, 0, 0, n);
  }

  private static Contact contact(int n) {
    return new Contact(id(n), "10.0.0." + n + ":1");
  }

  private static List<Contact> contacts(int from, int count) {
    return IntStream.range(from, from + count).mapToObj(HyParViewTest::contact).toList();
  }

  @BeforeEach
  void start() {
    view = new HyParView(SELF, new SplittableRandom(5), peer -> peer.first() < 1_000);
    view.setCapacity(HyParView.ACTIVE);
  }

  /** Makes devices 1 to {@code count} neighbours. */
  private void neighbours(int count) {
    for (int i = 1; i <= count; i++) {
      view.onConnected(contact(i), false);
      assertThat(view.onMessage(id(i), new Neighbor(true)).up()).containsExactly(id(i));
    }
  }

  @Test
  void capacity_isAMeshUpToThirtyPeers_andFiveAbove() {
    assertThat(HyParView.capacity(2)).isEqualTo(30);
    assertThat(HyParView.capacity(31)).isEqualTo(30);
    assertThat(HyParView.capacity(32)).isEqualTo(5);
    assertThat(HyParView.capacity(10_000)).isEqualTo(5);
    assertThatThrownBy(() -> view.setCapacity(0)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void contact_isConnected_joined_andKept() {
    view.learn(contact(1));
    assertThat(view.onTick(0).connect()).containsExactly(contact(1));
    assertThat(view.onTick(1_000).connect()).isEmpty();
    Step step = view.onConnected(contact(1), true);
    assertThat(step.send()).containsExactly(new Send(id(1), new Join()));
    assertThat(step.up()).containsExactly(id(1));
    assertThat(view.passive()).isEmpty();
    // Only the first is asked to introduce us.
    view.learn(contact(2));
    assertThat(view.onTick(60_000).connect()).containsExactly(contact(2));
    step = view.onConnected(contact(2), true);
    assertThat(step.send()).containsExactly(new Send(id(2), new Neighbor(false)));
    assertThat(step.up()).isEmpty();
    assertThat(view.onMessage(id(2), new NeighborReply(true)).up()).containsExactly(id(2));
  }

  @Test
  void join_isCarriedToEveryNeighbour_onceASession() {
    neighbours(5);
    view.onConnected(contact(9), false);
    Step step = view.onMessage(id(9), new Join());
    assertThat(step.up()).containsExactly(id(9));
    assertThat(step.down()).hasSize(1);
    assertThat(view.active()).hasSize(5).contains(id(9));
    assertThat(step.send()).contains(new Send(step.down().getFirst(), new Disconnect()));
    assertThat(step.send().stream().filter(s -> s.message() instanceof ForwardJoin)).hasSize(4);
    assertThat(view.onMessage(id(9), new Join()).send()).isEmpty();
    assertThat(view.ignored()).isEqualTo(1);
  }

  @Test
  void walk_endsAtZero_inAnUrgentRequest_andLeavesAContactOnTheWay() {
    neighbours(3);
    Step step = view.onMessage(id(1), new ForwardJoin(HyParView.PASSIVE_WALK, contact(9)));
    assertThat(step.send()).hasSize(1);
    assertThat(step.send().getFirst().message())
        .isEqualTo(new ForwardJoin(HyParView.PASSIVE_WALK - 1, contact(9)));
    assertThat(step.send().getFirst().to()).isIn(id(2), id(3));
    assertThat(view.passive()).containsExactly(contact(9));
    step = view.onMessage(id(1), new ForwardJoin(0, contact(9)));
    assertThat(step.connect()).containsExactly(contact(9));
    assertThat(view.onConnected(contact(9), true).send())
        .containsExactly(new Send(id(9), new Join()));
  }

  @Test
  void neighbourThatFails_isReplacedAtOnce_andRefusalIsNotRepeatedSoon() {
    neighbours(5);
    view.learn(contact(9));
    view.onTick(1_000);
    Step step = view.onDisconnected(id(2));
    assertThat(step.down()).containsExactly(id(2));
    assertThat(step.connect()).containsExactly(contact(9));
    // It may be back: a contact like others, but not soon.
    assertThat(view.passive()).containsExactly(contact(9), contact(2));
    step = view.onConnected(contact(9), true);
    assertThat(step.send().getFirst().message()).isEqualTo(new Join());
    view.onMessage(id(9), new Disconnect());
    // Introduced before: now it asks like everybody.
    Step again = view.onConnected(contact(9), true);
    assertThat(again.send()).containsExactly(new Send(id(9), new Neighbor(false)));
    Step refused = view.onMessage(id(9), new NeighborReply(false));
    assertThat(refused.disconnect()).containsExactly(id(9));
    assertThat(view.onTick(31_000 - 2).connect()).isEmpty();
  }

  @Test
  void neighbourWithoutUrgency_isRefusedWhenFull_urgencyNever() {
    neighbours(5);
    view.onConnected(contact(8), false);
    assertThat(view.onMessage(id(8), new Neighbor(false)).send())
        .containsExactly(new Send(id(8), new NeighborReply(false)));
    assertThat(view.active()).doesNotContain(id(8));
    Step step = view.onMessage(id(8), new Neighbor(true));
    assertThat(step.send()).contains(new Send(id(8), new NeighborReply(true)));
    assertThat(view.active()).hasSize(5).contains(id(8));
  }

  @Test
  void shuffle_goesOn_andItsAnswerComesBackTheSameWay() {
    neighbours(2);
    view.learn(contact(50));
    Step step = view.onMessage(id(1), new Shuffle(6, List.of(id(1)), List.of(contact(40))));
    Shuffle onward = (Shuffle) step.send().getFirst().message();
    assertThat(step.send().getFirst().to()).isEqualTo(id(2));
    assertThat(onward.ttl()).isEqualTo(5);
    assertThat(onward.path()).containsExactly(id(1), SELF);
    // The first hop says where the origin is reached.
    assertThat(onward.contacts()).containsExactly(contact(1), contact(40));
    step = view.onMessage(id(2), new ShuffleReply(List.of(id(1)), List.of(contact(60))));
    assertThat(step.send())
        .containsExactly(new Send(id(1), new ShuffleReply(List.of(), List.of(contact(60)))));
    assertThat(view.passive()).containsExactly(contact(50));
    step = view.onMessage(id(1), new Shuffle(1, List.of(id(7), id(1)), List.of(contact(41))));
    assertThat(step.send())
        .containsExactly(new Send(id(1), new ShuffleReply(List.of(id(7)), List.of(contact(50)))));
    assertThat(view.passive()).contains(contact(41));
  }

  @Test
  void guests_areSentAway_afterAWhile() {
    view.onTick(0);
    view.onConnected(contact(3), false);
    assertThat(view.onTick(HyParView.GUEST_MILLIS - 1).disconnect()).isEmpty();
    assertThat(view.onTick(HyParView.GUEST_MILLIS).disconnect()).containsExactly(id(3));
  }

  @Test
  void shunned_isNotConnected_untilItIsLearnedOfFirstHand() {
    neighbours(1);
    view.shun(id(1));
    view.onDisconnected(id(1));
    view.onConnected(contact(2), false);
    view.onMessage(id(2), new Neighbor(true));
    view.onMessage(id(2), new Shuffle(1, List.of(id(2)), List.of(contact(1))));
    assertThat(view.passive()).isEmpty();
    view.learn(contact(1));
    assertThat(view.passive()).containsExactly(contact(1));
    for (int i = 100; i < 200; i++) {
      view.shun(id(i));
    }
    view.onMessage(id(2), new Shuffle(1, List.of(id(2)), List.of(contact(100), contact(199))));
    assertThat(view.passive()).containsExactly(contact(1), contact(100));
  }

  @Test
  void contacts_areVisitedEveryThirtyToSixtySeconds() {
    neighbours(5);
    for (Contact contact : contacts(10, 20)) {
      view.learn(contact);
    }
    var visits = new ArrayList<Long>();
    for (long now = 0; now <= 600_000; now += 1_000) {
      Step step = view.onTick(now);
      for (Contact visited : step.connect()) {
        visits.add(now);
        view.onConnected(visited, true);
      }
      step.disconnect().forEach(view::onDisconnected);
    }
    assertThat(visits).hasSizeBetween(9, 20);
    for (int i = 1; i < visits.size(); i++) {
      assertThat(visits.get(i) - visits.get(i - 1)).isBetween(30_000L, 61_000L);
    }
  }

  @Test
  void capacityThatFalls_letsNeighboursGoOneByOne() {
    view.setCapacity(30);
    neighbours(20);
    view.setCapacity(5);
    for (int i = 1; i <= 15; i++) {
      Step step = view.onTick(i * 1_000L);
      assertThat(step.down()).hasSize(1);
      assertThat(view.active()).hasSize(20 - i);
    }
    assertThat(view.onTick(16_000).down()).isEmpty();
  }

  @Test
  void mesh_takesEverybody() {
    view.setCapacity(30);
    for (Contact contact : contacts(1, 25)) {
      view.learn(contact);
    }
    for (int second = 0; second < 300; second++) {
      for (Contact wanted : view.onTick(second * 1_000L).connect()) {
        for (Send send : view.onConnected(wanted, true).send()) {
          if (send.message() instanceof Neighbor) {
            view.onMessage(send.to(), new NeighborReply(true));
          }
        }
      }
    }
    assertThat(view.active()).hasSize(25);
    assertThat(view.passive()).isEmpty();
  }

  @Test
  void ownAndForeignIds_areNeverContactsNorNeighbours() {
    neighbours(2);
    Contact self = new Contact(SELF, "10.9.9.9:1");
    Contact stranger = new Contact(id(5_000), "10.9.9.9:2");
    Contact nowhere = new Contact(id(20), "");
    assertThat(view.onMessage(id(1), new ForwardJoin(0, self)).connect()).isEmpty();
    assertThat(view.onMessage(id(1), new ForwardJoin(0, stranger)).connect()).isEmpty();
    view.onMessage(id(1), new Shuffle(1, List.of(id(1)), List.of(self, stranger, nowhere)));
    view.learn(self);
    view.learn(stranger);
    assertThat(view.passive()).isEmpty();
  }

  @Test
  void knownAddress_isNotReplacedByHearsay() {
    neighbours(1);
    view.learn(contact(30));
    Contact forged = new Contact(id(30), "203.0.113.66:1");
    view.onMessage(id(1), new Shuffle(1, List.of(id(1)), List.of(forged)));
    assertThat(view.passive()).containsExactly(contact(30));
    Contact moved = new Contact(id(30), "10.0.0.99:1");
    view.learn(moved);
    assertThat(view.passive()).containsExactly(moved);
  }

  @Test
  void spoofedOriginsAndUnaskedAnswers_areIgnored() {
    neighbours(2);
    view.onMessage(id(1), new Shuffle(6, List.of(id(2)), contacts(40, 5)));
    view.onMessage(id(1), new Shuffle(6, List.of(SELF, id(1)), contacts(40, 5)));
    view.onMessage(id(1), new ShuffleReply(List.of(), contacts(40, 5)));
    view.onMessage(id(77), new Neighbor(true));
    view.onMessage(id(1), new NeighborReply(true));
    assertThat(view.passive()).isEmpty();
    assertThat(view.active()).containsExactly(id(1), id(2));
    assertThat(view.ignored()).isEqualTo(4);
    // An answer to a way that does not lead on is not carried further.
    Step step = view.onMessage(id(1), new ShuffleReply(List.of(id(50)), contacts(40, 5)));
    assertThat(step.send()).isEmpty();
  }

  @Test
  void floods_areCutOff_andEveryViewStaysBounded() {
    neighbours(5);
    int carried = 0;
    var random = new SplittableRandom(1);
    for (int i = 0; i < 10_000; i++) {
      int peer = random.nextInt(1, 6);
      OverlayMessage message =
          switch (i % 4) {
            case 0 -> new ForwardJoin(0, contact(100 + i % 800));
            case 1 -> new Shuffle(1, List.of(id(peer)), contacts(random.nextInt(900), 16));
            case 2 -> new ForwardJoin(6, contact(random.nextInt(900)));
            default -> new Neighbor(true);
          };
      Step step = view.onMessage(id(peer), message);
      carried += step.send().size() + step.connect().size();
      assertThat(view.active().size()).isLessThanOrEqualTo(5);
      assertThat(view.passive().size()).isLessThanOrEqualTo(HyParView.PASSIVE);
    }
    assertThat(carried).isLessThanOrEqualTo(5 * 2 * HyParView.MESSAGES_PER_TICK);
    assertThat(view.ignored()).isGreaterThan(9_000);
  }

  @Test
  void crowdOfGuests_isBounded() {
    neighbours(5);
    int sentAway = 0;
    for (int i = 100; i < 300; i++) {
      sentAway += view.onConnected(contact(i), false).disconnect().size();
    }
    assertThat(200 - sentAway).isEqualTo(HyParView.MAX_GUESTS);
  }

  @Test
  void messages_beyondTheirBounds_areRefused() {
    List<PeerId> longPath = IntStream.range(0, 9).mapToObj(HyParViewTest::id).toList();
    refused(new Shuffle(9, List.of(id(1)), List.of()));
    refused(new Shuffle(1, List.of(), List.of()));
    refused(new Shuffle(1, longPath, List.of()));
    refused(new Shuffle(1, List.of(id(1)), contacts(1, 17)));
    refused(new ShuffleReply(longPath, List.of()));
    refused(new ShuffleReply(List.of(), contacts(1, 17)));
    refused(new ForwardJoin(9, contact(1)));
    assertThatThrownBy(() -> new Contact(id(1), "x".repeat(129)))
        .isInstanceOf(CodecException.class)
        .hasMessageContaining("128");
    for (String address : List.of("a b:1", "a\n:1", "\u00e9:1")) {
      assertThatThrownBy(() -> new Contact(id(1), address)).isInstanceOf(CodecException.class);
    }
    assertThatThrownBy(() -> OverlayMessage.read(new ByteReader(new byte[] {3, 2})))
        .isInstanceOf(CodecException.class);
    assertThatThrownBy(() -> OverlayMessage.read(new ByteReader(new byte[] {8})))
        .isInstanceOf(CodecException.class);
  }

  private static void refused(OverlayMessage message) {
    var out = new ByteWriter();
    message.write(out);
    assertThatThrownBy(() -> OverlayMessage.read(new ByteReader(out.toByteArray())))
        .isInstanceOf(CodecException.class);
  }
}
