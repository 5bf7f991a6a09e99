package io.pluresdb.transport.dht;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.transport.dht.KrpcMessage.Ask;
import io.pluresdb.transport.dht.KrpcMessage.Failure;
import io.pluresdb.transport.dht.KrpcMessage.Query;
import io.pluresdb.transport.dht.KrpcMessage.Reply;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

class DhtNodeTest {
  private static final byte[] TX = "aa".getBytes(StandardCharsets.US_ASCII);
  private static final Set<AddressFamily> BOTH = EnumSet.allOf(AddressFamily.class);
  private static final DhtId TOPIC = DhtId.parse("6d".repeat(20));

  private final Wire wire = new Wire(11);

  /** What the node sends to {@code from} at once for a query. */
  private List<KrpcMessage> answers(DhtNode node, InetSocketAddress from, Query query) {
    byte[] bytes = query.encode();
    var answers = new ArrayList<KrpcMessage>();
    for (DhtEffect effect : node.receive(from, bytes, bytes.length, wire.now)) {
      if (effect instanceof DhtEffect.Send(InetSocketAddress to, byte[] sent) && to.equals(from)) {
        KrpcMessage message = KrpcMessage.decode(sent, sent.length);
        if (!(message instanceof Query)) {
          answers.add(message);
        }
      }
    }
    return answers;
  }

  private Query query(Ask ask) {
    return new Query(TX, DhtId.random(wire.random), true, ask);
  }

  private byte[] token(DhtNode node, InetSocketAddress from) {
    Reply reply = (Reply) answers(node, from, query(new Ask.GetPeers(TOPIC, Set.of()))).getFirst();
    byte[] token = reply.token();
    assertThat(token).isNotNull();
    return token == null ? new byte[0] : token;
  }

  @Test
  void everyNode_findsWhatAnyAnnounced_amongFiftyStrangers() {
    List<DhtNode> nodes = wire.network(50);
    for (int i = 0; i < 10; i++) {
      DhtNode announcer = nodes.get(i * 5);
      DhtId topic = DhtId.random(wire.random);
      wire.act(announcer, announcer.search(topic, 7_000 + i, wire.now));
      wire.run(3_000);
      var expected = new InetSocketAddress(wire.addressOf(announcer).getAddress(), 7_000 + i);
      for (DhtNode node : nodes) {
        wire.found.clear();
        wire.act(node, node.search(topic, 0, wire.now));
        wire.run(1_000);
        if (node != announcer) {
          assertThat(wire.found(node)).containsExactly(expected);
        }
      }
    }
  }

  @Test
  void strangers_agreeWhereANodeIs_andItTakesAnIdOfThatAddress() {
    for (DhtNode node : wire.network(20)) {
      InetSocketAddress address = wire.addressOf(node);
      assertThat(node.id(AddressFamily.IPV4).isProvenFor(address.getAddress())).isTrue();
      DhtStatus.Table table = node.status(wire.now).tables().getFirst();
      assertThat(table.external()).isEqualTo(address.getAddress());
      assertThat(table.externalPort()).isEqualTo(6881);
    }
  }

  @Test
  void followedTopic_isFoundAgainWheneverSomebodyComes_andAnnouncementsAreRenewed() {
    List<DhtNode> nodes = wire.network(30);
    DhtNode first = nodes.get(3);
    DhtNode second = nodes.get(17);
    wire.act(first, first.follow(TOPIC, 9_001, wire.now));
    wire.run(10_000);
    wire.act(second, second.follow(TOPIC, 9_002, wire.now));
    wire.run(1_000);
    assertThat(wire.found(second))
        .containsExactly(new InetSocketAddress(Wire.stranger(3).getAddress(), 9_001));
    wire.run(60_000);
    assertThat(wire.found(first))
        .containsExactly(new InetSocketAddress(Wire.stranger(17).getAddress(), 9_002));
    // Two hours later, well beyond the expiry of what was announced once.
    wire.run(2 * 3_600_000);
    DhtNode late = nodes.get(25);
    wire.act(late, late.search(TOPIC, 0, wire.now));
    wire.run(1_000);
    assertThat(wire.found(late)).hasSize(2);
    first.unfollow(TOPIC);
    second.unfollow(TOPIC);
    wire.run(PeerStore.EXPIRY_MILLIS + DhtNode.UPKEEP_MILLIS + 1_000);
    wire.found.clear();
    wire.act(late, late.search(TOPIC, 0, wire.now));
    wire.run(1_000);
    assertThat(wire.found(late)).isEmpty();
  }

  @Test
  void restartedNode_entersFromItsSnapshot_withoutEntryPoints() {
    List<DhtNode> nodes = wire.network(30);
    DhtNode old = nodes.get(7);
    byte[] file = old.snapshot(wire.now).encode();
    wire.nodes.remove(Wire.stranger(7));
    DhtSnapshot read = DhtSnapshot.decode(file);
    assertThat(read).isEqualTo(old.snapshot(wire.now));
    DhtNode restarted = wire.add(Wire.stranger(7), DhtSettings.ipv4(), read);
    assertThat(restarted.id(AddressFamily.IPV4)).isEqualTo(old.id(AddressFamily.IPV4));
    wire.act(restarted, restarted.tick(wire.now));
    wire.run(5_000);
    assertThat(restarted.tableSize(AddressFamily.IPV4)).isGreaterThan(RoutingTable.BUCKET);
  }

  @Test
  void damagedSnapshot_isRefused() {
    byte[] file = wire.network(10).get(2).snapshot(wire.now).encode();
    for (int at = 0; at < file.length; at++) {
      byte[] flipped = file.clone();
      flipped[at] ^= (byte) (1 << wire.random.nextInt(8));
      assertThat(DhtSnapshot.decode(flipped)).isNull();
      assertThat(DhtSnapshot.decode(java.util.Arrays.copyOf(file, at))).isNull();
    }
  }

  @Test
  void replyAndWhatItMakesUsAsk_areAtMostFourTimesTheQuery() {
    List<DhtNode> nodes = wire.network(40);
    DhtNode node = nodes.get(5);
    for (int i = 0; i < 30; i++) {
      InetSocketAddress peer = Wire.stranger(500 + i);
      Ask announce = new Ask.AnnouncePeer(TOPIC, 1, false, token(node, peer));
      assertThat(answers(node, peer, query(announce))).hasSize(1);
    }
    DhtId missing = DhtId.random(wire.random);
    var asks =
        List.of(
            new Ask.Ping(),
            new Ask.FindNode(TOPIC, Set.of()),
            new Ask.FindNode(TOPIC, BOTH),
            new Ask.GetPeers(TOPIC, Set.of()),
            new Ask.GetPeers(TOPIC, BOTH),
            new Ask.GetPeers(missing, BOTH),
            new Ask.AnnouncePeer(TOPIC, 1, false, new byte[8]));
    int source = 1_000;
    for (Ask ask : asks) {
      for (boolean readOnly : new boolean[] {true, false}) {
        for (byte[] transaction : List.of(new byte[1], TX, new byte[8], new byte[32])) {
          byte[] bytes = new Query(transaction, DhtId.random(wire.random), readOnly, ask).encode();
          int sent = 0;
          for (DhtEffect effect :
              node.receive(Wire.stranger(source++), bytes, bytes.length, wire.now)) {
            sent += effect instanceof DhtEffect.Send(var to, var out) ? out.length : 0;
          }
          assertThat(sent)
              .as("%s", ask)
              .isPositive()
              .isLessThanOrEqualTo(DhtNode.MAX_AMPLIFICATION * bytes.length);
        }
      }
    }
  }

  @Test
  void replyOfManyPeers_hasPeersAndNodes() {
    DhtNode node = wire.network(40).get(5);
    for (int i = 0; i < 30; i++) {
      InetSocketAddress peer = Wire.stranger(500 + i);
      answers(node, peer, query(new Ask.AnnouncePeer(TOPIC, 1, false, token(node, peer))));
    }
    Reply reply =
        (Reply)
            answers(node, Wire.stranger(999), query(new Ask.GetPeers(TOPIC, Set.of()))).getFirst();
    assertThat(reply.peers()).hasSizeBetween(DhtNode.VALUES_FIRST, DhtNode.MAX_VALUES);
    assertThat(reply.nodes()).hasSizeGreaterThan(4);
  }

  @Test
  void announcement_needsATokenOfThatAddress_atMostTenMinutesOld() {
    DhtNode node = wire.network(5).get(2);
    InetSocketAddress from = Wire.stranger(100);
    byte[] token = token(node, from);
    Ask announce = new Ask.AnnouncePeer(TOPIC, 1, false, token);
    assertThat(answers(node, Wire.stranger(101), query(announce)).getFirst())
        .isInstanceOf(Failure.class);
    assertThat(answers(node, from, query(new Ask.AnnouncePeer(TOPIC, 1, false, new byte[0]))))
        .first()
        .isInstanceOf(Failure.class);
    assertThat(node.counter(DhtCounter.ANNOUNCES_BAD_TOKEN)).isEqualTo(2);
    wire.run(Tokens.ROTATION_MILLIS - 1);
    assertThat(answers(node, from, query(announce)).getFirst()).isInstanceOf(Reply.class);
    wire.run(Tokens.ROTATION_MILLIS + 1);
    assertThat(answers(node, from, query(announce)).getFirst()).isInstanceOf(Failure.class);
  }

  @Test
  void impliedPort_isThatOfTheDatagram() {
    DhtNode node = wire.network(5).get(2);
    InetSocketAddress from = Wire.at("45.9.9.9", 4_321);
    answers(node, from, query(new Ask.AnnouncePeer(TOPIC, 0, true, token(node, from))));
    Reply reply =
        (Reply)
            answers(node, Wire.stranger(9), query(new Ask.GetPeers(TOPIC, Set.of()))).getFirst();
    assertThat(reply.peers()).containsExactly(from);
  }

  @Test
  void flood_ofOneAddress_isLimited_andOthersAreAnswered() {
    DhtNode node = wire.network(5).get(2);
    InetSocketAddress flooder = Wire.stranger(100);
    int answered = 0;
    for (int i = 0; i < 1_000; i++) {
      answered += answers(node, flooder, query(new Ask.Ping())).size();
    }
    assertThat(answered).isEqualTo(QueryLimits.BURST);
    assertThat(answers(node, Wire.stranger(101), query(new Ask.Ping()))).hasSize(1);
    assertThat(node.counter(DhtCounter.QUERIES_LIMITED)).isEqualTo(1_000 - QueryLimits.BURST);
    wire.run(1_000);
    assertThat(answers(node, flooder, query(new Ask.Ping()))).hasSize(1);
    for (int i = 0; i < 1_000; i++) {
      assertThat(answers(node, Wire.at("127.0.0.1", 1), query(new Ask.Ping()))).hasSize(1);
    }
  }

  @Test
  void readOnlyNode_asksAndAnnounces_butIsInNoTableAndAnswersNobody() {
    wire.network(20);
    InetSocketAddress address = Wire.stranger(300);
    DhtNode quiet =
        wire.add(address, new DhtSettings(EnumSet.of(AddressFamily.IPV4), true, 3, 0), null);
    wire.act(quiet, quiet.enterAt(List.of(Wire.stranger(0)), wire.now));
    wire.act(quiet, quiet.follow(TOPIC, 5_000, wire.now));
    wire.run(30_000);
    assertThat(quiet.tableSize(AddressFamily.IPV4)).isGreaterThan(5);
    assertThat(answers(quiet, Wire.stranger(1), query(new Ask.Ping()))).isEmpty();
    for (DhtNode node : wire.nodes.values()) {
      assertThat(node.status(wire.now).tables().getFirst().rows())
          .noneMatch(row -> row.contact().address().equals(address));
    }
    DhtNode other = wire.nodes.get(Wire.stranger(4));
    assertThat(other).isNotNull();
    if (other != null) {
      wire.act(other, other.search(TOPIC, 0, wire.now));
      wire.run(1_000);
      assertThat(wire.found(other)).hasSize(1);
    }
  }

  @Test
  void answer_countsFromTheAddressAsked_withItsTransactionAndItsId() {
    DhtNode node = wire.add(Wire.stranger(1), DhtSettings.ipv4(), null);
    InetSocketAddress entry = Wire.stranger(2);
    byte[] asked = new byte[0];
    for (DhtEffect effect : node.enterAt(List.of(entry), wire.now)) {
      asked = effect instanceof DhtEffect.Send(var to, var bytes) ? bytes : asked;
    }
    byte[] transaction = ((Query) KrpcMessage.decode(asked, asked.length)).transaction();
    NodeContact lie = new NodeContact(DhtId.random(wire.random), Wire.stranger(3));
    DhtId honest = DhtId.provenFor(entry.getAddress(), wire.random);
    Reply reply = new Reply(transaction, honest, List.of(lie), List.of(), null, null);
    byte[] bytes = reply.encode();
    node.receive(Wire.stranger(9), bytes, bytes.length, wire.now);
    assertThat(node.tableSize(AddressFamily.IPV4)).isZero();
    byte[] other = new Reply(new byte[4], honest, List.of(), List.of(), null, null).encode();
    node.receive(entry, other, other.length, wire.now);
    assertThat(node.tableSize(AddressFamily.IPV4)).isZero();
    List<DhtEffect> next = node.receive(entry, bytes, bytes.length, wire.now);
    assertThat(node.tableSize(AddressFamily.IPV4)).isEqualTo(1);
    // The node it told of answers with another id than it was told of with.
    byte[] second = new byte[0];
    for (DhtEffect effect : next) {
      second =
          effect instanceof DhtEffect.Send(var to, var sent) && to.equals(lie.address())
              ? sent
              : second;
    }
    byte[] tx = ((Query) KrpcMessage.decode(second, second.length)).transaction();
    DhtId real = DhtId.provenFor(lie.address().getAddress(), wire.random);
    byte[] truth = new Reply(tx, real, List.of(), List.of(), null, null).encode();
    node.receive(lie.address(), truth, truth.length, wire.now);
    assertThat(node.status(wire.now).tables().getFirst().rows())
        .extracting(row -> row.contact().id())
        .containsExactlyInAnyOrder(honest, real);
    assertThat(node.counter(DhtCounter.UNMATCHED)).isEqualTo(3);
  }

  /** Two hundred made-up ids around a topic, all in eight networks, answer and lie. */
  @Test
  void lookupAmongSybils_endsAtTheProvenNodesToo() {
    var lookup =
        new Lookup(
            TOPIC, DhtId.random(wire.random), AddressFamily.IPV4, Lookup.Purpose.PEERS, 3, 0);
    for (int i = 0; i < 200; i++) {
      lookup.startFrom(
          new NodeContact(
              TOPIC.withCommonBits(30 + i % 60, wire.random),
              Wire.at("185.1." + i % 8 + "." + (i + 1), 6881)));
    }
    for (int i = 0; i < 20; i++) {
      InetSocketAddress address = Wire.stranger(i);
      lookup.startFrom(
          new NodeContact(DhtId.provenFor(address.getAddress(), wire.random), address));
    }
    Lookup.Candidate next;
    while ((next = lookup.next(0)) != null) {
      DhtId id = next.id();
      if (id != null) {
        lookup.answered(next, new Reply(TX, id, List.of(), List.of(), new byte[1], null), 1);
      }
    }
    List<InetSocketAddress> nearest =
        lookup.nearest().stream().map(Lookup.Candidate::address).toList();
    assertThat(nearest.stream().filter(a -> a.getAddress().getAddress()[0] == 45))
        .hasSizeBetween(8, 20);
    assertThat(lookup.isDone()).isTrue();
  }

  @Test
  void networkAway_comesBack() {
    List<DhtNode> nodes = wire.network(20);
    DhtNode node = nodes.get(4);
    wire.act(node, node.follow(TOPIC, 5_000, wire.now));
    InetSocketAddress address = wire.addressOf(node);
    wire.cut = address::equals;
    wire.run(3 * 3_600_000);
    wire.cut = one -> false;
    wire.run(20 * 60_000);
    DhtNode other = nodes.get(12);
    wire.act(other, other.search(TOPIC, 0, wire.now));
    wire.run(1_000);
    assertThat(wire.found(other)).hasSize(1);
  }

  /** Real traffic with bits flipped, cut, and from anywhere, among it answers to what was asked. */
  @Test
  void brokenTraffic_neverThrows_andFillsNothing() {
    DhtNode node = wire.network(30).get(4);
    var seen = new ArrayList<byte[]>();
    for (Ask ask :
        List.of(
            new Ask.Ping(),
            new Ask.FindNode(TOPIC, BOTH),
            new Ask.GetPeers(TOPIC, BOTH),
            new Ask.AnnouncePeer(TOPIC, 1, true, new byte[8]))) {
      seen.add(query(ask).encode());
    }
    seen.add(
        new Reply(
                new byte[4],
                TOPIC,
                List.of(new NodeContact(TOPIC, Wire.stranger(3))),
                List.of(Wire.stranger(4)),
                TX,
                Wire.stranger(5))
            .encode());
    int before = node.tableSize(AddressFamily.IPV4);
    for (int round = 0; round < 50_000; round++) {
      byte[] broken = seen.get(wire.random.nextInt(seen.size())).clone();
      for (int flips = wire.random.nextInt(4); flips > 0; flips--) {
        broken[wire.random.nextInt(broken.length)] ^= (byte) (1 << wire.random.nextInt(8));
      }
      int length = wire.random.nextInt(8) == 0 ? wire.random.nextInt(broken.length) : broken.length;
      for (DhtEffect effect :
          node.receive(
              Wire.stranger(1_000 + wire.random.nextInt(5_000)), broken, length, wire.now)) {
        if (effect instanceof DhtEffect.Send(var to, var sent)
            && KrpcMessage.decode(sent, sent.length) instanceof Query asked) {
          assertThat(asked.ask()).isInstanceOf(Ask.Ping.class);
        }
      }
      wire.now += 1;
    }
    DhtStatus status = node.status(wire.now);
    assertThat(status.tables().getFirst().rows()).hasSize(before);
    assertThat(status.stored()).isEmpty();
    assertThat(node.counter(DhtCounter.MALFORMED)).isGreaterThan(1_000);
    assertThat(node.counter(DhtCounter.UNMATCHED)).isGreaterThan(1_000);
  }

  /** A hundred sybils in fifty networks right at the topic answer, and say nobody is there. */
  @Test
  void sybilsAtATopic_doNotHideWhatWasAnnouncedBefore_norAfter() {
    List<DhtNode> nodes = wire.network(60);
    DhtNode early = nodes.get(9);
    wire.act(early, early.follow(TOPIC, 7_001, wire.now));
    wire.run(3_000);
    for (int i = 0; i < 100; i++) {
      InetSocketAddress at = Wire.at("185.1." + i % 50 + "." + (i + 1), 6881);
      var id =
          new DhtSnapshot(
              Map.of(AddressFamily.IPV4, TOPIC.withCommonBits(40 + i % 40, wire.random)),
              List.of());
      DhtNode sybil = wire.add(at, DhtSettings.ipv4(), id);
      wire.hostile.add(at);
      wire.act(sybil, sybil.enterAt(List.of(Wire.stranger(0)), wire.now));
      wire.run(100);
    }
    wire.run(10_000);
    DhtNode late = nodes.get(31);
    wire.act(late, late.follow(TOPIC, 7_002, wire.now));
    wire.run(60_000);
    DhtNode seeker = nodes.get(50);
    wire.act(seeker, seeker.search(TOPIC, 0, wire.now));
    wire.run(5_000);
    assertThat(wire.found(seeker))
        .contains(
            new InetSocketAddress(Wire.stranger(9).getAddress(), 7_001),
            new InetSocketAddress(Wire.stranger(31).getAddress(), 7_002));
  }
}
