package io.pluresdb.daemon.node;

import io.netty.util.concurrent.Ticker;
import io.pluresdb.transport.dht.AddressScope;
import io.pluresdb.transport.dht.DhtStatus;
import io.pluresdb.transport.net.ListenFailedException;
import io.pluresdb.transport.net.PortObserver;
import io.pluresdb.transport.net.UdpSocket;
import io.pluresdb.transport.path.MappedAddresses;
import io.pluresdb.transport.path.NatKind;
import io.pluresdb.transport.path.NetworkWatch;
import io.pluresdb.transport.path.Reachability;
import io.pluresdb.transport.path.Timers;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A node's UDP port, where it may be reached, and whether that has changed. */
final class Whereabouts implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Whereabouts.class);

  private final UdpSocket udp;
  private final Executor background;
  private volatile MappedAddresses mapped = MappedAddresses.NONE;
  private volatile @Nullable DhtDiscovery dht;
  private volatile @Nullable RelayLinks relays;
  private final PortObserver observer;
  private volatile List<InetSocketAddress> observed = List.of();
  private volatile boolean closed;

  /** The interfaces are this host's, not a node's. */
  private static volatile Set<InetAddress> lastInterfaces = Set.of();

  private Whereabouts(UdpSocket udp, RandomGenerator random, Executor background) {
    this.udp = udp;
    this.observer = new PortObserver(udp, random);
    this.background = background;
  }

  /** Binds the UDP port of the same number as the TCP port, or another one when that is taken. */
  static Whereabouts bind(
      InetSocketAddress listening, RandomGenerator random, Executor background) {
    UdpSocket udp;
    try {
      udp = UdpSocket.bind(listening);
    } catch (ListenFailedException e) {
      udp = UdpSocket.bind(new InetSocketAddress(listening.getAddress(), 0));
      log.warn(
          "UDP port of peers is taken, another is used wanted={} port={}",
          listening.getPort(),
          udp.address().getPort());
    }
    return new Whereabouts(udp, random, background);
  }

  UdpSocket udp() {
    return udp;
  }

  /** Names who else knows where this device is. */
  void ask(@Nullable DhtDiscovery nodes, RelayLinks links) {
    dht = nodes;
    relays = links;
  }

  /** Names who asks NATs for mappings. */
  void ask(MappedAddresses mappings) {
    mapped = mappings;
  }

  /** Asks relays where they see the port, and puts together what everybody says now. */
  CompletableFuture<Reachability> look() {
    RelayLinks links = relays;
    return observer
        .ask(links == null ? List.of() : links.echoes())
        .thenCompose(
            seen -> {
              observed = seen;
              return known();
            });
  }

  /** As {@link #look}, with what relays said when they were last asked. */
  CompletableFuture<Reachability> known() {
    DhtDiscovery nodes = dht;
    RelayLinks links = relays;
    CompletableFuture<@Nullable DhtStatus> said =
        nodes == null
            ? CompletableFuture.completedFuture(null)
            : nodes.status().handle((status, failure) -> status);
    return said.thenApplyAsync(
        status ->
            judge(
                status,
                udp.address(),
                interfaces(),
                mapped.udp(),
                observed,
                links == null ? List.of() : links.seen()),
        background);
  }

  /**
   * Judges where a port may be reached.
   *
   * @param status what the DHT's nodes say, or null
   * @param bound the port
   * @param own addresses of the network interfaces
   * @param mapped addresses that NATs were asked for
   * @param observed where relays see the port, one each
   * @param byRelays where relays see this device
   */
  static Reachability judge(
      @Nullable DhtStatus status,
      InetSocketAddress bound,
      Set<InetAddress> own,
      List<InetSocketAddress> mapped,
      List<InetSocketAddress> observed,
      List<InetAddress> byRelays) {
    Set<InetAddress> here =
        bound.getAddress().isAnyLocalAddress() ? own : Set.of(bound.getAddress());
    NatKind nat = NatKind.UNKNOWN;
    InetSocketAddress seen = null;
    var addresses = new LinkedHashSet<>(mapped);
    if (status != null) {
      for (DhtStatus.Table table : status.tables()) {
        NatKind kind = NatKind.of(table.external(), table.externalPort(), here);
        if (kind != NatKind.UNKNOWN && nat == NatKind.UNKNOWN) {
          nat = kind;
        }
        InetAddress external = table.external();
        if (external != null && table.externalPort() != 0) {
          var at = new InetSocketAddress(external, table.externalPort());
          seen = seen == null ? at : seen;
          addresses.add(at);
        }
      }
    }
    List<InetSocketAddress> seenByRelays =
        observed.stream().filter(at -> isElsewhere(at.getAddress())).toList();
    if (nat == NatKind.UNKNOWN) {
      nat = nat(seenByRelays, here);
    }
    if (nat != NatKind.SYMMETRIC) {
      addresses.addAll(seenByRelays);
      seen = seen == null && !seenByRelays.isEmpty() ? seenByRelays.getFirst() : seen;
      for (InetAddress ip : byRelays) {
        // A NAT often keeps the port; not to be guessed where it was seen.
        boolean known = addresses.stream().anyMatch(at -> at.getAddress().equals(ip));
        if (isElsewhere(ip) && !known) {
          addresses.add(new InetSocketAddress(ip, bound.getPort()));
        }
      }
    }
    for (InetAddress ip : here) {
      addresses.add(new InetSocketAddress(ip, bound.getPort()));
    }
    return new Reachability(nat, seen, List.copyOf(addresses));
  }

  /**
   * Judges by what relays say. One alone cannot tell whether others would see another port. Those
   * on the own side of a NAT do not count where others speak.
   */
  private static NatKind nat(List<InetSocketAddress> seen, Set<InetAddress> own) {
    List<InetSocketAddress> global =
        seen.stream()
            .filter(at -> AddressScope.of(at.getAddress()) == AddressScope.GLOBAL)
            .toList();
    List<InetSocketAddress> voices = global.isEmpty() ? seen : global;
    if (voices.isEmpty()) {
      return NatKind.UNKNOWN;
    }
    InetAddress ip = voices.getFirst().getAddress();
    if (own.contains(ip)) {
      return NatKind.OPEN;
    }
    List<Integer> ports =
        voices.stream()
            .filter(at -> at.getAddress().equals(ip))
            .map(InetSocketAddress::getPort)
            .toList();
    if (ports.stream().distinct().count() > 1) {
      return NatKind.SYMMETRIC;
    }
    return ports.size() > 1 ? NatKind.CONE : NatKind.UNKNOWN;
  }

  /** Whether other devices may be led there. */
  private static boolean isElsewhere(InetAddress ip) {
    return switch (AddressScope.of(ip)) {
      case PRIVATE, GLOBAL -> true;
      case LOOPBACK, NONE -> false;
    };
  }

  /** Addresses of the network interfaces that are up, without loopback and link-local ones. */
  static Set<InetAddress> interfaces() {
    var found = new LinkedHashSet<InetAddress>();
    try {
      for (NetworkInterface card : Collections.list(NetworkInterface.getNetworkInterfaces())) {
        if (card.isUp() && !card.isLoopback()) {
          for (InetAddress address : Collections.list(card.getInetAddresses())) {
            if (!address.isLinkLocalAddress()) {
              found.add(address);
            }
          }
        }
      }
    } catch (SocketException e) {
      // Where no file can be opened, too; the network is what it was then.
      log.warn("network interfaces cannot be listed cause={}", e.toString());
      return lastInterfaces;
    }
    lastInterfaces = Set.copyOf(found);
    return found;
  }

  /** Runs {@code changed} whenever the network has changed or the device slept. */
  void watch(Timers timers, InstantSource wallClock, Runnable changed) {
    var watch = new NetworkWatch(interfaces(), monotonicMillis(), wallClock.millis());
    lookLater(watch, timers, wallClock, changed);
  }

  private void lookLater(
      NetworkWatch watch, Timers timers, InstantSource wallClock, Runnable changed) {
    timers.schedule(
        NetworkWatch.LOOK,
        () -> {
          if (closed) {
            return;
          }
          background.execute(
              () -> {
                NetworkWatch.Change change =
                    watch.look(interfaces(), monotonicMillis(), wallClock.millis());
                if (change != NetworkWatch.Change.NONE && !closed) {
                  log.info("network changed how={}", change);
                  changed.run();
                }
                lookLater(watch, timers, wallClock, changed);
              });
        });
  }

  private static long monotonicMillis() {
    return TimeUnit.NANOSECONDS.toMillis(Ticker.systemTicker().nanoTime());
  }

  @Override
  public void close() {
    closed = true;
    udp.close();
  }

  /** In the order in which they are told. */
  static List<String> texts(Reachability reachability) {
    var texts = new ArrayList<String>();
    reachability.addresses().forEach(address -> texts.add(Addresses.format(address)));
    return texts;
  }
}
