package io.pluresdb.daemon.node;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.store.Finding;
import io.pluresdb.daemon.Eventually;
import io.pluresdb.daemon.node.Node.DhtReport;
import io.pluresdb.transport.dht.DhtId;
import io.pluresdb.transport.dht.DhtStatus;
import io.pluresdb.transport.net.DhtSocket;
import java.io.IOException;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Nodes that find each other in a private DHT on the loopback address. */
class DhtNodesTest extends LocalNodes {
  private DhtSocket entry;

  @BeforeEach
  void makeEntryPoint() {
    entry =
        DhtSocket.open(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
            List.of(),
            false,
            new Random(),
            null,
            (topic, peer) -> {});
  }

  @AfterEach
  void closeEntryPoint() {
    entry.close();
  }

  private DeviceNode start(String name, List<InetSocketAddress> entryPoints, boolean announce) {
    return open(name, network(0, new NodeOptions.Dht(entryPoints, announce, false)));
  }

  private static NodeOptions.Network network(int port, NodeOptions.Dht dht) {
    return new NodeOptions.Network(loopback(port), null, List.of(), dht);
  }

  @Override
  DeviceNode start(String name) {
    return start(name, List.of(entry.address()), true);
  }

  private static DhtReport report(DeviceNode node) {
    return node.dht().join();
  }

  private static Finding doctor(DeviceNode node) {
    return node.doctor(DB).stream()
        .filter(finding -> finding.name().equals("dht"))
        .findAny()
        .orElseThrow();
  }

  @Test
  void doctor_looksForPeersNow_andSaysWhoAnswered() {
    DeviceNode a = start("a");
    assertThat(doctor(a).status()).as(doctor(a).message()).isEqualTo(Finding.Status.OK);
    assertThat(doctor(a).message()).contains("nodes answered");
    entry.close();
    assertThat(doctor(a).status()).as(doctor(a).message()).isEqualTo(Finding.Status.WARNING);
    DeviceNode alone = start("b", List.of(), true);
    assertThat(doctor(alone).status()).isEqualTo(Finding.Status.WARNING);
    assertThat(doctor(alone).message()).contains("no node of the DHT is known");
    assertThat(doctor(openOffline("c")).status()).isEqualTo(Finding.Status.NOT_APPLICABLE);
  }

  @Test
  void invitingDeviceThatMoved_isFoundByJoiningOne_andAgainAfterItMovedAgain() throws Exception {
    DeviceNode a = start("a");
    String url = a.invite(DB, Role.WRITE, Duration.ofHours(1)).url();
    stop(a);
    // On another port: no address of the invite leads anywhere now.
    DeviceNode moved = start("a");
    moved.store(DB).put("x", "1".getBytes(StandardCharsets.UTF_8));
    DeviceNode b = start("b");
    b.join(DB, url).get(30, TimeUnit.SECONDS);
    Eventually.await("the document", () -> b.store(DB).get("x").isPresent());
    stop(moved);
    DeviceNode again = start("a");
    again.store(DB).put("y", "2".getBytes(StandardCharsets.UTF_8));
    Eventually.await("the next document", () -> b.store(DB).get("y").isPresent());
  }

  @Test
  void optOut_announcesNothing_butFindsOthers() throws Exception {
    DeviceNode loud = start("loud");
    DeviceNode quiet = start("quiet", List.of(entry.address()), false);
    String url = loud.invite(DB, Role.WRITE, Duration.ofHours(1)).url();
    stop(loud);
    DeviceNode moved = start("loud");
    quiet.join(DB, url).get(30, TimeUnit.SECONDS);
    Eventually.await(
        "an announcement of one device only",
        () -> {
          var stored = entry.status().join().stored();
          DhtId topic = DhtId.parse(moved.status(DB).topic().substring(0, 40));
          return stored.stream().anyMatch(s -> s.topic().equals(topic) && s.peers() >= 1);
        });
    DhtStatus.Followed followed = report(quiet).status().followed().getLast();
    assertThat(followed.announcedPort()).isZero();
    assertThat(followed.announcedAt()).isZero();
  }

  @Test
  void table_outlivesARestart_andADamagedFileIsStartedAnew() throws IOException {
    DeviceNode a = start("a");
    a.invite(DB, Role.WRITE, Duration.ofHours(1));
    Eventually.await("a node", () -> !rows(a).isEmpty());
    String id = report(a).status().tables().getFirst().self().hex();
    stop(a);
    Path file = temporary.resolve("a").resolve("dht.nodes");
    assertThat(Files.size(file)).isPositive();
    DeviceNode restarted = start("a", List.of(), true);
    Eventually.await("the node again", () -> !rows(restarted).isEmpty());
    assertThat(report(restarted).status().tables().getFirst().self().hex()).isEqualTo(id);
    stop(restarted);
    Files.write(file, new byte[] {1, 2, 3});
    DeviceNode anew = start("a", List.of(), true);
    assertThat(rows(anew)).isEmpty();
    assertThat(report(anew).status().tables().getFirst().self().hex()).isNotEqualTo(id);
  }

  private static List<DhtStatus.Row> rows(DeviceNode node) {
    return report(node).status().tables().getFirst().rows();
  }

  @Test
  void loopbackNode_asksNobodyOutside() {
    DeviceNode node =
        start(
            "a",
            List.of(
                InetSocketAddress.createUnresolved("router.example", 6881),
                new InetSocketAddress(InetAddress.ofLiteral("192.0.2.1"), 6881)),
            true);
    assertThat(report(node).status().followed()).as("nobody else knows of it").isEmpty();
    node.invite(DB, Role.WRITE, Duration.ofHours(1));
    Eventually.await(
        "a lookup of the topic",
        () -> report(node).status().traces().stream().anyMatch(t -> t.forPeers()));
    assertThat(report(node).status().traces()).allMatch(trace -> trace.queries() == 0);
  }

  @Test
  void udpPortThatIsTaken_leavesTheDhtAnother() throws IOException {
    try (var udp = new DatagramSocket(0, InetAddress.getLoopbackAddress())) {
      var dht = new NodeOptions.Dht(List.of(entry.address()), true, false);
      DeviceNode node = open("a", network(udp.getLocalPort(), dht));
      node.invite(DB, Role.WRITE, Duration.ofHours(1));
      Eventually.await("a node", () -> !rows(node).isEmpty());
      assertThat(report(node).address()).doesNotEndWith(":" + udp.getLocalPort());
      assertThat(report(node).status().followed().getFirst().announcedPort())
          .isEqualTo(udp.getLocalPort());
    }
  }

  @Test
  void withoutDht_itSaysSo() {
    DeviceNode node = super.start("off");
    assertThatThrownBy(node::dht)
        .isInstanceOfSatisfying(
            NodeException.class, e -> assertThat(e.code()).isEqualTo("NODE_DHT_OFF"));
  }
}
