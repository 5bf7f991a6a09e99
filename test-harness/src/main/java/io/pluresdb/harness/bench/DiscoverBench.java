package io.pluresdb.harness.bench;

import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.daemon.node.NodeOptions;
import io.pluresdb.harness.cluster.DaemonProcess;
import io.pluresdb.transport.lan.LanSettings;
import io.pluresdb.transport.net.DhtSocket;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * How long two devices take to find each other that share a sync key, while no address of the
 * invite leads anywhere: by one node of a DHT, or on the local network. All real, on the loopback
 * address, in one process.
 */
final class DiscoverBench {
  private static final String DB = Node.DEFAULT_DATABASE;
  private static final Duration DEADLINE = Duration.ofSeconds(60);
  private static final int FEW_NODES = 8;
  private static final long POLL_NANOS = 500_000;
  private static final double TARGET_MILLIS = 1_000;
  private static final double LAN_TARGET_MILLIS = 2_000;

  private DiscoverBench() {}

  /** What the devices have in common besides the key. */
  private record Ground(@Nullable LanSettings lan, NodeOptions.@Nullable Dht dht) {}

  /** Nanoseconds of each round. */
  private record Times(long[] admitted, long[] synced, long[] restarted) {
    Times(int rounds) {
      this(new long[rounds], new long[rounds], new long[rounds]);
    }
  }

  static Report run(Path directory, int dhtNodes, int rounds) {
    if (dhtNodes < 1 || dhtNodes > 2_000 || rounds < 1 || rounds > 1_000) {
      throw new IllegalArgumentException(
          "--nodes must be 1 to 2000 and --rounds 1 to 1000, but are "
              + dhtNodes
              + " and "
              + rounds);
    }
    var report = new Report("discover").add("dhtNodes", dhtNodes).add("rounds", rounds);
    var dht = new ArrayList<DhtSocket>();
    try {
      for (int i = 0; i < dhtNodes; i++) {
        dht.add(
            DhtSocket.open(
                loopback(0),
                i == 0 ? List.of() : List.of(dht.getFirst().address()),
                false,
                new SecureRandom(),
                null,
                (topic, peer) -> {}));
      }
      int few = Math.min(FEW_NODES, dhtNodes - 1);
      dht.forEach(node -> await("the DHT", () -> known(node) >= few));
      var entry = new NodeOptions.Dht(List.of(dht.getFirst().address()), true, false);
      measure(report, "dht", directory, new Ground(null, entry), rounds, TARGET_MILLIS);
    } finally {
      dht.forEach(DhtSocket::close);
    }
    measure(report, "lan", directory, new Ground(lan(), null), rounds, LAN_TARGET_MILLIS);
    return report;
  }

  private static void measure(
      Report report, String name, Path directory, Ground ground, int rounds, double target) {
    var times = new Times(rounds);
    for (int round = 0; round < rounds; round++) {
      round(directory.resolve(name + round), ground, times, round);
    }
    report
        .add(name + "JoinToAdmittedP50Millis", Report.percentile(times.admitted, 0.5))
        .add(name + "JoinToSyncedP50Millis", Report.percentile(times.synced, 0.5), "<=", target)
        .add(name + "JoinToSyncedP99Millis", Report.percentile(times.synced, 0.99))
        .add(
            name + "RestartToSyncedP50Millis",
            Report.percentile(times.restarted, 0.5),
            "<=",
            TARGET_MILLIS)
        .add(name + "RestartToSyncedP99Millis", Report.percentile(times.restarted, 0.99));
  }

  private static void round(Path directory, Ground ground, Times times, int round) {
    String url;
    try (DeviceNode before = open(directory, "a", ground, DaemonProcess.freePort())) {
      url = before.invite(DB, Role.WRITE, Duration.ofMinutes(10)).url();
      put(before, "first");
    }
    int port = DaemonProcess.freePort();
    try (DeviceNode b = open(directory, "b", ground, DaemonProcess.freePort())) {
      try (DeviceNode a = open(directory, "a", ground, port)) {
        if (ground.dht != null) {
          await("an announcement", () -> hasAnnounced(a) && hasAnnounced(b));
        }
        long begun = System.nanoTime();
        CrdtStore.await(b.join(DB, url));
        times.admitted[round] = System.nanoTime() - begun;
        await("the first document", () -> has(b, "first"));
        times.synced[round] = System.nanoTime() - begun;
        put(b, "second");
        await("the second document", () -> has(a, "second"));
      }
      try (DeviceNode again = open(directory, "a", ground, port)) {
        long ready = System.nanoTime();
        put(again, "third");
        await("the third document", () -> has(b, "third"));
        times.restarted[round] = System.nanoTime() - ready;
      }
    }
  }

  private static InetSocketAddress loopback(int port) {
    return new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
  }

  /** The beacon as usual, on the loopback interface. */
  private static LanSettings lan() {
    LanSettings usual = LanSettings.defaults();
    try {
      NetworkInterface loopback = NetworkInterface.getByInetAddress(loopback(0).getAddress());
      return new LanSettings(
          usual.groups().stream().filter(Inet4Address.class::isInstance).toList(),
          DaemonProcess.freePort(),
          List.of(loopback),
          usual.interval(),
          false);
    } catch (SocketException e) {
      throw new IllegalStateException("there is no loopback interface", e);
    }
  }

  private static DeviceNode open(Path directory, String name, Ground ground, int port) {
    return DeviceNode.open(
        directory.resolve(name),
        new NodeOptions(
            name, new NodeOptions.Network(loopback(port), ground.lan, List.of(), ground.dht)));
  }

  private static boolean hasAnnounced(DeviceNode node) {
    return node.dht().join().status().followed().stream().allMatch(t -> t.announcedAt() > 0);
  }

  private static int known(DhtSocket node) {
    return node.status().join().tables().getFirst().rows().size();
  }

  private static void put(DeviceNode node, String id) {
    node.store(DB).put(id, "{}".getBytes(StandardCharsets.UTF_8));
  }

  private static boolean has(DeviceNode node, String id) {
    return node.store(DB).get(id).isPresent();
  }

  private static void await(String what, BooleanSupplier condition) {
    long end = System.nanoTime() + DEADLINE.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > end) {
        throw new IllegalStateException("not within " + DEADLINE + ": " + what);
      }
      LockSupport.parkNanos(POLL_NANOS);
    }
  }
}
