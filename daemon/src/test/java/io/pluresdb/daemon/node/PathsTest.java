package io.pluresdb.daemon.node;

import static io.pluresdb.daemon.Eventually.await;
import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Finding;
import io.pluresdb.transport.Environment;
import io.pluresdb.transport.dht.AddressFamily;
import io.pluresdb.transport.dht.DhtId;
import io.pluresdb.transport.dht.DhtStatus;
import io.pluresdb.transport.net.RelayServer;
import io.pluresdb.transport.path.NatKind;
import io.pluresdb.transport.path.Reachability;
import io.pluresdb.transport.relay.RelayLimits;
import io.pluresdb.transport.relay.RelayOptions;
import io.pluresdb.transport.relay.RelayUrl;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** By which path whole devices reach each other, and where they are. */
class PathsTest extends LocalNodes {
  private DeviceNode startAt(RelayUrl relay, String name) {
    return open(
        name,
        new NodeOptions.Network(loopback(0), null, List.of(), null, NodeOptions.Relays.of(relay)));
  }

  private static String path(DeviceNode node) {
    return node.peers(DB).stream()
        .filter(peer -> peer.state().equals("connected"))
        .map(Node.PeerStatus::path)
        .findFirst()
        .orElse("none");
  }

  @Test
  void devices_thatHaveOnlyARelayInCommon_comeToADirectPath_andOutliveTheRelay() {
    var options =
        new RelayOptions(
            loopback(0), null, Map.of(), false, RelayLimits.of(Map.of("drain-millis", 0L)));
    RelayServer relay =
        RelayServer.start(
            options, new Environment(InstantSource.system(), new SplittableRandom(1)));
    try {
      var url = RelayUrl.parse("ws://127.0.0.1:" + relay.address().getPort());
      DeviceNode a = startAt(url, "a");
      DeviceNode b = startAt(url, "b");
      CrdtStore.await(b.join(DB, withoutAddresses(invite(a))));
      put(a, "first", "{\"n\":1}");
      await("it arrives", () -> has(b, "first"));
      await("hole punched", () -> path(a).equals("quic") && path(b).equals("quic"));
      await("a round trip", () -> a.peers(DB).getFirst().roundTripMicros() > 0);
      assertThat(a.network().quic()).isEqualTo("on");
      relay.close();
      put(b, "second", "{\"n\":2}");
      await("it arrives without the relay", () -> has(a, "second"));
      assertThat(path(a)).isEqualTo("quic");
      awaitEqual(a, b);
      stopAll();
    } finally {
      relay.close();
    }
  }

  private static Finding doctor(DeviceNode node) {
    return node.doctor(DB).stream()
        .filter(finding -> finding.name().equals("relays"))
        .findAny()
        .orElseThrow();
  }

  @Test
  void doctor_triesRelaysThatAreNotConnected_andNamesThoseThatStayAway() {
    var options = new RelayOptions(loopback(0), null, Map.of(), false, RelayLimits.of(Map.of()));
    RelayServer relay =
        RelayServer.start(
            options, new Environment(InstantSource.system(), new SplittableRandom(1)));
    var url = RelayUrl.parse("ws://127.0.0.1:" + relay.address().getPort());
    DeviceNode a = startAt(url, "a");
    try {
      assertThat(doctor(a).message()).isEqualTo("1 connected");
    } finally {
      relay.close();
    }
    await("the relay to be missed", () -> doctor(a).status() == Finding.Status.WARNING);
    assertThat(doctor(a).message()).contains(url.text() + " is not connected");
    assertThat(doctor(start("b")).status()).isEqualTo(Finding.Status.NOT_APPLICABLE);
  }

  /** The same invite, which names relays only. */
  private static String withoutAddresses(String url) {
    InviteUrl invite = InviteUrl.parse(url, Instant.now());
    return new InviteUrl(
            invite.database(),
            invite.syncKey(),
            invite.founder(),
            invite.inviter(),
            invite.secret(),
            invite.role(),
            invite.expiresMillis(),
            invite.addresses().stream().filter(RelayLinks::isRelay).toList())
        .text();
  }

  private static final InetSocketAddress BOUND =
      new InetSocketAddress(InetAddress.ofLiteral("0.0.0.0"), 34_570);
  private static final InetAddress LOCAL = InetAddress.ofLiteral("192.168.1.7");
  private static final InetAddress SEEN = InetAddress.ofLiteral("203.0.113.5");

  private static DhtStatus said(@Nullable InetAddress seen, int port) {
    var table =
        new DhtStatus.Table(
            AddressFamily.IPV4, DhtId.random(new Random(1)), seen, port, 8, List.of());
    return new DhtStatus(false, List.of(table), List.of(), List.of(), List.of(), Map.of());
  }

  @Test
  void whereabouts_ofADeviceBehindANat_areWhatOthersSee() {
    Reachability cone =
        Whereabouts.judge(
            said(SEEN, 40_000), BOUND, Set.of(LOCAL), List.of(), List.of(), List.of(SEEN));
    assertThat(cone.nat()).isEqualTo(NatKind.CONE);
    assertThat(Whereabouts.texts(cone)).containsExactly("203.0.113.5:40000", "192.168.1.7:34570");
    Reachability symmetric =
        Whereabouts.judge(said(SEEN, 0), BOUND, Set.of(LOCAL), List.of(), List.of(), List.of(SEEN));
    assertThat(symmetric.nat()).isEqualTo(NatKind.SYMMETRIC);
    assertThat(Whereabouts.texts(symmetric)).containsExactly("192.168.1.7:34570");
    Reachability open =
        Whereabouts.judge(said(SEEN, 34_570), BOUND, Set.of(SEEN), List.of(), List.of(), List.of());
    assertThat(open.nat()).isEqualTo(NatKind.OPEN);
    assertThat(Whereabouts.texts(open)).containsExactly("203.0.113.5:34570");
    var mapping = new InetSocketAddress(SEEN, 1_234);
    Reachability mapped =
        Whereabouts.judge(
            null,
            BOUND,
            Set.of(LOCAL),
            List.of(mapping),
            List.of(),
            List.of(InetAddress.ofLiteral("127.0.0.1")));
    assertThat(mapped.nat()).isEqualTo(NatKind.UNKNOWN);
    assertThat(Whereabouts.texts(mapped)).containsExactly("203.0.113.5:1234", "192.168.1.7:34570");
  }

  @Test
  void whereabouts_withoutADht_areWhatRelaysSee() {
    var at = new InetSocketAddress(SEEN, 40_000);
    var elsewhere = new InetSocketAddress(SEEN, 40_001);
    Reachability one = seenAs(Set.of(LOCAL), at);
    assertThat(one.nat()).as("one voice tells a port, but not the kind").isEqualTo(NatKind.UNKNOWN);
    assertThat(Whereabouts.texts(one)).containsExactly("203.0.113.5:40000", "192.168.1.7:34570");
    Reachability cone = seenAs(Set.of(LOCAL), at, at);
    assertThat(cone.nat()).isEqualTo(NatKind.CONE);
    assertThat(cone.seen()).isEqualTo(at);
    Reachability symmetric = seenAs(Set.of(LOCAL), at, elsewhere);
    assertThat(symmetric.nat()).isEqualTo(NatKind.SYMMETRIC);
    assertThat(Whereabouts.texts(symmetric)).containsExactly("192.168.1.7:34570");
    assertThat(seenAs(Set.of(SEEN), at).nat()).isEqualTo(NatKind.OPEN);
    var inside = new InetSocketAddress(LOCAL, 34_570);
    assertThat(seenAs(Set.of(LOCAL), inside, at, at).nat())
        .as("a relay on the own side of the NAT does not hide it")
        .isEqualTo(NatKind.CONE);
    var loopback = new InetSocketAddress(InetAddress.ofLiteral("127.0.0.1"), 34_570);
    assertThat(Whereabouts.texts(seenAs(Set.of(LOCAL), loopback)))
        .doesNotContain("127.0.0.1:34570");
  }

  private static Reachability seenAs(Set<InetAddress> own, InetSocketAddress... observed) {
    return Whereabouts.judge(null, BOUND, own, List.of(), List.of(observed), List.of(SEEN));
  }
}
