package io.pluresdb.transport.dht;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.HashSet;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** The parts of a node at the edge of what they hold. */
class DhtLimitsTest {
  private static final DhtId SELF = new DhtId(0, 0, 0);
  private static final long NOW = 1_000_000;

  private final Random random = new Random(7);

  private NodeContact proven(int n) {
    InetSocketAddress address = Wire.stranger(n);
    return new NodeContact(DhtId.provenFor(address.getAddress(), random), address);
  }

  /** A node whose id begins with a one: all of them share the first bucket. */
  private NodeContact far(InetSocketAddress address) {
    DhtId any = DhtId.random(random);
    return new NodeContact(
        new DhtId(any.high() | Long.MIN_VALUE, any.middle(), any.low()), address);
  }

  @Test
  void bucket_holdsEight_andTheReserveReplacesWhatIsGone() {
    var table = new RoutingTable(SELF);
    var all = new java.util.ArrayList<NodeContact>();
    for (int i = 0; i < 20; i++) {
      all.add(far(Wire.at("127.0.0.1", 1_000 + i)));
      table.answered(all.getLast(), NOW);
    }
    assertThat(table.entries())
        .extracting(RoutingTable.Entry::contact)
        .containsExactlyElementsOf(all.subList(0, 8));
    table.failed(all.getFirst());
    assertThat(table.closest(all.getFirst().id(), 20)).doesNotContain(all.getFirst()).hasSize(7);
    table.failed(all.getFirst());
    assertThat(table.entries())
        .extracting(RoutingTable.Entry::contact)
        .contains(all.get(19))
        .doesNotContain(all.getFirst());
  }

  @Test
  void strangers_haveOnePlaceForAnAddress_andOneForANetworkInABucket() {
    var table = new RoutingTable(SELF);
    table.answered(far(Wire.at("45.1.1.1", 1)), NOW);
    table.answered(far(Wire.at("45.1.1.1", 2)), NOW);
    table.answered(far(Wire.at("45.1.1.2", 1)), NOW);
    assertThat(table.size()).isEqualTo(1);
    NodeContact near = new NodeContact(new DhtId(1, 0, 0), Wire.at("45.1.1.2", 1));
    table.answered(near, NOW);
    assertThat(table.size()).isEqualTo(2);
    table.answered(far(Wire.at("192.168.0.1", 1)), NOW);
    table.answered(far(Wire.at("192.168.0.1", 2)), NOW);
    assertThat(table.size()).isEqualTo(4);
  }

  @Test
  void provenId_goesBeforeAMadeUpOne() {
    var table = new RoutingTable(SELF);
    for (int i = 0; i < 8; i++) {
      table.answered(far(Wire.stranger(i)), NOW);
    }
    int places = 0;
    for (int i = 100; i < 140; i++) {
      NodeContact honest = proven(i);
      if (SELF.commonBits(honest.id()) == 0) {
        table.answered(honest, NOW);
        places++;
      }
    }
    assertThat(places).isGreaterThan(8);
    assertThat(table.entries())
        .filteredOn(entry -> SELF.commonBits(entry.contact().id()) == 0)
        .hasSize(8)
        .allMatch(RoutingTable.Entry::proven);
  }

  @Test
  void idInTheTable_isNotTakenOverFromAnotherAddress() {
    var table = new RoutingTable(SELF);
    NodeContact owner = far(Wire.stranger(1));
    table.answered(owner, NOW);
    table.answered(new NodeContact(owner.id(), Wire.stranger(2)), NOW);
    assertThat(table.entries()).extracting(RoutingTable.Entry::contact).containsExactly(owner);
  }

  @Test
  void silentNode_isAskedAgainAfterAQuarterOfAnHour() {
    var table = new RoutingTable(SELF);
    NodeContact node = far(Wire.stranger(1));
    table.answered(node, NOW);
    assertThat(table.due(9, NOW + RoutingTable.GOOD_MILLIS - 1)).isEmpty();
    assertThat(table.due(9, NOW + RoutingTable.GOOD_MILLIS)).containsExactly(node);
    assertThat(table.due(9, NOW + RoutingTable.GOOD_MILLIS + 1)).isEmpty();
    assertThat(table.staleBucket(NOW + RoutingTable.GOOD_MILLIS - 1)).isEqualTo(-1);
    assertThat(table.staleBucket(NOW + RoutingTable.GOOD_MILLIS)).isZero();
    assertThat(table.staleBucket(NOW + RoutingTable.GOOD_MILLIS)).isEqualTo(-1);
  }

  @Test
  void store_isBoundedForATopicANetworkAndInAll() {
    var store = new PeerStore();
    DhtId topic = DhtId.random(random);
    for (int i = 0; i < 20; i++) {
      boolean stored = store.announce(topic, Wire.at("45.1.1." + (i + 1), 1), SELF, NOW);
      assertThat(stored).isEqualTo(i < PeerStore.MAX_PER_SUBNET);
    }
    for (int i = 0; i < PeerStore.MAX_PER_TOPIC + 50; i++) {
      assertThat(store.announce(topic, Wire.stranger(1 + i), SELF, NOW)).isTrue();
    }
    assertThat(store.peers()).isEqualTo(PeerStore.MAX_PER_TOPIC);
    var found = new HashSet<>(store.sample(topic, AddressFamily.IPV4, 1_000, random, NOW));
    assertThat(found).hasSize(PeerStore.MAX_PER_TOPIC).doesNotContain(Wire.at("45.1.1.1", 1));
    assertThat(store.sample(topic, AddressFamily.IPV4, 20, random, NOW)).hasSize(20);
    assertThat(store.sample(topic, AddressFamily.IPV6, 20, random, NOW)).isEmpty();
    assertThat(store.sample(topic, AddressFamily.IPV4, 20, random, NOW + PeerStore.EXPIRY_MILLIS))
        .isEmpty();
    store.expire(NOW + PeerStore.EXPIRY_MILLIS);
    assertThat(store.peers()).isZero();
    assertThat(store.stored()).isEmpty();
  }

  @Test
  void networkThatAnnouncesEverywhere_hasABoundedShare() {
    var store = new PeerStore();
    int stored = 0;
    for (int i = 0; i < 1_000; i++) {
      DhtId topic = DhtId.random(random);
      stored += store.announce(topic, Wire.at("45.1.1.9", 1 + i), SELF, NOW) ? 1 : 0;
    }
    assertThat(stored).isEqualTo(PeerStore.MAX_OF_SUBNET);
  }

  @Test
  void tooManyTopics_loseTheFurthest() {
    var store = new PeerStore();
    DhtId near = new DhtId(1, 0, 0);
    assertThat(store.announce(near, Wire.stranger(1), SELF, NOW)).isTrue();
    for (int i = 0; i < PeerStore.MAX_TOPICS + 500; i++) {
      store.announce(DhtId.random(random), Wire.stranger(i), SELF, NOW);
    }
    assertThat(store.stored()).hasSize(PeerStore.MAX_TOPICS);
    assertThat(store.sample(near, AddressFamily.IPV4, 1, random, NOW)).hasSize(1);
    assertThat(store.announce(new DhtId(-1, -1, -1), Wire.stranger(9), SELF, NOW)).isFalse();
    assertThat(store.stored()).hasSize(PeerStore.MAX_TOPICS);
  }

  @Test
  void sourcesRemembered_areBounded_andAllTogetherAreLimited() {
    var limits = new QueryLimits(NOW);
    int allowed = 0;
    for (int i = 0; i < 10_000; i++) {
      allowed +=
          limits.allows(InetAddress.ofLiteral("45.1." + i / 250 + "." + i % 250), NOW) ? 1 : 0;
    }
    assertThat(allowed).isEqualTo(QueryLimits.ALL_BURST);
    assertThat(limits.remembered()).isEqualTo(QueryLimits.MAX_REMEMBERED);
    assertThat(limits.allows(InetAddress.ofLiteral("46.1.1.1"), NOW + 1)).isTrue();
  }

  @Test
  void votes_countOnceForANetwork_andNeedMoreThanHalf() {
    var votes = new AddressVotes();
    InetSocketAddress truth = Wire.at("45.7.7.7", 1_234);
    for (int i = 0; i < 100; i++) {
      votes.vote(InetAddress.ofLiteral("45.1.1." + (i + 1)), Wire.at("45.6.6.6", 1));
    }
    assertThat(votes.count()).isEqualTo(1);
    assertThat(votes.address()).isNull();
    for (int i = 0; i < 3; i++) {
      votes.vote(Wire.stranger(300 + i).getAddress(), truth);
    }
    assertThat(votes.address()).isEqualTo(truth.getAddress());
    assertThat(votes.port()).isEqualTo(1_234);
    votes.vote(Wire.stranger(400).getAddress(), Wire.at("45.7.7.7", 1_235));
    assertThat(votes.port()).isZero();
    votes.vote(Wire.stranger(401).getAddress(), Wire.at("127.0.0.1", 1));
    assertThat(votes.count()).isEqualTo(5);
    for (int i = 0; i < 100; i++) {
      votes.vote(Wire.stranger(500 + i).getAddress(), truth);
    }
    assertThat(votes.count()).isEqualTo(AddressVotes.MAX_VOTES);
  }
}
