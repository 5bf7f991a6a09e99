package io.pluresdb.daemon.node;

import io.pluresdb.transport.net.RelayClient;
import io.pluresdb.transport.net.TcpTransport;
import io.pluresdb.transport.path.Candidate;
import io.pluresdb.transport.relay.RelayStatus;
import io.pluresdb.transport.relay.RelayUrl;
import io.pluresdb.transport.topic.DatabaseKeys;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The relays of a node: those it was configured with, and those its databases name. */
final class RelayLinks implements RelayClient.Listener {
  private static final Logger log = LoggerFactory.getLogger(RelayLinks.class);

  /** Most relays in use. */
  static final int MAX_LINKS = 16;

  /** Most relays an invite names. */
  static final int MAX_IN_INVITE = 4;

  private final TcpTransport transport;
  private final NodeOptions.Relays options;
  private final RelayClient.Listener listener;
  private final Map<RelayUrl, RelayClient> clients = new LinkedHashMap<>(); // Guarded by itself.
  private final Map<String, Set<DatabaseKeys>> followed = new LinkedHashMap<>(); // Guarded too.
  private final Map<DatabaseKeys, Set<Candidate>> present = new LinkedHashMap<>(); // Guarded too.

  /** Uses the configured relays at once. */
  RelayLinks(TcpTransport transport, NodeOptions.Relays options, RelayClient.Listener listener) {
    this.transport = transport;
    this.options = options;
    this.listener = listener;
    options.urls().forEach(this::use);
  }

  /** Whether an address of an invite or a database is that of a relay. */
  static boolean isRelay(String address) {
    return address.startsWith("ws://") || address.startsWith("wss://");
  }

  /** Uses the relays among these addresses, too. */
  void useAll(Collection<String> addresses) {
    for (String address : addresses) {
      if (isRelay(address)) {
        try {
          use(RelayUrl.parse(address));
        } catch (IllegalArgumentException e) {
          log.warn("a database names a relay that is none cause={}", e.getMessage());
        }
      }
    }
  }

  private void use(RelayUrl url) {
    synchronized (clients) {
      boolean known = clients.keySet().stream().anyMatch(other -> isSame(other, url));
      if (known || clients.size() >= MAX_LINKS) {
        return;
      }
      RelayClient client = transport.relay(options.access(url), this);
      clients.put(url, client);
      followed.values().forEach(keys -> keys.forEach(client::follow));
    }
  }

  /** Whether both lead to one relay; the one that was there first keeps its token and pin. */
  private static boolean isSame(RelayUrl one, RelayUrl other) {
    return one.authority().equals(other.authority())
        && one.secure() == other.secure()
        && one.path().equals(other.path());
  }

  /** Registers for a database under these keys, and under no others. */
  void followOnly(String databaseId, List<DatabaseKeys> keys) {
    synchronized (clients) {
      Set<DatabaseKeys> wanted = new LinkedHashSet<>(keys);
      Set<DatabaseKeys> before = followed.getOrDefault(databaseId, Set.of());
      for (DatabaseKeys each : wanted) {
        if (!before.contains(each)) {
          clients.values().forEach(client -> client.follow(each));
        }
      }
      for (DatabaseKeys each : before) {
        if (!wanted.contains(each)) {
          clients.values().forEach(client -> client.unfollow(each));
        }
      }
      followed.put(databaseId, wanted);
    }
  }

  /** Who can be dialled through relays now. */
  List<Candidate> present(DatabaseKeys database) {
    synchronized (clients) {
      return List.copyOf(present.getOrDefault(database, Set.of()));
    }
  }

  /** What an invite names. */
  List<String> texts() {
    synchronized (clients) {
      return clients.keySet().stream().limit(MAX_IN_INVITE).map(RelayUrl::text).toList();
    }
  }

  /** Where relays see this device. */
  List<InetAddress> seen() {
    synchronized (clients) {
      return clients.values().stream()
          .map(RelayClient::seen)
          .filter(Objects::nonNull)
          .distinct()
          .toList();
    }
  }

  /** Where relays can be asked how they see a UDP port. */
  List<InetSocketAddress> echoes() {
    synchronized (clients) {
      return clients.values().stream()
          .map(RelayClient::echo)
          .filter(Objects::nonNull)
          .distinct()
          .toList();
    }
  }

  /** The network has changed. */
  void hurry() {
    synchronized (clients) {
      clients.values().forEach(RelayClient::hurry);
    }
  }

  List<RelayStatus> status() {
    synchronized (clients) {
      return clients.values().stream().map(RelayClient::status).toList();
    }
  }

  @Override
  public void found(DatabaseKeys database, Candidate.Relayed peer) {
    synchronized (clients) {
      present.computeIfAbsent(database, any -> new LinkedHashSet<>()).add(peer);
    }
    listener.found(database, peer);
  }

  @Override
  public void gone(DatabaseKeys database, Candidate.Relayed peer) {
    synchronized (clients) {
      Set<Candidate> there = present.get(database);
      if (there != null && there.remove(peer) && there.isEmpty()) {
        present.remove(database);
      }
    }
    listener.gone(database, peer);
  }
}
