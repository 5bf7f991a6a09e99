package io.pluresdb.transport.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.transport.Waiting;
import io.pluresdb.transport.dht.AddressFamily;
import io.pluresdb.transport.dht.DhtCounter;
import io.pluresdb.transport.dht.DhtId;
import io.pluresdb.transport.dht.DhtSnapshot;
import io.pluresdb.transport.dht.DhtStatus;
import io.pluresdb.transport.dht.LookupTrace;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** DHT nodes on the loopback address. */
class DhtSocketTest {
  private final List<DhtSocket> sockets = new ArrayList<>();
  private final Map<DhtId, Set<InetSocketAddress>> found = new ConcurrentHashMap<>();

  @AfterEach
  void close() {
    sockets.forEach(DhtSocket::close);
  }

  private DhtSocket open(String host, List<InetSocketAddress> entryPoints) {
    DhtSocket socket =
        DhtSocket.open(
            new InetSocketAddress(InetAddress.ofLiteral(host), 0),
            entryPoints,
            false,
            new Random(),
            null,
            (topic, peer) ->
                found.computeIfAbsent(topic, t -> ConcurrentHashMap.newKeySet()).add(peer));
    sockets.add(socket);
    return socket;
  }

  private static DhtStatus status(DhtSocket socket) {
    return socket.status().join();
  }

  private static int known(DhtSocket socket) {
    return status(socket).tables().getFirst().rows().size();
  }

  @ParameterizedTest
  @ValueSource(strings = {"127.0.0.1", "::1"})
  void nodesWithOneEntryPoint_findEachOther(String host) {
    DhtSocket entry = open(host, List.of());
    for (int i = 0; i < 9; i++) {
      open(host, List.of(entry.address()));
    }
    Waiting.until("filled tables", () -> sockets.stream().allMatch(socket -> known(socket) >= 5));
    DhtId topic = DhtId.random(new Random());
    LookupTrace announced = sockets.get(3).search(topic, 7_777).join();
    assertThat(announced.announced()).isPositive();
    var expected = new InetSocketAddress(InetAddress.ofLiteral(host), 7_777);
    Waiting.until(
        "the peer", () -> sockets.get(8).search(topic, 0).join().peers().contains(expected));
    assertThat(found.get(topic)).containsExactly(expected);
  }

  @Test
  void followers_findEachOtherByThemselves() {
    DhtSocket entry = open("127.0.0.1", List.of());
    DhtSocket a = open("127.0.0.1", List.of(entry.address()));
    DhtSocket b = open("127.0.0.1", List.of(entry.address()));
    DhtId topic = DhtId.random(new Random());
    a.follow(topic, 7_001);
    b.follow(topic, 7_002);
    Waiting.until("both", () -> found.getOrDefault(topic, Set.of()).size() == 2);
  }

  @Test
  void garbage_isCountedAndNotAnswered() throws IOException {
    DhtSocket socket = open("127.0.0.1", List.of());
    var random = new Random(4);
    try (var stranger = new DatagramSocket(0, InetAddress.getLoopbackAddress())) {
      for (int i = 0; i < 200; i++) {
        byte[] bytes = new byte[random.nextInt(3_000)];
        random.nextBytes(bytes);
        stranger.send(new DatagramPacket(bytes, bytes.length, socket.address()));
        int sent = i + 1;
        Waiting.until(
            "garbage counted",
            () -> status(socket).counters().getOrDefault(DhtCounter.MALFORMED, 0L) >= sent);
      }
    }
    assertThat(status(socket).counters().get(DhtCounter.DATAGRAMS_SENT)).isZero();
  }

  @Test
  void restart_withSnapshot_needsNoEntryPoint() {
    DhtSocket entry = open("127.0.0.1", List.of());
    DhtSocket a = open("127.0.0.1", List.of(entry.address()));
    Waiting.until("known to each other", () -> known(a) == 1 && known(entry) == 1);
    DhtSnapshot saved = a.snapshot().join();
    a.close();
    DhtSocket again =
        DhtSocket.open(a.address(), List.of(), false, new Random(), saved, (topic, peer) -> {});
    sockets.add(again);
    Waiting.until("known again", () -> known(again) == 1);
    assertThat(status(again).tables().getFirst().self())
        .isEqualTo(saved.ids().get(AddressFamily.IPV4));
  }

  @Test
  void portInUse_isSaid() {
    DhtSocket socket = open("127.0.0.1", List.of());
    assertThatThrownBy(
            () ->
                DhtSocket.open(
                    socket.address(), List.of(), false, new Random(), null, (topic, peer) -> {}))
        .isInstanceOf(ListenFailedException.class);
  }

  @Test
  void closedNode_failsWhatIsAsked() {
    DhtSocket socket = open("127.0.0.1", List.of());
    socket.close();
    assertThat(socket.status()).isCompletedExceptionally();
    assertThat(socket.search(DhtId.random(new Random()), 0)).isCompletedExceptionally();
  }
}
