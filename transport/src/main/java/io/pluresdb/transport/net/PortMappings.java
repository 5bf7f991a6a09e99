package io.pluresdb.transport.net;

import io.pluresdb.transport.nat.NatEffect;
import io.pluresdb.transport.nat.NatStatus;
import io.pluresdb.transport.nat.PortKind;
import io.pluresdb.transport.nat.PortMapper;
import io.pluresdb.transport.nat.PortMapping;
import java.io.IOException;
import java.io.InputStream;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.Proxy;
import java.net.SocketTimeoutException;
import java.net.StandardSocketOptions;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Ports of this device that its router forwards: a {@link PortMapper} with a socket and a thread.
 * Looks every {@link #LOOK} whether the router or the own address has changed, and begins anew
 * where it has.
 */
public final class PortMappings implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(PortMappings.class);

  private static final Duration LOOK = Duration.ofSeconds(30);
  private static final Duration FETCH_TIMEOUT = Duration.ofSeconds(3);
  private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(2);
  private static final int MAX_DATAGRAM_BYTES = 1_100 + 1_024;
  private static final int MAX_BODY_BYTES = 64 << 10;

  private final Supplier<@Nullable Gateway> finder;
  private final int gatewayPort;
  private final InetSocketAddress group;
  private final Map<PortKind, Integer> ports;
  private final RandomGenerator random;
  private final Consumer<List<PortMapping>> listener;
  private final Thread thread;
  private @Nullable PortMapper mapper; // Guarded by this.
  private @Nullable DatagramSocket socket; // Guarded by this.
  private volatile boolean closed;

  PortMappings(
      Supplier<@Nullable Gateway> finder,
      int gatewayPort,
      InetSocketAddress group,
      Map<PortKind, Integer> ports,
      RandomGenerator random,
      Consumer<List<PortMapping>> listener) {
    this.finder = finder;
    this.gatewayPort = gatewayPort;
    this.group = group;
    this.ports = Map.copyOf(ports);
    this.random = random;
    this.listener = listener;
    this.thread = Thread.ofPlatform().daemon().name("pluresdb-nat").unstarted(this::run);
  }

  /**
   * Begins to have {@code ports} mapped.
   *
   * @param listener hears, on the thread of this, which ports are mapped whenever that changes
   */
  public static PortMappings start(
      Map<PortKind, Integer> ports, RandomGenerator random, Consumer<List<PortMapping>> listener) {
    var mappings =
        new PortMappings(Gateway::find, PortMapper.PORT, PortMapper.GROUP, ports, random, listener);
    mappings.thread.start();
    return mappings;
  }

  void start() {
    thread.start();
  }

  public synchronized NatStatus status() {
    PortMapper current = mapper;
    return current == null ? NatStatus.NONE : current.status();
  }

  private static long now() {
    return System.nanoTime() / 1_000_000;
  }

  private void run() {
    while (!closed) {
      Gateway gateway = finder.get();
      try {
        if (gateway != null) {
          use(gateway);
          continue;
        }
      } catch (IOException e) {
        log.debug("no socket for port mappings cause={}", e.toString());
      }
      // close() interrupts.
      LockSupport.parkNanos(LOOK.toNanos());
    }
  }

  /** Maps at one gateway, until it is another. */
  private void use(Gateway gateway) throws IOException {
    try (var opened = new DatagramSocket(new InetSocketAddress(gateway.client(), 0))) {
      NetworkInterface card = NetworkInterface.getByInetAddress(gateway.client());
      if (card != null && card.supportsMulticast()) {
        opened.setOption(StandardSocketOptions.IP_MULTICAST_IF, card);
      }
      synchronized (this) {
        if (closed) {
          return;
        }
        socket = opened;
        mapper =
            new PortMapper(
                new InetSocketAddress(gateway.router(), gatewayPort),
                group,
                gateway.client(),
                ports,
                random,
                now());
      }
      long lookAt = now() + LOOK.toMillis();
      var packet = new DatagramPacket(new byte[MAX_DATAGRAM_BYTES], MAX_DATAGRAM_BYTES);
      while (!closed && (now() < lookAt || gateway.equals(finder.get()))) {
        lookAt = now() < lookAt ? lookAt : now() + LOOK.toMillis();
        long wait = turn(PortMapper::tick);
        opened.setSoTimeout((int) Math.clamp(wait, 1, Math.max(1, lookAt - now())));
        try {
          packet.setLength(MAX_DATAGRAM_BYTES);
          opened.receive(packet);
          byte[] bytes = Arrays.copyOf(packet.getData(), packet.getLength());
          var from = (InetSocketAddress) packet.getSocketAddress();
          turn((to, at) -> to.receive(from, bytes, at));
        } catch (SocketTimeoutException e) {
          // Then it is time for something.
        }
      }
      if (!closed) {
        turn((to, at) -> to.release());
        listener.accept(List.of());
      }
    }
  }

  private interface Turn {
    List<NatEffect> of(PortMapper mapper, long now);
  }

  /** Lets the mapper act; returns for how many milliseconds it can wait then. */
  private long turn(Turn turn) {
    List<NatEffect> effects;
    long wait;
    synchronized (this) {
      PortMapper current = mapper;
      if (current == null) {
        return LOOK.toMillis();
      }
      effects = turn.of(current, now());
      wait = current.wakeAt() - now();
    }
    effects.forEach(this::carryOut);
    return wait;
  }

  private void carryOut(NatEffect effect) {
    switch (effect) {
      case NatEffect.Send(InetSocketAddress to, byte[] datagram) -> send(to, datagram);
      case NatEffect.Fetch fetch -> {
        var _ = Thread.ofVirtual().start(() -> fetch(fetch));
      }
      case NatEffect.Changed(List<PortMapping> mappings) -> {
        log.info("ports mapped mappings={}", mappings);
        listener.accept(mappings);
      }
    }
  }

  private void send(InetSocketAddress to, byte[] datagram) {
    DatagramSocket out;
    synchronized (this) {
      out = socket;
    }
    try {
      if (out != null) {
        out.send(new DatagramPacket(datagram, datagram.length, to));
      }
    } catch (IOException e) {
      log.debug("not sent to the gateway address={} cause={}", to, e.toString());
    }
  }

  private void fetch(NatEffect.Fetch fetch) {
    int status = 0;
    String body = "";
    try {
      var connection = (HttpURLConnection) fetch.url().toURL().openConnection(Proxy.NO_PROXY);
      connection.setConnectTimeout((int) FETCH_TIMEOUT.toMillis());
      connection.setReadTimeout((int) FETCH_TIMEOUT.toMillis());
      connection.setInstanceFollowRedirects(false);
      if (!fetch.soapAction().isEmpty()) {
        connection.setRequestMethod("POST");
        connection.setDoOutput(true);
        connection.setRequestProperty("Content-Type", "text/xml; charset=\"utf-8\"");
        connection.setRequestProperty("SOAPAction", fetch.soapAction());
        connection.getOutputStream().write(fetch.body().getBytes(StandardCharsets.UTF_8));
      }
      status = connection.getResponseCode();
      InputStream in = status < 400 ? connection.getInputStream() : connection.getErrorStream();
      if (in != null) {
        body = new String(in.readNBytes(MAX_BODY_BYTES), StandardCharsets.UTF_8);
      }
      connection.disconnect();
    } catch (IOException | IllegalArgumentException e) {
      log.debug("gateway not asked url={} cause={}", fetch.url(), e.toString());
    }
    int code = status;
    String text = body;
    turn((to, at) -> to.fetched(code, text, at));
    // The thread waits for datagrams, perhaps for longer than is right now.
    wake();
  }

  private void wake() {
    DatagramSocket own;
    synchronized (this) {
      own = socket;
    }
    if (own != null && !own.isClosed()) {
      send(new InetSocketAddress(own.getLocalAddress(), own.getLocalPort()), new byte[0]);
    }
  }

  /** Gives the ports back; takes 2 s at most. */
  @Override
  public void close() {
    List<NatEffect> farewell = List.of();
    synchronized (this) {
      closed = true;
      if (mapper != null) {
        farewell = mapper.release();
      }
    }
    var calls =
        farewell.stream()
            .map(
                effect ->
                    Thread.ofVirtual()
                        .start(
                            () -> {
                              switch (effect) {
                                case NatEffect.Send(var to, var datagram) -> send(to, datagram);
                                case NatEffect.Fetch call -> fetch(call);
                                case NatEffect.Changed ignored -> {}
                              }
                            }))
            .toList();
    try {
      for (Thread call : calls) {
        call.join(CLOSE_TIMEOUT);
      }
      thread.interrupt();
      wake();
      thread.join(CLOSE_TIMEOUT);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
