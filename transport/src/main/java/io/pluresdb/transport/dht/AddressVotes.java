package io.pluresdb.transport.dht;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Where other nodes say they see this one (BEP 42): one vote of each network, the newest {@link
 * #MAX_VOTES} count.
 */
final class AddressVotes {
  static final int MAX_VOTES = 32;
  static final int ENOUGH = 4;

  private final Map<Object, InetSocketAddress> votes = new LinkedHashMap<>();

  void vote(InetAddress voter, InetSocketAddress seen) {
    if (!AddressScope.mayTell(voter, seen)) {
      return;
    }
    Object network =
        AddressScope.of(voter) == AddressScope.GLOBAL ? AddressScope.subnet(voter) : voter;
    votes.remove(network);
    votes.put(network, seen);
    if (votes.size() > MAX_VOTES) {
      votes.remove(votes.keySet().iterator().next());
    }
  }

  /** The address that more than half say, of {@link #ENOUGH} votes or more; null before. */
  @Nullable InetAddress address() {
    var counts = new HashMap<InetAddress, Integer>();
    votes.values().forEach(seen -> counts.merge(seen.getAddress(), 1, Integer::sum));
    for (Map.Entry<InetAddress, Integer> count : counts.entrySet()) {
      if (votes.size() >= ENOUGH && count.getValue() > votes.size() / 2) {
        return count.getKey();
      }
    }
    return null;
  }

  /**
   * The port that everybody sees at {@link #address}, 0 when they see different ones (the NAT in
   * between makes a port for each destination) or nothing is known.
   */
  int port() {
    InetAddress address = address();
    int port = 0;
    for (InetSocketAddress seen : votes.values()) {
      if (seen.getAddress().equals(address)) {
        if (port != 0 && port != seen.getPort()) {
          return 0;
        }
        port = seen.getPort();
      }
    }
    return port;
  }

  /** Forgets what was said. */
  void clear() {
    votes.clear();
  }

  int count() {
    return votes.size();
  }
}
