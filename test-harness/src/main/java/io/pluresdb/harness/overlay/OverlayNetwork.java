package io.pluresdb.harness.overlay;

import io.pluresdb.crdt.overlay.PeerId;
import io.pluresdb.harness.overlay.OverlayPeer.Message;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/**
 * Devices, connections and virtual time. One thread; everything follows from the seed, and {@link
 * #trace} differs as soon as one event does.
 */
final class OverlayNetwork {
  /** Length, kind and tag of a frame, and the envelope, for every message: none share a frame. */
  static final int FRAME_BYTES = 20;

  /** Three Noise messages with identities and signatures, both directions. */
  static final int SESSION_BYTES = 1_000;

  /** How long a device takes to give up on one that does not answer. */
  private static final long DIAL_MILLIS = 5_000;

  private static final long TICK_MILLIS = 1_000;

  private record Event(long at, long order, Runnable action) implements Comparable<Event> {
    @Override
    public int compareTo(Event other) {
      int byTime = Long.compare(at, other.at);
      return byTime != 0 ? byTime : Long.compare(order, other.order);
    }
  }

  /** Sees what is delivered. */
  interface Observer {
    void delivered(int from, int to, Message message);
  }

  private final long seed;
  private final SplittableRandom random;
  private final PriorityQueue<Event> events = new PriorityQueue<>();
  private final List<@Nullable OverlayPeer> peers = new ArrayList<>();
  private final List<Map<Integer, Link>> links = new ArrayList<>();
  private final List<Boolean> alive = new ArrayList<>();
  private final Map<PeerId, Integer> byId = new LinkedHashMap<>();
  private final List<PeerId> ids = new ArrayList<>();
  private final Traffic traffic = new Traffic();
  private final Observer observer;
  private long now;
  private long order;
  private long trace;
  private int lossPercent;
  private int splitAt;

  OverlayNetwork(long seed, Observer observer) {
    this.seed = seed;
    this.random = new SplittableRandom(seed);
    this.observer = observer;
  }

  long now() {
    return now;
  }

  /** A hash over every event so far. */
  long trace() {
    return trace;
  }

  SplittableRandom random() {
    return random;
  }

  int size() {
    return peers.size();
  }

  void add(PeerId id, OverlayPeer peer) {
    byId.put(id, peers.size());
    ids.add(id);
    peers.add(peer);
    links.add(new LinkedHashMap<>());
    alive.add(true);
    int index = peers.size() - 1;
    schedule(random.nextLong(TICK_MILLIS), () -> tick(index));
  }

  private void tick(int index) {
    if (alive.get(index)) {
      peer(index).tick();
      schedule(TICK_MILLIS, () -> tick(index));
    }
  }

  OverlayPeer peer(int index) {
    OverlayPeer peer = peers.get(index);
    if (peer == null) {
      throw new IllegalStateException("device " + index + " is gone");
    }
    return peer;
  }

  PeerId id(int index) {
    return ids.get(index);
  }

  int index(PeerId id) {
    Integer index = byId.get(id);
    if (index == null) {
      throw new IllegalArgumentException("there is no device " + id);
    }
    return index;
  }

  boolean isAlive(int index) {
    return alive.get(index);
  }

  /** Connections of a device now, neighbours and guests. */
  int connections(int index) {
    return links.get(index).size();
  }

  /** What was sent so far; goes on counting. */
  Traffic traffic() {
    return traffic;
  }

  /** Loses that share of the messages inside sessions, which no real session does. */
  void lose(int percent) {
    lossPercent = percent;
  }

  /** Devices below {@code first} and the others do not reach each other; 0 for no partition. */
  void split(int first) {
    splitAt = first;
    for (int i = 0; i < first; i++) {
      for (Link link : List.copyOf(links.get(i).values())) {
        if (isSplit(link.owner, link.peer)) {
          close(link);
        }
      }
    }
  }

  private boolean isSplit(int a, int b) {
    return splitAt > 0 && (a < splitAt) != (b < splitAt);
  }

  void schedule(long delayMillis, Runnable action) {
    events.add(new Event(now + delayMillis, order++, action));
  }

  /** Runs what happens within the next {@code millis}. */
  void run(long millis) {
    long end = now + millis;
    Event next;
    while ((next = events.peek()) != null && next.at() <= end) {
      events.remove();
      now = next.at();
      next.action().run();
    }
    now = end;
  }

  private void trace(long a, long b, long c) {
    trace = mix(trace ^ now * 0x9E3779B97F4A7C15L ^ a << 40 ^ b << 20 ^ c);
  }

  static long mix(long value) {
    long z = (value ^ value >>> 30) * 0xBF58476D1CE4E5B9L;
    z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
    return z ^ z >>> 31;
  }

  /** One way, in milliseconds: 5 to 300 by the pair, most below 60, and a fifth of jitter. */
  private long latency(int a, int b) {
    long pair = mix(seed ^ (long) Math.min(a, b) << 32 ^ Math.max(a, b));
    double uniform = (pair >>> 11) / (double) (1L << 53);
    double base = 5 + 295 * uniform * uniform * uniform;
    return Math.round(base * (1 + random.nextDouble() * 0.2));
  }

  void dial(int from, int to) {
    long way = latency(from, to);
    boolean reachable = alive.get(to) && !isSplit(from, to);
    schedule(
        reachable ? 4 * way : DIAL_MILLIS,
        () -> {
          if (!alive.get(from)) {
            return;
          }
          if (!alive.get(to) || isSplit(from, to)) {
            peer(from).unreachable(to);
            return;
          }
          if (links.get(from).containsKey(to)) {
            return;
          }
          traffic.count(Kind.SESSION, SESSION_BYTES);
          trace(from, to, 1);
          var near = new Link(from, to, true);
          var far = new Link(to, from, false);
          near.other = far;
          far.other = near;
          links.get(from).put(to, near);
          links.get(to).put(from, far);
          peer(to).connected(far);
          peer(from).connected(near);
        });
  }

  void send(Link link, Message message) {
    if (link.closed) {
      return;
    }
    traffic.count(message.kind(), message.bytes() + FRAME_BYTES);
    if (lossPercent > 0 && random.nextInt(100) < lossPercent) {
      return;
    }
    long arrival = Math.max(link.lastArrival, now + latency(link.owner, link.peer));
    link.lastArrival = arrival;
    Link far = link.otherEnd();
    schedule(
        arrival - now,
        () -> {
          if (!far.closed && alive.get(far.owner)) {
            trace(link.owner, far.owner, message.bytes());
            observer.delivered(link.owner, far.owner, message);
            peer(far.owner).receive(far, message);
          }
        });
  }

  /** The owner ends the connection; the other end hears of it. */
  void close(Link link) {
    if (link.closed) {
      return;
    }
    link.closed = true;
    links.get(link.owner).remove(link.peer, link);
    peer(link.owner).closed(link);
    schedule(latency(link.owner, link.peer), () -> ended(link.otherEnd()));
  }

  private void ended(Link link) {
    if (!link.closed && alive.get(link.owner)) {
      link.closed = true;
      links.get(link.owner).remove(link.peer, link);
      peer(link.owner).closed(link);
    }
  }

  /**
   * A device is gone; its neighbours notice after between {@code from} and {@code to} milliseconds.
   */
  void kill(int index, long from, long to) {
    alive.set(index, false);
    trace(index, index, 2);
    for (Link link : List.copyOf(links.get(index).values())) {
      link.closed = true;
      Link far = link.otherEnd();
      schedule(from + random.nextLong(to - from + 1), () -> ended(far));
    }
    links.get(index).clear();
    peers.set(index, null);
  }

  /** The devices that are up. */
  List<Integer> living() {
    var living = new ArrayList<Integer>();
    for (int i = 0; i < peers.size(); i++) {
      if (alive.get(i)) {
        living.add(i);
      }
    }
    return living;
  }
}
