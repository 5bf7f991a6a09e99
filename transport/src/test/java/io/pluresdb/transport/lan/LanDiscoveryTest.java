package io.pluresdb.transport.lan;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.transport.Environment;
import io.pluresdb.transport.Vectors;
import io.pluresdb.transport.Waiting;
import io.pluresdb.transport.identity.DeviceIdentity;
import io.pluresdb.transport.path.Timers;
import io.pluresdb.transport.topic.Hint;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.MulticastSocket;
import java.net.NetworkInterface;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Discovery between two real endpoints on the loopback interface. */
class LanDiscoveryTest {
  private static final Hint SHARED = new Hint(new byte[16]);
  private static final Hint FOREIGN = Hint.parse("ff".repeat(16));
  private static final Duration LONG = Duration.ofHours(1);

  private final ScheduledExecutorService scheduler = Executors.newSingleThreadScheduledExecutor();

  @AfterEach
  void stop() {
    scheduler.shutdownNow();
  }

  @Test
  void beacon_ofAPeerWithOurDatabase_makesBothKnowEachOther() throws IOException {
    int port = freePort();
    // The interval is an hour: the second's first beacon and the first's reply must suffice.
    try (Endpoint first = new Endpoint(port, 1001, LONG, Set.of(SHARED), false)) {
      first.discovery.start();
      try (Endpoint second = new Endpoint(port, 1002, LONG, Set.of(SHARED), false)) {
        second.discovery.start();
        Waiting.until("first knows second", () -> !first.contacts.isEmpty());
        Waiting.until("second knows first", () -> !second.contacts.isEmpty());
        assertThat(first.contacts.element().address().getPort()).isEqualTo(1002);
        assertThat(first.contacts.element().hint()).isEqualTo(SHARED);
        assertThat(second.contacts.element().address().getPort()).isEqualTo(1001);
        assertThat(first.contacts).as("own beacons are ignored").hasSize(1);
      }
    }
  }

  @Test
  void beacon_ofForeignDatabases_isNoContactAndGetsNoReply() throws IOException {
    int port = freePort();
    try (Endpoint first = new Endpoint(port, 1001, LONG, Set.of(SHARED), false);
        Endpoint second =
            new Endpoint(port, 1002, Duration.ofMillis(100), Set.of(FOREIGN), false)) {
      first.discovery.start();
      second.discovery.start();
      Waiting.until("beacons", () -> first.count("received") >= 3);
      assertThat(first.contacts).isEmpty();
      assertThat(first.count("replies")).isZero();
    }
  }

  @Test
  void garbage_onTheBeaconPort_isCountedAndIgnored() throws IOException {
    int port = freePort();
    try (Endpoint endpoint = new Endpoint(port, 1001, LONG, Set.of(SHARED), false);
        DatagramSocket socket = new DatagramSocket()) {
      endpoint.discovery.start();
      for (int size : new int[] {0, 1, 17, 529, 530, 1400}) {
        byte[] bytes = new byte[size];
        socket.send(
            new DatagramPacket(
                bytes, size, new InetSocketAddress(InetAddress.getLoopbackAddress(), port)));
      }
      Waiting.until("all counted", () -> endpoint.count("garbage") == 6);
      assertThat(endpoint.contacts).isEmpty();
    }
  }

  @Test
  void dnsSd_twoDevices_findEachOther() throws IOException {
    if (!multicastDnsWorks()) {
      Vectors.skip("DNS-SD: no multicast on port 5353 here");
    }
    int port = freePort();
    try (Endpoint first = new Endpoint(port, 1001, LONG, Set.of(SHARED), true);
        Endpoint second = new Endpoint(port, 1002, LONG, Set.of(SHARED), true)) {
      first.discovery.start();
      second.discovery.start();
      Waiting.until(
          "first knows second", () -> first.contacts.stream().anyMatch(c -> port(c) == 1002));
      Waiting.until(
          "second knows first", () -> second.contacts.stream().anyMatch(c -> port(c) == 1001));
    }
  }

  @Test
  void contactFilter_floodedWithAddresses_staysBounded() {
    Instant[] now = {Instant.EPOCH};
    Queue<Contact> heard = new ConcurrentLinkedQueue<>();
    ContactFilter filter = new ContactFilter(() -> now[0], () -> Set.of(SHARED), heard::add);
    for (int i = 0; i < 3 * ContactFilter.MAX_REMEMBERED; i++) {
      filter.offer(new InetSocketAddress(InetAddress.getLoopbackAddress(), 1 + i), List.of(SHARED));
    }
    assertThat(filter.size()).isEqualTo(ContactFilter.MAX_REMEMBERED);
    heard.clear();
    InetSocketAddress address = new InetSocketAddress(InetAddress.getLoopbackAddress(), 9);
    filter.offer(address, List.of(SHARED, SHARED, FOREIGN));
    filter.offer(address, List.of(SHARED));
    assertThat(heard).hasSize(1);
    now[0] = Instant.EPOCH.plusSeconds(30);
    filter.offer(address, List.of(SHARED));
    assertThat(heard).hasSize(2);
  }

  private static int port(Contact contact) {
    return contact.address().getPort();
  }

  private static int freePort() throws IOException {
    try (DatagramSocket socket = new DatagramSocket()) {
      return socket.getLocalPort();
    }
  }

  private static boolean multicastDnsWorks() {
    try (MulticastSocket socket = new MulticastSocket(5353)) {
      socket.joinGroup(
          new InetSocketAddress(InetAddress.ofLiteral("224.0.0.251"), 5353), network());
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  private static NetworkInterface loopback() throws IOException {
    NetworkInterface found = NetworkInterface.getByInetAddress(InetAddress.getLoopbackAddress());
    if (found == null) {
      throw new IOException("there is no loopback interface");
    }
    return found;
  }

  // JmDNS answers on a real interface; on loopback it probes and announces but resolves nothing.
  private static NetworkInterface network() throws IOException {
    return NetworkInterface.networkInterfaces()
        .filter(LanDiscoveryTest::isNetwork)
        .findFirst()
        .orElseThrow(() -> new IOException("there is no network interface"));
  }

  private static boolean isNetwork(NetworkInterface candidate) {
    try {
      return candidate.isUp()
          && candidate.supportsMulticast()
          && !candidate.isLoopback()
          && candidate.inetAddresses().anyMatch(Inet4Address.class::isInstance);
    } catch (IOException e) {
      return false;
    }
  }

  private final class Endpoint implements AutoCloseable {
    private final Queue<Contact> contacts = new ConcurrentLinkedQueue<>();
    private final LanDiscovery discovery;

    Endpoint(int port, int sessionPort, Duration interval, Set<Hint> hints, boolean dnsSd)
        throws IOException {
      Timers timers =
          (delay, task) -> {
            ScheduledFuture<?> scheduled =
                scheduler.schedule(task, delay.toMillis(), TimeUnit.MILLISECONDS);
            return () -> scheduled.cancel(false);
          };
      Random random = new Random(sessionPort);
      discovery =
          new LanDiscovery(
              new LanSettings(
                  dnsSd ? List.of() : List.of(InetAddress.ofLiteral("239.255.80.76")),
                  port,
                  List.of(dnsSd ? network() : loopback()),
                  interval,
                  dnsSd),
              new Environment(InstantSource.fixed(Instant.EPOCH), random),
              timers,
              DeviceIdentity.create(random).id(),
              sessionPort,
              () -> hints,
              contacts::add);
    }

    long count(String counter) {
      return discovery.counters().getOrDefault(counter, -1L);
    }

    @Override
    public void close() {
      discovery.close();
    }
  }
}
