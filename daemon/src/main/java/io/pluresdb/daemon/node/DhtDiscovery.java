package io.pluresdb.daemon.node;

import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.transport.dht.DhtId;
import io.pluresdb.transport.dht.DhtSnapshot;
import io.pluresdb.transport.dht.DhtStatus;
import io.pluresdb.transport.dht.LookupTrace;
import io.pluresdb.transport.net.DhtSocket;
import io.pluresdb.transport.net.UdpSocket;
import io.pluresdb.transport.path.Timers;
import io.pluresdb.transport.topic.DatabaseKeys;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Looks for the peers of databases in the DHT, and keeps what it knows of it in a file. */
final class DhtDiscovery implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(DhtDiscovery.class);

  private static final Duration SAVE_AFTER = Duration.ofMinutes(5);

  private final DhtSocket socket;
  private final Path file;
  private int announcedPort; // Guarded by this; 0 where this device is not announced.
  private final Timers timers;
  private final Executor background;
  private final Map<String, Set<DhtId>> followed = new HashMap<>(); // Guarded by this.
  private volatile boolean closed;

  private DhtDiscovery(
      DhtSocket socket, Path file, int announcedPort, Timers timers, Executor background) {
    this.socket = socket;
    this.file = file;
    this.announcedPort = announcedPort;
    this.timers = timers;
    this.background = background;
  }

  /**
   * Enters the DHT on a UDP port, which others use too.
   *
   * @param sessionPort TCP port where sessions are accepted
   * @param listener hears where there may be a peer of a topic; must not block
   */
  static DhtDiscovery open(
      Path file,
      UdpSocket udp,
      int sessionPort,
      NodeOptions.Dht options,
      RandomGenerator random,
      Timers timers,
      Executor background,
      DhtSocket.Listener listener) {
    boolean loopback = udp.address().getAddress().isLoopbackAddress();
    List<InetSocketAddress> entryPoints =
        options.entryPoints().stream()
            .filter(at -> !loopback || (!at.isUnresolved() && at.getAddress().isLoopbackAddress()))
            .toList();
    DhtSnapshot saved = load(file);
    var socket = DhtSocket.open(udp, entryPoints, options.readOnly(), random, saved, listener);
    var discovery =
        new DhtDiscovery(socket, file, options.announce() ? sessionPort : 0, timers, background);
    discovery.saveLater();
    return discovery;
  }

  static DhtId topic(DatabaseKeys keys) {
    return DhtId.read(keys.topic().infoHash(), 0);
  }

  private static @Nullable DhtSnapshot load(Path file) {
    if (!Files.exists(file)) {
      return null;
    }
    try {
      DhtSnapshot saved = DhtSnapshot.decode(Files.readAllBytes(file));
      if (saved == null) {
        log.warn("the saved DHT nodes are damaged, they are found anew file={}", file);
      }
      return saved;
    } catch (IOException e) {
      log.warn("the saved DHT nodes cannot be read file={} cause={}", file, e.toString());
      return null;
    }
  }

  private void saveLater() {
    timers.schedule(
        SAVE_AFTER,
        () -> {
          if (!closed) {
            background.execute(this::save);
            saveLater();
          }
        });
  }

  private void save() {
    try {
      DataDirectory.writeAtomically(file, socket.snapshot().join().encode());
    } catch (StorageException e) {
      log.warn("DHT nodes not saved cause={}", e.getMessage());
    }
  }

  InetSocketAddress address() {
    return socket.address();
  }

  /** Looks for the peers of a database under these keys, and under no others. */
  synchronized void followOnly(String databaseId, List<DatabaseKeys> keys) {
    Set<DhtId> wanted = keys.stream().map(DhtDiscovery::topic).collect(Collectors.toSet());
    Set<DhtId> before = followed.getOrDefault(databaseId, Set.of());
    for (DhtId topic : wanted) {
      if (!before.contains(topic)) {
        socket.follow(topic, announcedPort);
      }
    }
    for (DhtId topic : before) {
      if (!wanted.contains(topic)) {
        socket.unfollow(topic);
      }
    }
    followed.put(databaseId, wanted);
  }

  /** Announces another port from now on, as a router has mapped it; nothing where none was. */
  synchronized void announcePort(int port) {
    if (announcedPort == 0 || announcedPort == port) {
      return;
    }
    announcedPort = port;
    for (Set<DhtId> topics : followed.values()) {
      for (DhtId topic : topics) {
        socket.unfollow(topic);
        socket.follow(topic, port);
      }
    }
  }

  void hurry(DatabaseKeys keys) {
    socket.hurry(topic(keys));
  }

  /** As {@link DhtSocket#moved}. */
  void moved() {
    socket.moved();
  }

  CompletableFuture<DhtStatus> status() {
    return socket.status();
  }

  /** Looks once, without announcing. */
  CompletableFuture<LookupTrace> search(DhtId topic) {
    return socket.search(topic, 0);
  }

  @Override
  public void close() {
    closed = true;
    save();
    socket.close();
  }
}
