package io.pluresdb.transport.net;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.UnixOperatingSystemMXBean;
import io.pluresdb.transport.Waiting;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.session.SessionLimits;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Strangers who mean harm, while honest peers go on: at many loopback addresses at once. */
class StrangersTest {
  private static final int IDLE = 10_000;
  private static final int FLOOD = 4_000;

  /** An attack goes on until a newcomer came in while it lasted, so many times as long at most. */
  private static final int MAX_LONGER = 10;

  private static final int HALF_OPEN = SessionLimits.defaults().halfOpen();
  private static final Duration PATIENCE = Duration.ofSeconds(5);
  private static final long MEGA = 1 << 20;

  private final Node server = new Node();
  private final Node friend = new Node();
  private final Deque<SocketChannel> strangers = new ArrayDeque<>();
  private InetSocketAddress address;
  private Session session;

  @BeforeEach
  void connect() {
    address = server.listen();
    session = friend.dial(address);
    server.keepMessages = false;
  }

  @AfterEach
  void close() throws IOException {
    for (SocketChannel stranger : strangers) {
      stranger.close();
    }
    friend.close();
    server.close();
  }

  /** The {@code number}th of the loopback addresses, 127.1.0.1 and on. */
  private static InetAddress loopback(int number) {
    return InetAddress.ofLiteral(
        "127." + (1 + number / 62_500) + "." + number / 250 % 250 + "." + (1 + number % 250));
  }

  private SocketChannel stranger(int number) throws IOException {
    SocketChannel channel = SocketChannel.open();
    try {
      channel.setOption(StandardSocketOptions.SO_REUSEADDR, true);
      channel.bind(new InetSocketAddress(loopback(number), 0));
    } catch (IOException e) {
      channel.close();
      Assumptions.abort("this system has one loopback address only: " + e.getMessage());
    }
    channel.connect(address);
    return channel;
  }

  /** Messages of the session that is up, until {@code enough}; each must arrive in good time. */
  private Thread talking(AtomicBoolean enough, AtomicLong worstMillis) {
    return Thread.ofPlatform()
        .start(
            () -> {
              while (!enough.get()) {
                int before = server.messageCount.get();
                long start = System.nanoTime();
                session.send(new byte[200]);
                session.flush();
                Waiting.until("a message", () -> server.messageCount.get() > before);
                worstMillis.accumulateAndGet((System.nanoTime() - start) / 1_000_000, Math::max);
              }
            });
  }

  private interface Attack {
    void by(int number) throws IOException;
  }

  /** Attacks {@code times} while a session talks and newcomers come; both must succeed. */
  private void attack(int times, Attack attack) throws Exception {
    var enough = new AtomicBoolean();
    var worstMillis = new AtomicLong();
    Thread talking = talking(enough, worstMillis);
    var newcomers = new AtomicInteger();
    Thread coming =
        Thread.ofPlatform()
            .start(
                () -> {
                  // As a dialler does: again, where it did not succeed.
                  try (Node newcomer = new Node()) {
                    while (!enough.get()) {
                      boolean failed =
                          newcomer
                              .transport
                              .dial(address, Node.DATABASE)
                              .handle((up, failure) -> failure != null)
                              .toCompletableFuture()
                              .join();
                      newcomers.addAndGet(failed ? 0 : 1);
                    }
                  }
                });
    int mostHalfOpen = 0;
    try {
      for (int i = 0; i < times || (newcomers.get() == 0 && i < MAX_LONGER * times); i++) {
        attack.by(i);
        mostHalfOpen = Math.max(mostHalfOpen, server.transport.halfOpenHandshakes());
      }
    } finally {
      enough.set(true);
      talking.join();
      coming.join();
    }
    assertThat(mostHalfOpen).isPositive().isLessThanOrEqualTo(HALF_OPEN);
    assertThat(newcomers.get()).isPositive();
    assertThat(worstMillis.get()).isPositive().isLessThan(PATIENCE.toMillis());
    assertThat(session.closure().toCompletableFuture()).isNotDone();
  }

  private void keep(SocketChannel stranger, int most) throws IOException {
    strangers.addLast(stranger);
    if (strangers.size() > most) {
      strangers.removeFirst().close();
    }
  }

  @Test
  void tenThousandIdleConnections_areHeldToTheLimit_inBoundedMemory() throws Exception {
    long files =
        ((UnixOperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
            .getMaxFileDescriptorCount();
    Assumptions.assumeTrue(
        files > IDLE + 2_000, "10,000 connections need 12,000 open files, allowed are " + files);
    long before = usedBytes();
    attack(IDLE, i -> keep(stranger(i), IDLE));
    assertThat(server.count("accepted")).isGreaterThanOrEqualTo(IDLE);
    Waiting.until(
        "all but the limit refused",
        () ->
            server.count("closed.refused") + server.count("closed.handshake_timeout")
                >= IDLE - HALF_OPEN);
    assertThat(usedBytes() - before).isLessThan(64 * MEGA);
    Waiting.until("the rest timed out", () -> server.transport.halfOpenHandshakes() == 0);
  }

  private static long usedBytes() {
    System.gc();
    return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
  }

  @Test
  void idleConnectionsOfOneAddress_areHeldToItsShare() throws Exception {
    int share = SessionLimits.defaults().halfOpenPerAddress();
    InetAddress busy = loopback(7);
    for (int i = 0; i < 3 * share; i++) {
      keep(stranger(7), IDLE);
    }
    Waiting.until("the others refused", () -> server.count("closed.refused") == 2L * share);
    assertThat(server.transport.halfOpenHandshakes()).isEqualTo(share);
    assertThat(busy.isLoopbackAddress()).isTrue();
    try (Node newcomer = new Node()) {
      assertThat(newcomer.dial(address).peer()).isEqualTo(server.identity.id());
    }
  }

  @Test
  void connectionsThatSayGarbage_areClosedUnanswered() throws Exception {
    var random = new Random(11);
    attack(
        FLOOD,
        i -> {
          SocketChannel stranger = stranger(i % 500);
          byte[] garbage = new byte[1 + random.nextInt(2_000)];
          random.nextBytes(garbage);
          try {
            stranger.write(ByteBuffer.wrap(garbage));
          } catch (IOException e) {
            // Closed already, which is as good.
          }
          keep(stranger, 300);
        });
    Waiting.until("no half-open left", () -> server.transport.halfOpenHandshakes() == 0);
    assertThat(server.count("closed.handshake_failed")).isPositive();
  }

  /** Whoever saw an honest peer's first message may send it again: it costs a real answer each. */
  @Test
  void firstMessagesSentAgain_costALimitedShareOfTheHandshakes() throws Exception {
    byte[] first = firstMessage();
    attack(
        FLOOD,
        i -> {
          SocketChannel stranger = stranger(i % 1_000);
          try {
            stranger.write(ByteBuffer.wrap(first));
          } catch (IOException e) {
            // Closed already, which is as good.
          }
          keep(stranger, IDLE);
        });
    assertThat(server.count("closed.refused")).isPositive();
    Waiting.until("no half-open left", () -> server.transport.halfOpenHandshakes() == 0);
  }

  /** What a peer with the sync key says first. */
  private byte[] firstMessage() throws IOException {
    try (var listening = new ServerSocket();
        Node dialler = new Node()) {
      listening.bind(Node.anyPort());
      var dialled =
          dialler.transport.dial(
              (InetSocketAddress) listening.getLocalSocketAddress(), Node.DATABASE);
      try (Socket taken = listening.accept()) {
        byte[] first = taken.getInputStream().readNBytes(22 + 2 + 48);
        assertThat(dialled.toCompletableFuture()).isNotDone();
        return first;
      }
    }
  }

  @Test
  void pushedOut_areTheOldestOfTheBusiestAddress_butRecognisedOnesLast() {
    var pushed = new ArrayList<String>();
    var halfOpen = new HalfOpen(4, 3);
    InetAddress busy = loopback(0);
    InetAddress calm = loopback(1);
    HalfOpen.Place recognised = entered(halfOpen, calm, () -> pushed.add("calm"));
    recognised.recognise();
    for (int i = 0; i < 3; i++) {
      int number = i;
      entered(halfOpen, busy, () -> pushed.add("busy " + number));
    }
    assertThat(halfOpen.tryEnter(busy, () -> pushed.add("too many"))).isNull();
    assertThat(pushed).isEmpty();
    for (int i = 2; i < 5; i++) {
      int number = i;
      entered(halfOpen, loopback(i), () -> pushed.add("one " + number));
    }
    HalfOpen.Place last = entered(halfOpen, loopback(5), () -> pushed.add("last"));
    assertThat(pushed).containsExactly("busy 0", "busy 1", "busy 2", "one 2");
    assertThat(halfOpen.total()).isEqualTo(4);
    recognised.leave();
    recognised.leave();
    assertThat(halfOpen.total()).isEqualTo(3);
    last.leave();
    assertThat(halfOpen.total()).isEqualTo(2);
  }

  private static HalfOpen.Place entered(HalfOpen to, InetAddress address, Runnable pushedOut) {
    HalfOpen.Place place = to.tryEnter(address, pushedOut);
    if (place == null) {
      throw new AssertionError("no place for " + address);
    }
    return place;
  }

  /** Oversized, forged and senseless datagrams, and answers nobody asked for. */
  @Test
  void datagramsOfStrangers_doNotKeepTheDhtFromFinding() throws Exception {
    var found = new AtomicInteger();
    try (DhtSocket entry = dht(List.of(), found);
        DhtSocket announcer = dht(List.of(entry.address()), found);
        DhtSocket seeker = dht(List.of(entry.address()), found)) {
      var topic = io.pluresdb.transport.dht.DhtId.random(new Random(3));
      announcer.follow(topic, 7_001);
      var enough = new AtomicBoolean();
      Thread flood =
          Thread.ofPlatform()
              .start(() -> flood(List.of(entry, announcer, seeker), new Random(5), enough));
      try {
        for (int i = 0; i < 20; i++) {
          Waiting.until("the peer", () -> !seeker.search(topic, 0).join().peers().isEmpty());
        }
      } finally {
        enough.set(true);
        flood.join();
      }
      var counters = entry.status().join().counters();
      assertThat(counters.get(io.pluresdb.transport.dht.DhtCounter.MALFORMED)).isPositive();
      assertThat(counters.get(io.pluresdb.transport.dht.DhtCounter.UNMATCHED)).isPositive();
    }
  }

  private static DhtSocket dht(List<InetSocketAddress> entryPoints, AtomicInteger found) {
    return DhtSocket.open(
        Node.anyPort(),
        entryPoints,
        false,
        new Random(),
        null,
        (topic, peer) -> found.incrementAndGet());
  }

  private static void flood(List<DhtSocket> targets, Random random, AtomicBoolean enough) {
    byte[] forged =
        "d1:rd2:id20:aaaaaaaaaaaaaaaaaaaa5:nodes0:e1:t4:abcd1:y1:re"
            .getBytes(java.nio.charset.StandardCharsets.ISO_8859_1);
    try (var stranger = new DatagramSocket(0, InetAddress.getLoopbackAddress())) {
      while (!enough.get()) {
        byte[] bytes = forged.clone();
        int kind = random.nextInt(3);
        if (kind == 0) {
          bytes = new byte[random.nextInt(60_000)];
          random.nextBytes(bytes);
        } else if (kind == 1) {
          bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
        }
        DhtSocket target = targets.get(random.nextInt(targets.size()));
        stranger.send(new DatagramPacket(bytes, bytes.length, target.address()));
      }
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }
}
