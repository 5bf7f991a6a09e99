package io.pluresdb.transport.dht;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * The peers that others announced here, bounded in every direction.
 *
 * <p>An address is forgotten after {@link #EXPIRY_MILLIS}. In a full topic the one announced
 * longest ago makes room, honest peers announce again in time; one network may have {@link
 * #MAX_PER_SUBNET} of a topic's places and {@link #MAX_OF_SUBNET} of all. When there are too many
 * topics, the one furthest from this node's id goes: near ones are what others look for here.
 */
final class PeerStore {
  static final long EXPIRY_MILLIS = 45 * 60_000;
  static final int MAX_TOPICS = 2_000;
  static final int MAX_PEERS = 20_000;
  static final int MAX_PER_TOPIC = 200;
  static final int MAX_PER_SUBNET = 8;
  static final int MAX_OF_SUBNET = 200;

  private static final class Topic {
    /** Until when each address stands; announced longest ago first. */
    private final Map<InetSocketAddress, Long> peers = new LinkedHashMap<>();
  }

  private final Map<DhtId, Topic> topics = new LinkedHashMap<>();
  private final Map<Long, Integer> ofSubnet = new HashMap<>();
  private int peers;

  /** What is stored of a topic. */
  record Stored(DhtId topic, int peers) {}

  /**
   * Stores or renews an address.
   *
   * @param self decides which topic makes room
   * @return false when the network it is in has all it may
   */
  boolean announce(DhtId topic, InetSocketAddress peer, DhtId self, long now) {
    Topic known = topics.get(topic);
    if (known != null && known.peers.remove(peer) != null) {
      known.peers.put(peer, now + EXPIRY_MILLIS);
      return true;
    }
    boolean limited = AddressScope.of(peer.getAddress()) != AddressScope.LOOPBACK;
    long subnet = AddressScope.subnet(peer.getAddress());
    if (limited
        && (ofSubnet.getOrDefault(subnet, 0) >= MAX_OF_SUBNET
            || (known != null && inSubnet(known.peers.keySet(), subnet) >= MAX_PER_SUBNET))) {
      return false;
    }
    if (known == null) {
      known = new Topic();
      topics.put(topic, known);
      if (topics.size() > MAX_TOPICS) {
        DhtId furthest = furthest(self);
        drop(furthest);
        if (furthest.equals(topic)) {
          return false;
        }
      }
    }
    if (known.peers.size() >= MAX_PER_TOPIC) {
      remove(known.peers.keySet().iterator(), known);
    } else if (peers >= MAX_PEERS) {
      drop(furthest(self));
      if (!topics.containsKey(topic)) {
        return false;
      }
    }
    known.peers.put(peer, now + EXPIRY_MILLIS);
    ofSubnet.merge(subnet, 1, Integer::sum);
    peers++;
    return true;
  }

  /** At most {@code count} addresses of a topic and family, any of them if there are more. */
  List<InetSocketAddress> sample(
      DhtId topic, AddressFamily family, int count, RandomGenerator random, long now) {
    Topic known = topics.get(topic);
    if (known == null) {
      return List.of();
    }
    var found = new ArrayList<InetSocketAddress>();
    known.peers.forEach(
        (peer, until) -> {
          if (until > now && AddressFamily.of(peer) == family) {
            found.add(peer);
          }
        });
    for (int i = 0; i < Math.min(count, found.size() - 1); i++) {
      int other = i + random.nextInt(found.size() - i);
      InetSocketAddress swapped = found.get(i);
      found.set(i, found.get(other));
      found.set(other, swapped);
    }
    return found.subList(0, Math.min(count, found.size()));
  }

  /** Forgets what has not been announced again in time. */
  void expire(long now) {
    for (Iterator<Topic> all = topics.values().iterator(); all.hasNext(); ) {
      Topic topic = all.next();
      for (var one = topic.peers.entrySet().iterator(); one.hasNext(); ) {
        Map.Entry<InetSocketAddress, Long> peer = one.next();
        if (peer.getValue() > now) {
          break;
        }
        forget(peer.getKey());
        one.remove();
      }
      if (topic.peers.isEmpty()) {
        all.remove();
      }
    }
  }

  int peers() {
    return peers;
  }

  List<Stored> stored() {
    var all = new ArrayList<Stored>();
    topics.forEach((topic, known) -> all.add(new Stored(topic, known.peers.size())));
    return all;
  }

  private static int inSubnet(Collection<InetSocketAddress> addresses, long subnet) {
    int count = 0;
    for (InetSocketAddress address : addresses) {
      InetAddress ip = address.getAddress();
      count += AddressScope.subnet(ip) == subnet ? 1 : 0;
    }
    return count;
  }

  private DhtId furthest(DhtId self) {
    @Nullable DhtId furthest = null;
    for (DhtId topic : topics.keySet()) {
      if (furthest == null || self.compareDistance(topic, furthest) > 0) {
        furthest = topic;
      }
    }
    if (furthest == null) {
      throw new IllegalStateException("no topic");
    }
    return furthest;
  }

  private void drop(DhtId topic) {
    Topic dropped = topics.remove(topic);
    if (dropped != null) {
      dropped.peers.keySet().forEach(this::forget);
    }
  }

  private void remove(Iterator<InetSocketAddress> next, Topic topic) {
    InetSocketAddress oldest = next.next();
    topic.peers.remove(oldest);
    forget(oldest);
  }

  private void forget(InetSocketAddress peer) {
    peers--;
    ofSubnet.computeIfPresent(
        AddressScope.subnet(peer.getAddress()), (subnet, count) -> count == 1 ? null : count - 1);
  }
}
