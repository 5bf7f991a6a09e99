package io.pluresdb.transport.net;

import io.netty.util.concurrent.ScheduledFuture;
import io.netty.util.concurrent.Ticker;
import io.pluresdb.transport.dht.AddressFamily;
import io.pluresdb.transport.dht.DhtEffect;
import io.pluresdb.transport.dht.DhtId;
import io.pluresdb.transport.dht.DhtNode;
import io.pluresdb.transport.dht.DhtSettings;
import io.pluresdb.transport.dht.DhtSnapshot;
import io.pluresdb.transport.dht.DhtStatus;
import io.pluresdb.transport.dht.LookupTrace;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A {@link DhtNode} on a UDP socket and its thread. Thread-safe. */
public final class DhtSocket implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(DhtSocket.class);

  private static final int MAX_QUEUED_SEARCHES = DhtNode.MAX_SEARCHES;

  /** Entry points are looked up by name again after that while the network is not entered. */
  private static final long RESOLVE_SECONDS = 30;

  private static final int FEW_NODES = 8;

  /** Hears of peers, on the socket's thread; must not block. */
  public interface Listener {
    void found(DhtId topic, InetSocketAddress peer);
  }

  private final UdpSocket udp;
  private final boolean owned;
  private final Listener listener;
  private final DhtNode node;
  private final Map<DhtId, List<CompletableFuture<LookupTrace>>> searches = new HashMap<>();
  private @Nullable ScheduledFuture<?> timer;
  private long timerAt = Long.MAX_VALUE;
  private volatile boolean closed;

  private DhtSocket(
      UdpSocket udp,
      boolean owned,
      Set<AddressFamily> families,
      boolean readOnly,
      RandomGenerator random,
      @Nullable DhtSnapshot saved,
      Listener listener) {
    this.udp = udp;
    this.owned = owned;
    this.listener = listener;
    this.node =
        new DhtNode(
            new DhtSettings(families, readOnly, DhtSettings.DISJOINT_PATHS, DhtSettings.MAX_TRACES),
            random,
            saved,
            now());
  }

  /**
   * Binds a socket and enters the network.
   *
   * <p>An IPv4 address takes part in the DHT of IPv4, {@code ::} in both, any other IPv6 address in
   * that of IPv6.
   *
   * @param listen port 0 picks a free one
   * @param entryPoints where to enter besides what was saved; those that are not resolved are
   *     looked up by name, again and again until the network is entered
   * @param random cryptographically secure in production
   * @throws ListenFailedException when the address cannot be bound
   */
  public static DhtSocket open(
      InetSocketAddress listen,
      List<InetSocketAddress> entryPoints,
      boolean readOnly,
      RandomGenerator random,
      @Nullable DhtSnapshot saved,
      Listener listener) {
    return open(UdpSocket.bind(listen), true, entryPoints, readOnly, random, saved, listener);
  }

  /** As the other, on a socket that others use too, and who opened it closes. */
  public static DhtSocket open(
      UdpSocket udp,
      List<InetSocketAddress> entryPoints,
      boolean readOnly,
      RandomGenerator random,
      @Nullable DhtSnapshot saved,
      Listener listener) {
    return open(udp, false, entryPoints, readOnly, random, saved, listener);
  }

  private static DhtSocket open(
      UdpSocket udp,
      boolean owned,
      List<InetSocketAddress> entryPoints,
      boolean readOnly,
      RandomGenerator random,
      @Nullable DhtSnapshot saved,
      Listener listener) {
    InetAddress at = udp.address().getAddress();
    Set<AddressFamily> families =
        at instanceof Inet4Address
            ? EnumSet.of(AddressFamily.IPV4)
            : at.isAnyLocalAddress()
                ? EnumSet.allOf(AddressFamily.class)
                : EnumSet.of(AddressFamily.IPV6);
    var socket = new DhtSocket(udp, owned, families, readOnly, random, saved, listener);
    udp.onKrpc(
        (from, bytes, length) -> socket.carryOut(socket.node.receive(from, bytes, length, now())));
    log.info("DHT node listening address={} readOnly={}", udp.address(), readOnly);
    socket.resolve(List.copyOf(entryPoints));
    return socket;
  }

  /** Where this node is bound. */
  public InetSocketAddress address() {
    return udp.address();
  }

  /** As {@link DhtNode#follow}. */
  public void follow(DhtId topic, int port) {
    execute(() -> carryOut(node.follow(topic, port, now())));
  }

  /** As {@link DhtNode#unfollow}. */
  public void unfollow(DhtId topic) {
    execute(() -> node.unfollow(topic));
  }

  /** As {@link DhtNode#moved}. */
  public void moved() {
    execute(() -> carryOut(node.moved(now())));
  }

  /** As {@link DhtNode#hurry}. */
  public void hurry(DhtId topic) {
    execute(() -> carryOut(node.hurry(topic, now())));
  }

  /**
   * Looks once for the peers of a topic.
   *
   * @param port to announce, 0 for none
   * @return the lookup when it has ended, the first to end where both families are looked in; fails
   *     when this node is closed or has too many lookups queued
   */
  public CompletableFuture<LookupTrace> search(DhtId topic, int port) {
    var result = new CompletableFuture<LookupTrace>();
    Runnable begin =
        () -> {
          if (searches.values().stream().mapToInt(List::size).sum() >= MAX_QUEUED_SEARCHES) {
            result.completeExceptionally(new IllegalStateException("too many lookups at a time"));
            return;
          }
          searches.computeIfAbsent(topic, t -> new ArrayList<>()).add(result);
          carryOut(node.search(topic, port, now()));
        };
    if (!execute(begin)) {
      result.completeExceptionally(new IllegalStateException("the DHT node is closed"));
    }
    return result;
  }

  public CompletableFuture<DhtStatus> status() {
    return look(now -> node.status(now));
  }

  public CompletableFuture<DhtSnapshot> snapshot() {
    return look(now -> node.snapshot(now));
  }

  /** Leaves the network; others notice by its silence. Not to be called from its own thread. */
  @Override
  public void close() {
    closed = true;
    if (owned) {
      udp.close();
    }
  }

  private <T> CompletableFuture<T> look(Function<Long, T> what) {
    var result = new CompletableFuture<T>();
    if (!execute(() -> result.complete(what.apply(now())))) {
      result.completeExceptionally(new IllegalStateException("the DHT node is closed"));
    }
    return result;
  }

  private boolean execute(Runnable task) {
    return !closed && udp.execute(task);
  }

  /** A clock that never goes back. */
  private static long now() {
    return TimeUnit.NANOSECONDS.toMillis(Ticker.systemTicker().nanoTime());
  }

  private void resolve(List<InetSocketAddress> entryPoints) {
    if (entryPoints.isEmpty() || closed) {
      return;
    }
    // Looking up names blocks.
    Thread.ofVirtual()
        .start(
            () -> {
              var resolved = new ArrayList<InetSocketAddress>();
              for (InetSocketAddress entryPoint : entryPoints) {
                resolved.addAll(addresses(entryPoint));
              }
              execute(() -> enter(entryPoints, resolved));
            });
  }

  private void enter(List<InetSocketAddress> entryPoints, List<InetSocketAddress> resolved) {
    carryOut(node.enterAt(resolved, now()));
    if (entryPoints.stream().anyMatch(InetSocketAddress::isUnresolved)) {
      var _ =
          udp.loop()
              .schedule(
                  () -> {
                    int known =
                        node.status(now()).tables().stream().mapToInt(t -> t.rows().size()).sum();
                    if (known < FEW_NODES) {
                      resolve(entryPoints);
                    }
                  },
                  RESOLVE_SECONDS,
                  TimeUnit.SECONDS);
    }
  }

  private static List<InetSocketAddress> addresses(InetSocketAddress entryPoint) {
    if (!entryPoint.isUnresolved()) {
      return List.of(entryPoint);
    }
    var found = new ArrayList<InetSocketAddress>();
    try {
      for (InetAddress ip : InetAddress.getAllByName(entryPoint.getHostString())) {
        found.add(new InetSocketAddress(ip, entryPoint.getPort()));
      }
    } catch (UnknownHostException e) {
      log.debug("DHT entry point not known name={}", entryPoint.getHostString());
    }
    return found;
  }

  private void carryOut(List<DhtEffect> effects) {
    for (DhtEffect effect : effects) {
      switch (effect) {
        case DhtEffect.Send(InetSocketAddress to, byte[] datagram) -> {
          udp.write(to, datagram);
        }
        case DhtEffect.Found(DhtId topic, InetSocketAddress peer) -> listener.found(topic, peer);
        case DhtEffect.Finished(LookupTrace trace) -> {
          List<CompletableFuture<LookupTrace>> waiting =
              trace.forPeers() ? searches.remove(trace.target()) : null;
          if (waiting != null) {
            waiting.forEach(search -> search.complete(trace));
          }
        }
      }
    }
    udp.flush();
    schedule();
  }

  private void schedule() {
    long at = node.wakeAt();
    ScheduledFuture<?> running = timer;
    if (closed || (running != null && timerAt <= at)) {
      return;
    }
    if (running != null) {
      running.cancel(false);
    }
    timerAt = at;
    timer =
        udp.loop()
            .schedule(
                () -> {
                  timer = null;
                  if (!closed) {
                    carryOut(node.tick(now()));
                  }
                },
                Math.max(1, at - now()),
                TimeUnit.MILLISECONDS);
  }
}
