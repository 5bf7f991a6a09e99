package io.pluresdb.transport.net;

import io.netty.channel.Channel;
import io.pluresdb.transport.Environment;
import io.pluresdb.transport.relay.RelayCounter;
import io.pluresdb.transport.relay.RelayLimits;
import io.pluresdb.transport.relay.RelayMessage;
import io.pluresdb.transport.relay.WebSocket;
import io.pluresdb.transport.topic.PeerTag;
import io.pluresdb.transport.topic.Rendezvous;
import java.net.InetAddress;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * What a relay knows: who is registered where, which circuits wait and which are joined, who uses
 * how much. Everything runs on the relay's one event loop, but the counters may be read from
 * anywhere.
 */
final class RelayHub {
  private static final String EXPIRED = "the token has expired";

  final RelayLimits limits;
  private final RandomGenerator random;
  private final InstantSource wallClock;
  private final Map<RelayCounter, AtomicLong> counters = new EnumMap<>(RelayCounter.class);
  private final Map<Rendezvous, Map<PeerTag, RelayControl>> topics = new HashMap<>();
  private final Map<String, Waiting> waiting = new HashMap<>();
  private final Set<RelayControl> controls = new HashSet<>();
  private final Set<RelayCircuitEnd> dialledEnds = new HashSet<>();
  private final Map<String, RelayUsage> byAddress = new HashMap<>();
  private final Map<String, RelayUsage> byKey = new HashMap<>();
  private int registrations;
  private boolean draining;
  private int echoPort;

  RelayHub(RelayLimits limits, Environment environment) {
    this.limits = limits;
    this.random = environment.random();
    this.wallClock = environment.wallClock();
    for (RelayCounter counter : RelayCounter.values()) {
      counters.put(counter, new AtomicLong());
    }
  }

  private AtomicLong counter(RelayCounter counter) {
    return Objects.requireNonNull(counters.get(counter));
  }

  int echoPort() {
    return echoPort;
  }

  /** Clients are told of this port from now on. */
  void echoesOn(int port) {
    echoPort = port;
  }

  /** Whoever dialled and waits for the other side. */
  interface Waiting {
    /** The other side is here. */
    void accepted(Channel by, RelayCaller caller, RelayRequest.Upgrade upgrade);
  }

  long nowNanos() {
    return System.nanoTime();
  }

  void count(RelayCounter counter) {
    count(counter, 1);
  }

  void count(RelayCounter counter, long amount) {
    counter(counter).addAndGet(amount);
  }

  long counted(RelayCounter counter) {
    return counter(counter).get();
  }

  int controls() {
    return controls.size();
  }

  int circuits() {
    return dialledEnds.size();
  }

  int waiting() {
    return waiting.size();
  }

  int registrations() {
    return registrations;
  }

  boolean isDraining() {
    return draining;
  }

  /** Keeps the books of somebody who may use this relay. */
  RelayCaller caller(InetAddress address, RelayTokens.Holder holder) {
    RelayUsage usage = usage(byAddress, HalfOpen.key(address), limits.bytesPerSecond());
    int circuits = limits.circuitsPerKey();
    return switch (holder) {
      case RelayTokens.Holder.Unknown ignored ->
          throw new IllegalArgumentException("a caller that was refused");
      case RelayTokens.Holder.Anybody ignored ->
          new RelayCaller(address, usage, null, circuits, Long.MAX_VALUE);
      case RelayTokens.Holder.Listed(var name) ->
          new RelayCaller(
              address,
              usage,
              usage(byKey, "listed " + name, limits.bytesPerSecond()),
              circuits,
              Long.MAX_VALUE);
      case RelayTokens.Holder.Signed(var fingerprint, var token) -> {
        long rate = lower(token.bytesPerSecond(), limits.bytesPerSecond());
        yield new RelayCaller(
            address,
            usage,
            usage(byKey, "signed " + fingerprint, rate),
            (int) lower(token.circuits(), circuits),
            token.expires());
      }
    };
  }

  /** A token may lower a limit of the relay, not raise it. */
  private static long lower(long ofToken, long ofRelay) {
    return ofToken == 0 ? ofRelay : Math.min(ofToken, ofRelay);
  }

  private RelayUsage usage(Map<String, RelayUsage> by, String key, long bytesPerSecond) {
    return by.computeIfAbsent(key, any -> new RelayUsage(bytesPerSecond, nowNanos()));
  }

  // ---- circuits

  /** The limit that forbids {@code caller} one more end of a circuit; null when none does. */
  @Nullable RelayCounter forbids(RelayCaller caller, boolean dials) {
    RelayUsage key = caller.byKey();
    if (dials && dialledEnds.size() + waiting.size() >= limits.circuits()) {
      return RelayCounter.REFUSED_CIRCUITS;
    }
    if (key != null && key.circuitEnds >= caller.circuitsOfKey()) {
      return RelayCounter.REFUSED_CIRCUITS_PER_KEY;
    }
    return caller.byAddress().circuitEnds >= limits.circuitsPerAddress()
        ? RelayCounter.REFUSED_CIRCUITS_PER_ADDRESS
        : null;
  }

  /** Asks whoever is registered to accept; returns the circuit's name, null when nobody is. */
  @Nullable String dial(Rendezvous rendezvous, PeerTag tag, Waiting dialler) {
    Map<PeerTag, RelayControl> present = topics.get(rendezvous);
    RelayControl control = present == null ? null : present.get(tag);
    if (control == null) {
      return null;
    }
    byte[] circuit = new byte[RelayMessage.CIRCUIT_BYTES];
    random.nextBytes(circuit);
    String name = HexFormat.of().formatHex(circuit);
    waiting.put(name, dialler);
    control.send(new RelayMessage.Incoming(rendezvous, circuit));
    return name;
  }

  /** The one who waits on this circuit, who is not waiting any more; null when nobody is. */
  @Nullable Waiting takeWaiting(String circuit) {
    return waiting.remove(circuit);
  }

  void joined(RelayCircuitEnd dialled) {
    count(RelayCounter.CIRCUITS);
    dialledEnds.add(dialled);
  }

  void ended(RelayCircuitEnd end) {
    dialledEnds.remove(end);
  }

  // ---- registrations

  void opened(RelayControl control) {
    controls.add(control);
  }

  void closed(RelayControl control) {
    controls.remove(control);
    List.copyOf(control.registered().entrySet())
        .forEach(
            entry -> entry.getValue().forEach(tag -> unregister(control, entry.getKey(), tag)));
  }

  /** The limit that forbids a registration, or null when it was taken. */
  @Nullable String register(RelayControl control, Rendezvous rendezvous, PeerTag tag) {
    Map<PeerTag, RelayControl> present = topics.get(rendezvous);
    RelayControl before = present == null ? null : present.get(tag);
    if (control.equals(before)) {
      return null;
    }
    if (before == null && registrations >= limits.registrations()) {
      return "registrations";
    }
    if (control.registrations() >= limits.registrationsPerClient()) {
      return "registrations-per-client";
    }
    if (before == null && present != null && present.size() >= limits.registrationsPerTopic()) {
      return "registrations-per-topic";
    }
    if (present == null) {
      present = new LinkedHashMap<>();
      topics.put(rendezvous, present);
    }
    if (before == null) {
      registrations++;
    } else {
      // The same device again: the earlier connection is dead, or dying.
      before.forget(rendezvous, tag);
    }
    tellPresent(control, rendezvous, present, tag);
    present.put(tag, control);
    control.remember(rendezvous, tag);
    return null;
  }

  private void tellPresent(
      RelayControl control,
      Rendezvous rendezvous,
      Map<PeerTag, RelayControl> present,
      PeerTag own) {
    var tags = new ArrayList<>(present.keySet());
    tags.remove(own);
    if (tags.size() > RelayLimits.MAX_PRESENT) {
      Collections.shuffle(tags, Random.from(random));
    }
    tags.stream()
        .limit(RelayLimits.MAX_PRESENT)
        .forEach(tag -> control.send(new RelayMessage.Present(rendezvous, tag)));
  }

  void unregister(RelayControl control, Rendezvous rendezvous, PeerTag tag) {
    Map<PeerTag, RelayControl> present = topics.get(rendezvous);
    if (present == null || !control.equals(present.get(tag))) {
      return;
    }
    present.remove(tag);
    control.forget(rendezvous, tag);
    registrations--;
    if (present.isEmpty()) {
      topics.remove(rendezvous);
      return;
    }
    Set.copyOf(present.values())
        .forEach(other -> other.send(new RelayMessage.Gone(rendezvous, tag)));
  }

  // ---- time

  /** Closes what is idle or has a token that expired; forgets who was not here for a while. */
  void sweep() {
    long now = nowNanos();
    long unixMillis = wallClock.millis();
    long idle = limits.idle().toNanos();
    for (RelayCircuitEnd end : List.copyOf(dialledEnds)) {
      if (now - end.heardNanos() > idle) {
        count(RelayCounter.IDLE_TIMEOUTS);
        end.endBoth(WebSocket.GOING_AWAY, "idle");
      } else if (end.expiresMillis() <= unixMillis) {
        count(RelayCounter.EXPIRED_TOKENS);
        end.endBoth(WebSocket.GOING_AWAY, EXPIRED);
      }
    }
    for (RelayControl control : List.copyOf(controls)) {
      if (now - control.heardNanos() > idle) {
        count(RelayCounter.IDLE_TIMEOUTS);
        control.end(WebSocket.GOING_AWAY, "idle");
      } else if (control.expiresMillis() <= unixMillis) {
        count(RelayCounter.EXPIRED_TOKENS);
        control.end(WebSocket.POLICY_VIOLATION, EXPIRED);
      }
    }
    byAddress.values().removeIf(usage -> usage.isIdle() && now - usage.usedNanos > idle);
    byKey.values().removeIf(usage -> usage.isIdle() && now - usage.usedNanos > idle);
  }

  /** Tells clients to go elsewhere and takes nothing new. */
  void drain() {
    draining = true;
    for (RelayControl control : List.copyOf(controls)) {
      control.send(new RelayMessage.Leave((int) limits.drain().toSeconds() + 1));
      control.end(WebSocket.GOING_AWAY, "stopping");
    }
  }

  void endCircuits() {
    List.copyOf(dialledEnds).forEach(end -> end.endBoth(WebSocket.GOING_AWAY, "stopping"));
  }
}
