package io.pluresdb.transport.dht;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Random;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** Nodes that send each other datagrams, 10 ms each, in virtual time. */
final class Wire {
  private static final long LATENCY_MILLIS = 10;

  private record Flight(
      long at, long order, InetSocketAddress from, InetSocketAddress to, byte[] bytes) {}

  final Random random;
  final Map<InetSocketAddress, DhtNode> nodes = new LinkedHashMap<>();
  final Map<DhtNode, Set<InetSocketAddress>> found = new LinkedHashMap<>();
  final Map<DhtNode, List<LookupTrace>> finished = new LinkedHashMap<>();

  /** Nodes at these addresses say of every topic that nobody is there. */
  final Set<InetSocketAddress> hostile = new HashSet<>();

  Predicate<InetSocketAddress> cut = address -> false;
  private final PriorityQueue<Flight> flights =
      new PriorityQueue<>(Comparator.comparingLong(Flight::at).thenComparingLong(Flight::order));
  private long order;
  long now;

  Wire(long seed) {
    random = new Random(seed);
  }

  static InetSocketAddress at(String ip, int port) {
    return new InetSocketAddress(InetAddress.ofLiteral(ip), port);
  }

  /** The address of the n-th stranger, each in a network of its own. */
  static InetSocketAddress stranger(int n) {
    return at("45." + (n / 200 + 1) + "." + (n % 200 + 1) + ".7", 6881);
  }

  DhtNode add(InetSocketAddress address, DhtSettings settings, @Nullable DhtSnapshot saved) {
    var node = new DhtNode(settings, random, saved, now);
    nodes.put(address, node);
    return node;
  }

  /** A network of {@code count} strangers that entered at the first and settled. */
  List<DhtNode> network(int count) {
    var all = new ArrayList<DhtNode>();
    for (int i = 0; i < count; i++) {
      DhtNode node = add(stranger(i), DhtSettings.ipv4(), null);
      if (i > 0) {
        act(node, node.enterAt(List.of(stranger(0)), now));
      }
      all.add(node);
      run(100);
    }
    run(20_000);
    return all;
  }

  void act(DhtNode node, List<DhtEffect> effects) {
    InetSocketAddress from = addressOf(node);
    for (DhtEffect effect : effects) {
      switch (effect) {
        case DhtEffect.Send(InetSocketAddress to, byte[] bytes) ->
            flights.add(
                new Flight(now + LATENCY_MILLIS, order++, from, to, twisted(from, to, bytes)));
        case DhtEffect.Found(DhtId topic, InetSocketAddress peer) ->
            found.computeIfAbsent(node, n -> new LinkedHashSet<>()).add(peer);
        case DhtEffect.Finished(LookupTrace trace) ->
            finished.computeIfAbsent(node, n -> new ArrayList<>()).add(trace);
      }
    }
  }

  /** Hostile nodes hide peers, and do not hear where they are: they keep their made-up ids. */
  private byte[] twisted(InetSocketAddress from, InetSocketAddress to, byte[] bytes) {
    boolean hides = hostile.contains(from);
    return (hides || hostile.contains(to))
            && KrpcMessage.decode(bytes, bytes.length)
                instanceof
                KrpcMessage.Reply(var tx, var id, var nodes, var peers, var token, var ip)
        ? new KrpcMessage.Reply(tx, id, nodes, hides ? List.of() : peers, token, hides ? ip : null)
            .encode()
        : bytes;
  }

  InetSocketAddress addressOf(DhtNode node) {
    return nodes.entrySet().stream()
        .filter(entry -> entry.getValue() == node)
        .findFirst()
        .orElseThrow()
        .getKey();
  }

  Set<InetSocketAddress> found(DhtNode node) {
    return found.getOrDefault(node, Set.of());
  }

  void run(long millis) {
    long end = now + millis;
    while (now < end) {
      long next = end;
      for (DhtNode node : nodes.values()) {
        next = Math.min(next, Math.max(now + 1, node.wakeAt()));
      }
      Flight flight;
      while ((flight = flights.peek()) != null && flight.at <= next) {
        flights.remove();
        now = flight.at;
        DhtNode to = nodes.get(flight.to);
        if (to != null && !cut.test(flight.to) && !cut.test(flight.from)) {
          act(to, to.receive(flight.from, flight.bytes, flight.bytes.length, now));
          next = Math.min(next, Math.max(now + 1, to.wakeAt()));
        }
      }
      now = next;
      for (DhtNode node : List.copyOf(nodes.values())) {
        if (node.wakeAt() <= now) {
          act(node, node.tick(now));
        }
      }
    }
  }
}
