package io.pluresdb.transport.lan;

import io.pluresdb.transport.Environment;
import io.pluresdb.transport.identity.DeviceId;
import io.pluresdb.transport.path.Timers;
import io.pluresdb.transport.topic.Hint;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tells the local network which databases we have and hears who else has them, by multicast beacon
 * and by DNS-SD.
 *
 * <p>A beacon is sent at the start, every {@link LanSettings#interval}, and as an answer to each
 * announcement that names one of our databases (at most once a second), so two devices know each
 * other within a round trip. Contacts are hints: nothing is believed before the handshake. Where
 * multicast does not work, discovery finds nothing and says so once. Thread-safe.
 */
public final class LanDiscovery implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(LanDiscovery.class);

  private static final Duration REPLY_EVERY = Duration.ofSeconds(1);

  private final LanSettings settings;
  private final InstantSource clock;
  private final Timers timers;
  private final Supplier<Set<Hint>> ours;
  private final int sessionPort;
  private final long instance;
  private final ContactFilter contacts;
  private final DnsSd dnsSd;
  private final List<BeaconSocket> sockets = new ArrayList<>();
  private final LongAdder sent = new LongAdder();
  private final LongAdder received = new LongAdder();
  private final LongAdder garbage = new LongAdder();
  private final LongAdder replies = new LongAdder();
  private Timers.@Nullable Timer timer;
  private Instant nextReply = Instant.MIN;
  private boolean closed;

  /**
   * @param ours the hints of the databases to announce and to look for; asked again for each
   *     beacon, the first 32 are announced
   * @param sessionPort the TCP port sessions are accepted on
   * @param listener hears of each contact, at most every 30 s; on threads of this class, must not
   *     block
   */
  public LanDiscovery(
      LanSettings settings,
      Environment environment,
      Timers timers,
      DeviceId device,
      int sessionPort,
      Supplier<Set<Hint>> ours,
      Consumer<Contact> listener) {
    this.settings = settings;
    this.clock = environment.wallClock();
    this.timers = timers;
    this.ours = ours;
    this.sessionPort = sessionPort;
    this.instance = environment.random().nextLong();
    this.contacts = new ContactFilter(environment.wallClock(), ours, listener);
    this.dnsSd = new DnsSd(contacts, device.shortForm(), firstAddress(settings.interfaces()));
  }

  /** Begins; returns without waiting for the network. */
  public synchronized void start() {
    List<NetworkInterface> interfaces = interfaces();
    for (InetAddress group : settings.groups()) {
      try {
        sockets.add(new BeaconSocket(group, settings.port(), interfaces, this::received));
      } catch (IOException e) {
        log.warn(
            "no LAN beacon in this group group={} port={} cause={}",
            group.getHostAddress(),
            settings.port(),
            e.toString());
      }
    }
    if (settings.dnsSd()) {
      dnsSd.start(sessionPort, announced());
    }
    announce();
  }

  /**
   * Counts since the start: {@code sent} and {@code received} beacons, {@code garbage} datagrams on
   * our port that are none, {@code replies} to announcements.
   */
  public Map<String, Long> counters() {
    Map<String, Long> values = new LinkedHashMap<>();
    values.put("sent", sent.sum());
    values.put("received", received.sum());
    values.put("garbage", garbage.sum());
    values.put("replies", replies.sum());
    return values;
  }

  @Override
  public synchronized void close() {
    closed = true;
    Timers.Timer running = timer;
    if (running != null) {
      running.cancel();
    }
    sockets.forEach(BeaconSocket::close);
    sockets.clear();
    dnsSd.close();
  }

  /** Announces at once, besides the regular times: for a database that is wanted from now on. */
  public synchronized void announceNow() {
    if (!closed) {
      sendBeacon();
    }
  }

  private synchronized void announce() {
    if (closed) {
      return;
    }
    sendBeacon();
    timer = timers.schedule(settings.interval(), this::announce);
  }

  private void sendBeacon() {
    byte @Nullable [] beacon = beacon(false);
    if (beacon != null) {
      for (BeaconSocket socket : sockets) {
        socket.sendToGroup(beacon);
        sent.increment();
      }
    }
  }

  private void received(BeaconSocket socket, InetSocketAddress from, byte[] bytes, int length) {
    Beacon beacon = Beacon.decode(bytes, length);
    if (beacon == null) {
      garbage.increment();
      return;
    }
    if (beacon.instance() == instance) {
      return;
    }
    received.increment();
    boolean ourDatabase =
        contacts.offer(new InetSocketAddress(from.getAddress(), beacon.port()), beacon.hints());
    byte @Nullable [] reply = ourDatabase && !beacon.reply() && mayReply() ? beacon(true) : null;
    if (reply != null) {
      replies.increment();
      // To the group, not to the sender: daemons of one host share the port, and a datagram to the
      // host would reach only one of them.
      socket.sendToGroup(reply);
    }
  }

  // A second of silence after a reply: everybody in the group heard it, and a flood of forged
  // announcements is not amplified.
  private synchronized boolean mayReply() {
    Instant now = clock.instant();
    if (now.isBefore(nextReply)) {
      return false;
    }
    nextReply = now.plus(REPLY_EVERY);
    return true;
  }

  private byte @Nullable [] beacon(boolean reply) {
    List<Hint> hints = announced();
    return hints.isEmpty() ? null : new Beacon(reply, sessionPort, instance, hints).encode();
  }

  private List<Hint> announced() {
    return ours.get().stream().limit(Beacon.MAX_HINTS).toList();
  }

  private List<NetworkInterface> interfaces() {
    if (!settings.interfaces().isEmpty()) {
      return settings.interfaces();
    }
    List<NetworkInterface> usable = new ArrayList<>();
    try {
      for (NetworkInterface candidate : NetworkInterface.networkInterfaces().toList()) {
        if (candidate.isUp() && candidate.supportsMulticast() && !candidate.isPointToPoint()) {
          usable.add(candidate);
        }
      }
    } catch (SocketException e) {
      log.warn("the network interfaces cannot be listed cause={}", e.toString());
    }
    return usable;
  }

  private static @Nullable InetAddress firstAddress(List<NetworkInterface> interfaces) {
    return interfaces.stream().flatMap(NetworkInterface::inetAddresses).findFirst().orElse(null);
  }
}
