package io.pluresdb.daemon.node;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.MembershipEntry.Admit;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.compaction.CompactionSettings;
import io.pluresdb.crdt.compaction.StableCut;
import io.pluresdb.crdt.engine.CompactionStatus;
import io.pluresdb.crdt.engine.ReplicaEngine;
import io.pluresdb.crdt.engine.ReplicaStore;
import io.pluresdb.crdt.reconcile.KeyScope;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Finding;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.daemon.replication.KeyMessage;
import io.pluresdb.daemon.replication.Replicator;
import io.pluresdb.storage.backup.BackupFiles;
import io.pluresdb.storage.backup.BackupManifest;
import io.pluresdb.storage.crypto.EncryptionConfig;
import io.pluresdb.storage.crypto.EncryptionException;
import io.pluresdb.storage.crypto.KeyVault;
import io.pluresdb.storage.file.DurableFiles;
import io.pluresdb.storage.rocks.WriteAheadLog;
import io.pluresdb.storage.search.SearchIndexes;
import io.pluresdb.storage.search.Searches;
import io.pluresdb.transport.dht.AddressScope;
import io.pluresdb.transport.dht.DhtCounter;
import io.pluresdb.transport.dht.DhtId;
import io.pluresdb.transport.dht.LookupTrace;
import io.pluresdb.transport.identity.DeviceId;
import io.pluresdb.transport.identity.DeviceIdentity;
import io.pluresdb.transport.lan.LanDiscovery;
import io.pluresdb.transport.lan.LanSettings;
import io.pluresdb.transport.nat.NatStatus;
import io.pluresdb.transport.nat.PortKind;
import io.pluresdb.transport.nat.PortMapping;
import io.pluresdb.transport.net.PortMappings;
import io.pluresdb.transport.net.RelayClient;
import io.pluresdb.transport.net.TcpTransport;
import io.pluresdb.transport.net.UdpSocket;
import io.pluresdb.transport.path.Backoff;
import io.pluresdb.transport.path.Candidate;
import io.pluresdb.transport.path.Dialer;
import io.pluresdb.transport.path.NatKind;
import io.pluresdb.transport.path.Reachability;
import io.pluresdb.transport.relay.RelayStatus;
import io.pluresdb.transport.session.CloseReason;
import io.pluresdb.transport.session.OpenPath;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.session.SessionLimits;
import io.pluresdb.transport.session.SessionPath;
import io.pluresdb.transport.topic.DatabaseKeys;
import io.pluresdb.transport.topic.Hint;
import io.pluresdb.transport.topic.SyncKey;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A {@link Node} over a data directory, with or without a network. */
public final class DeviceNode implements Node, AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(DeviceNode.class);

  /** Names of databases: they are folder names too. */
  private static final String NAME_PATTERN = "[a-z0-9][a-z0-9_-]{0,62}";

  /** How often it is looked whether the members have come to another key. */
  private static final Duration LOOK = Duration.ofSeconds(1);

  /** Databases that are opened at a time. */
  private static final int OPENERS = 8;

  private static final Duration MIN_VALIDITY = Duration.ofMinutes(1);
  private static final Duration MAX_VALIDITY = Duration.ofDays(30);

  private final DataDirectory directory;
  private final NodeOptions options;
  private final DeviceIdentity device;

  /** What a start does besides goes first: loading the native library keeps a processor busy. */
  private static final Duration QUIC_AFTER = Duration.ofSeconds(1);

  private final Environment environment;
  private final Instant startedAt;
  private final NavigableMap<String, LocalDatabase> databases = new ConcurrentSkipListMap<>();
  private final ExecutorService background = Executors.newVirtualThreadPerTaskExecutor();
  private final Admission admission;
  private final Backups backups;
  private final ReencryptionJob reencryption;
  private final @Nullable LoadedEmbedder embedder;
  private final @Nullable Net net;

  /** Held while databases come, go or change their names. */
  private final ReentrantLock administering = new ReentrantLock();

  private volatile boolean closing;
  private volatile CompactionSettings compaction;
  private volatile List<InetSocketAddress> staticPeers;

  /** What a node with a network has besides its databases. */
  private record Net(
      TcpTransport transport,
      @Nullable InetSocketAddress listening,
      Dialer dialer,
      @Nullable LanDiscovery lan,
      @Nullable DhtDiscovery dht,
      @Nullable PortMappings mappings,
      RelayLinks relays,
      @Nullable Whereabouts whereabouts,
      AtomicReference<String> quic) {
    /** The network has changed, or the device slept: what is gone is noticed and made good soon. */
    void changed() {
      transport.networkChanged();
      dialer.hurry();
      relays.hurry();
      if (dht != null) {
        dht.moved();
      }
      if (lan != null) {
        lan.announceNow();
      }
    }

    /**
     * Looks for the peers of a database under these keys and lets them find this device, under no
     * others.
     */
    void followOnly(String databaseId, List<DatabaseKeys> keys) {
      if (dht != null) {
        dht.followOnly(databaseId, keys);
      }
      relays.followOnly(databaseId, keys);
    }
  }

  private DeviceNode(DataDirectory directory, NodeOptions options, DeviceIdentity device) {
    this.directory = directory;
    this.options = options;
    this.compaction = options.compaction();
    this.staticPeers = options.network() == null ? List.of() : options.network().staticPeers();
    this.device = device;
    this.environment = new Environment(InstantSource.system(), new SecureRandom());
    this.startedAt = Instant.now();
    NodeOptions.Embeddings embeddings = options.embeddings();
    this.embedder = embeddings == null ? null : new LoadedEmbedder(embeddings.load());
    Joins.recover(directory);
    Backups.recover(directory);
    DatabaseFolders.recover(directory);
    Salvage.finish(directory);
    this.backups = new Backups(directory, environment);
    openAll(directory.databases());
    this.reencryption = new ReencryptionJob(directory, databases, () -> closing);
    this.admission = new Admission(this, device, options.deviceName(), environment);
    NodeOptions.Network network = options.network();
    this.net = network == null ? null : startNetwork(network);
    reencryption.resume(background);
  }

  /** Makes a data directory that is not encrypted. */
  public static void init(Path root, boolean force) {
    init(root, force, null);
  }

  /**
   * Makes a data directory: a device key and the database {@code default}.
   *
   * @param force start over where there is one already: everything in it is deleted
   * @param secret what unlocks it from now on; null for one that is not encrypted
   * @throws NodeException {@code NODE_ALREADY_INITIALIZED} without {@code force}, also where only
   *     the device key is missing
   */
  public static void init(Path root, boolean force, @Nullable EncryptionConfig secret) {
    if (DataDirectory.isInitialized(root) && !force) {
      throw new NodeException(
          "NODE_ALREADY_INITIALIZED",
          root + " is a PluresDB data directory already",
          "use it as it is, or delete everything in it with --force");
    }
    try (DataDirectory directory = DataDirectory.open(root)) {
      if (!force && directory.hasStore()) {
        throw new NodeException(
            "NODE_ALREADY_INITIALIZED",
            root + " holds databases, but its device.key is missing",
            "put device.key back, or delete everything in it with --force");
      }
      // Also what an init that did not end left behind.
      directory.clear();
      var random = new SecureRandom();
      if (secret != null) {
        // First: whatever is made without it could only be made anew.
        directory.sealWith(
            KeyVault.create(directory.encryption(), secret, random, InstantSource.system()));
      }
      DeviceIdentity device = DeviceIdentity.create(random);
      found(directory, DEFAULT_DATABASE, device, random);
      // Last: with it the directory is made.
      device.save(directory.deviceKey());
    }
  }

  /** Writes the file of a new database that this device founds. */
  private static void found(
      DataDirectory directory, String name, DeviceIdentity device, SecureRandom random) {
    try {
      DurableFiles.makeFolders(directory.database(name));
    } catch (IOException e) {
      throw new StorageException.Failed("cannot make " + directory.database(name), e);
    }
    SyncKey key = SyncKey.parse(SyncKey.generateSyncKey(random));
    new DatabaseFile(
            DatabaseFile.FORMAT,
            key.databaseId(),
            DatabaseFile.Keys.first(key.revealHex()),
            HexFormat.of().formatHex(device.publicKey()),
            List.of(),
            List.of(),
            List.of(),
            null,
            null,
            null)
        .save(directory.databaseFile(name), directory.vault());
  }

  /**
   * Opens a data directory, making it first where it is missing.
   *
   * @throws StorageException.OpenFailed when it is in use or cannot be read
   * @throws io.pluresdb.transport.net.ListenFailedException when the address for peers is taken
   */
  public static DeviceNode open(Path root, NodeOptions options) {
    if (!DataDirectory.isInitialized(root)) {
      init(root, false);
    }
    DataDirectory directory = DataDirectory.open(root);
    try {
      FirstEncryption.finish(directory);
      unlock(directory, options.secret());
      return new DeviceNode(directory, options, DeviceIdentity.load(directory.deviceKey()));
    } catch (RuntimeException e) {
      directory.close();
      throw e;
    }
  }

  private static void unlock(DataDirectory directory, NodeOptions.Secret secret) {
    if (DataDirectory.isEncrypted(directory.root())) {
      EncryptionConfig given = secret.of(KeyVault.metadata(directory.encryption()));
      directory.sealWith(
          KeyVault.unlock(
              directory.encryption(), given, new SecureRandom(), InstantSource.system()));
    }
  }

  /** Opens databases, several at a time: what opening one takes is mostly waiting for the disk. */
  private void openAll(List<String> names) {
    try (var openers = Executors.newFixedThreadPool(Math.clamp(names.size(), 1, OPENERS))) {
      var opened = new ArrayList<CompletableFuture<Void>>();
      for (int i = 0; i < names.size(); i++) {
        String name = names.get(i);
        int nth = i + 1;
        opened.add(
            CompletableFuture.runAsync(
                () -> databases.put(name, openDatabase(name, nth)), openers));
      }
      CompletableFuture.allOf(opened.toArray(CompletableFuture[]::new)).join();
    } catch (CompletionException e) {
      databases.values().forEach(LocalDatabase::close);
      throw e.getCause() instanceof RuntimeException cause ? cause : e;
    }
  }

  /** From now on remembers history for so long, in every database. */
  public void remember(CompactionSettings settings) {
    compaction = settings;
    databases
        .values()
        .forEach(database -> database.store().execute(engine -> engine.remember(settings)));
  }

  /**
   * From now on keeps these connected, in every database; those that were kept so far are not let
   * go. A node without a network dials nobody.
   */
  public void keepConnected(List<InetSocketAddress> peers) {
    staticPeers = List.copyOf(peers);
    for (LocalDatabase database : databases.values()) {
      Neighbours neighbours = database.neighbours();
      if (neighbours != null) {
        staticPeers.forEach(neighbours::keep);
      }
    }
  }

  private LocalDatabase openDatabase(String name) {
    return openDatabase(name, databases.size() + 1);
  }

  private LocalDatabase openDatabase(String name, int nth) {
    LocalDatabase database =
        LocalDatabase.open(
            directory,
            name,
            device,
            environment,
            nth,
            embedding(),
            this::established,
            this::keyMessage);
    database.store().execute(engine -> engine.remember(compaction));
    Membership membership = database.store().view().membership();
    boolean founder = Arrays.equals(membership.founder(), device.publicKey());
    if (founder && membership.members().isEmpty()) {
      MembershipEntry entry =
          MembershipEntry.Admit.sign(
              ReplicaIdentity.databaseHash(database.id()),
              device.publicKey(),
              Role.ADMIN,
              options.deviceName(),
              environment.wallClock().millis(),
              new byte[MembershipEntry.INVITE_BYTES],
              membership.newest(),
              new Signer(device.publicKey(), device::sign));
      CrdtStore.await(
          database
              .store()
              .call(
                  engine -> {
                    engine.admit(entry);
                    return true;
                  }));
    }
    return database;
  }

  private SearchIndexes.@Nullable Embedding embedding() {
    NodeOptions.Embeddings embeddings = options.embeddings();
    return embeddings == null || embedder == null
        ? null
        // One command without the daemon is over before it would have begun.
        : new SearchIndexes.Embedding(embedder, embeddings.fields(), options.network() != null);
  }

  private Net startNetwork(NodeOptions.Network network) {
    var transportEnvironment =
        new io.pluresdb.transport.Environment(environment.wallClock(), environment.random());
    var transport =
        new TcpTransport(device, admission, SessionLimits.defaults(), transportEnvironment);
    try {
      var dialer =
          new Dialer(
              new Dialer.Connector() {
                @Override
                public CompletionStage<OpenPath> dial(Candidate candidate, DatabaseKeys database) {
                  return DeviceNode.this.dial(transport, candidate, database);
                }

                @Override
                public boolean isServed(
                    Candidate candidate, DatabaseKeys database, @Nullable DeviceId peer) {
                  return sought(database).stream()
                      .anyMatch(keys -> transport.isServed(candidate, keys, peer));
                }
              },
              transport.timers(),
              Backoff.Limits.defaults(),
              environment.random());
      var relays =
          new RelayLinks(
              transport,
              network.relays(),
              new RelayClient.Listener() {
                @Override
                public void found(DatabaseKeys keys, Candidate.Relayed peer) {
                  LocalDatabase database = byId(keys.databaseId());
                  Neighbours neighbours = database == null ? null : database.neighbours();
                  if (neighbours != null) {
                    neighbours.found(peer);
                  }
                  admission.found(keys, peer, transport);
                }

                @Override
                public void gone(DatabaseKeys keys, Candidate.Relayed peer) {
                  dialer.remove(peer, keys.databaseId());
                  admission.gone(keys, peer);
                }
              });
      databases.values().forEach(database -> govern(database, transport, dialer, relays, network));
      InetSocketAddress listening = null;
      Whereabouts whereabouts = null;
      var quic = new AtomicReference<>("off");
      DhtDiscovery dht = null;
      PortMappings mappings = null;
      LanDiscovery lan = null;
      InetSocketAddress listen = network.listen();
      if (listen != null) {
        listening = transport.listen(listen);
        admission.acceptsOn(listening.getPort());
        if (network.quic() || network.dht() != null) {
          whereabouts = Whereabouts.bind(listening, environment.random(), background);
          dht = enterDht(network, listening.getPort(), whereabouts.udp(), transport);
          whereabouts.ask(dht, relays);
        }
        if (network.quic() && whereabouts != null) {
          quic.set("starting");
          Whereabouts port = whereabouts;
          transport.timers().schedule(QUIC_AFTER, () -> speakQuic(transport, port, quic));
        }
        lan = announce(network, listening, transport, transportEnvironment);
        mappings = mapPorts(network, listening, dht, whereabouts);
      }
      var started =
          new Net(transport, listening, dialer, lan, dht, mappings, relays, whereabouts, quic);
      transport.onPaths(paths(dialer));
      for (LocalDatabase database : databases.values()) {
        relays.useAll(database.file().peers());
        start(database);
        follow(database, started);
      }
      transport.timers().schedule(LOOK, () -> lookLater(started));
      if (whereabouts != null) {
        whereabouts.watch(transport.timers(), environment.wallClock(), started::changed);
      }
      return started;
    } catch (RuntimeException e) {
      transport.close();
      databases.values().forEach(LocalDatabase::close);
      throw e;
    }
  }

  /** In the background: loading the native library is not what a start should wait for. */
  private void speakQuic(
      TcpTransport transport, Whereabouts whereabouts, AtomicReference<String> state) {
    background.execute(
        () -> {
          String why;
          try {
            why = closing ? "stopping" : transport.speakQuic(whereabouts.udp(), whereabouts::look);
          } catch (RuntimeException e) {
            log.error("QUIC cannot be spoken", e);
            why = String.valueOf(e.getMessage());
          }
          state.set(why.isEmpty() ? "on" : why);
          if (!why.isEmpty() && !closing) {
            log.warn("no direct paths through NATs cause={}", why);
          }
        });
  }

  private TcpTransport.PathListener paths(Dialer dialer) {
    return new TcpTransport.PathListener() {
      @Override
      public void moved(Session session) {
        found(session);
      }

      @Override
      public void stranded(Session session, CloseReason reason) {
        dialer.hurry(session.databaseId(), session.peer());
      }

      @Override
      public void suspected(Session session) {
        dialer.hurry(session.databaseId(), session.peer());
      }
    };
  }

  private @Nullable DhtDiscovery enterDht(
      NodeOptions.Network network, int sessionPort, UdpSocket udp, TcpTransport transport) {
    NodeOptions.Dht dhtOptions = network.dht();
    return dhtOptions == null
        ? null
        : DhtDiscovery.open(
            directory.dhtNodes(),
            udp,
            sessionPort,
            dhtOptions,
            environment.random(),
            transport.timers(),
            background,
            (topic, peer) -> found(topic, peer, transport));
  }

  private @Nullable PortMappings mapPorts(
      NodeOptions.Network network,
      InetSocketAddress listening,
      @Nullable DhtDiscovery dht,
      @Nullable Whereabouts whereabouts) {
    if (!network.portMapping() || listening.getAddress().isLoopbackAddress()) {
      return null;
    }
    var ports = new EnumMap<PortKind, Integer>(PortKind.class);
    ports.put(PortKind.TCP, listening.getPort());
    if (whereabouts != null) {
      ports.put(PortKind.UDP, whereabouts.udp().address().getPort());
    }
    PortMappings mappings =
        PortMappings.start(
            ports,
            environment.random(),
            mapped -> {
              if (dht != null) {
                InetSocketAddress external = external(mapped);
                dht.announcePort(external == null ? listening.getPort() : external.getPort());
              }
            });
    if (whereabouts != null) {
      whereabouts.ask(
          () ->
              mappings.status().mappings().stream()
                  .filter(mapping -> mapping.kind() == PortKind.UDP)
                  .map(PortMapping::external)
                  .toList());
    }
    return mappings;
  }

  /** Where anybody reaches the port of sessions; null behind a further NAT, or without mapping. */
  private static @Nullable InetSocketAddress external(List<PortMapping> mappings) {
    return mappings.stream()
        .filter(mapping -> mapping.kind() == PortKind.TCP)
        .map(PortMapping::external)
        .filter(at -> AddressScope.of(at.getAddress()) == AddressScope.GLOBAL)
        .findFirst()
        .orElse(null);
  }

  private @Nullable LanDiscovery announce(
      NodeOptions.Network network,
      InetSocketAddress listening,
      TcpTransport transport,
      io.pluresdb.transport.Environment transportEnvironment) {
    LanSettings lanSettings = network.lan();
    if (lanSettings == null) {
      return null;
    }
    var lan =
        new LanDiscovery(
            lanSettings,
            transportEnvironment,
            transport.timers(),
            device.id(),
            listening.getPort(),
            this::hints,
            contact -> {
              LocalDatabase database = byHint(contact.hint());
              Neighbours neighbours = database == null ? null : database.neighbours();
              if (neighbours != null) {
                neighbours.found(contact.address());
              }
              admission.found(contact.hint(), contact.address(), transport);
            });
    lan.start();
    return lan;
  }

  /** Somebody says that there is a peer of a topic. */
  private void found(DhtId topic, InetSocketAddress peer, TcpTransport transport) {
    for (LocalDatabase database : databases.values()) {
      Neighbours neighbours = database.neighbours();
      if (neighbours != null
          && database.epochs().sought().stream()
              .anyMatch(keys -> DhtDiscovery.topic(keys).equals(topic))) {
        neighbours.found(peer);
      }
    }
    admission.found(topic, peer, transport);
  }

  private void govern(
      LocalDatabase database,
      TcpTransport transport,
      Dialer dialer,
      RelayLinks relays,
      NodeOptions.Network network) {
    database.connectBy(
        new Neighbours(
            transport,
            (address, keys) ->
                dial(transport, new Candidate.Direct(address), keys).thenApply(OpenPath::session),
            dialer,
            environment.random(),
            database.keys(),
            database.store(),
            () -> {
              var known = new ArrayList<Candidate>();
              database.epochs().sought().forEach(keys -> known.addAll(relays.present(keys)));
              staticPeers.forEach(peer -> known.add(new Candidate.Direct(peer)));
              if (network.listen() != null) {
                known.addAll(Addresses.direct(database.file().peers()));
              }
              return known;
            }));
  }

  private static void start(LocalDatabase database) {
    Neighbours neighbours = database.neighbours();
    if (neighbours != null) {
      neighbours.start();
    }
  }

  private Set<Hint> hints() {
    var hints = new HashSet<>(admission.joining());
    databases
        .values()
        .forEach(database -> database.epochs().sought().forEach(keys -> hints.add(keys.hint())));
    return hints;
  }

  @Nullable LocalDatabase byHint(Hint hint) {
    for (LocalDatabase database : databases.values()) {
      if (database.epochs().byHint(hint) != null) {
        return database;
      }
    }
    return null;
  }

  /** Remembers where a peer accepts sessions, to find it again when this session ends. */
  private void established(Session session) {
    inBackground(session, (database, with) -> metOrTold(database, with));
    found(session);
  }

  private void found(Session session) {
    String address = Introduction.address(session);
    if (!session.dialledPath() && !address.isEmpty() && !closing) {
      background.execute(() -> remember(session, address));
    }
  }

  private interface Work {
    void on(LocalDatabase database, Session session);
  }

  /** Does something for the database of a session that may take long. */
  private void inBackground(Session session, Work work) {
    if (closing) {
      return;
    }
    background.execute(
        () -> {
          LocalDatabase database = byId(session.databaseId());
          if (database != null && !closing) {
            try {
              work.on(database, session);
            } catch (StorageException e) {
              log.warn("keys not saved database={} cause={}", database.name(), e.getMessage());
            }
          }
        });
  }

  private void metOrTold(LocalDatabase database, Session session) {
    database.epochs().met(session);
    look(database);
    var _ =
        session
            .closure()
            .thenAccept(
                reason -> {
                  if (reason instanceof CloseReason.Ended(var code, var _)
                      && code.equals(Replicator.REMOVED_CODE)) {
                    inBackground(session, (of, told) -> of.epochs().told(told));
                  }
                });
  }

  /** A peer says something about keys. */
  private void keyMessage(Session session, KeyMessage message) {
    inBackground(
        session,
        (database, from) -> {
          if (database.epochs().receive(from, message)) {
            moved(database);
          }
        });
  }

  /** Whether the members of a database have come to another key. */
  private void look(LocalDatabase database) {
    if (database.epochs().look()) {
      moved(database);
    }
  }

  private void lookLater(Net network) {
    if (closing) {
      return;
    }
    background.execute(
        () -> {
          for (LocalDatabase database : databases.values()) {
            try {
              look(database);
              follow(database, network);
            } catch (StorageException e) {
              log.warn("keys not saved database={} cause={}", database.name(), e.getMessage());
            }
          }
        });
    network.transport.timers().schedule(LOOK, () -> lookLater(network));
  }

  /** A database has another key: it is looked for elsewhere. */
  private void moved(LocalDatabase database) {
    Net network = net;
    if (network != null) {
      follow(database, network);
      if (network.lan != null) {
        network.lan.announceNow();
      }
    }
  }

  /** Looks for a database in the DHT and at relays under the keys it is sought by, no others. */
  private void follow(LocalDatabase database, Net network) {
    List<DatabaseKeys> wanted = isSought(database) ? database.epochs().sought() : List.of();
    network.followOnly(database.id(), wanted);
  }

  /** The keys under which the database of some keys is looked for, its current ones first. */
  private List<DatabaseKeys> sought(DatabaseKeys named) {
    LocalDatabase database = byId(named.databaseId());
    return database == null ? List.of(named) : database.epochs().sought();
  }

  /**
   * Dials with the keys that the database has now, then with earlier ones, as long as somebody may
   * have no others. Who is met at a relay under earlier keys may have the current ones by now.
   */
  private CompletionStage<OpenPath> dial(
      TcpTransport transport, Candidate candidate, DatabaseKeys named) {
    List<DatabaseKeys> sought = sought(named);
    CompletionStage<OpenPath> dialled = transport.dial(candidate, sought.getFirst());
    for (DatabaseKeys earlier : sought.subList(1, sought.size())) {
      dialled = dialled.exceptionallyCompose(failure -> transport.dial(candidate, earlier));
    }
    return dialled;
  }

  private void remember(Session session, String address) {
    LocalDatabase database = byId(session.databaseId());
    Neighbours neighbours = database == null ? null : database.neighbours();
    if (database == null || neighbours == null || closing || !neighbours.isRemembered()) {
      return;
    }
    try {
      database.update(file -> file.withPeer(address));
    } catch (StorageException e) {
      log.warn("peer address not remembered address={} cause={}", address, e.getMessage());
    }
    var _ = session.closure().thenRun(() -> neighbours.keep(Addresses.parse(address)));
  }

  private @Nullable LocalDatabase byId(String databaseId) {
    for (LocalDatabase database : databases.values()) {
      if (database.id().equals(databaseId)) {
        return database;
      }
    }
    return null;
  }

  @Override
  public String deviceId() {
    return device.id().toString();
  }

  @Override
  public Instant startedAt() {
    return startedAt;
  }

  /** Where this node accepts sessions, or null when it does not. */
  public @Nullable InetSocketAddress listening() {
    return net == null ? null : net.listening;
  }

  @Override
  public List<String> databases() {
    return List.copyOf(databases.keySet());
  }

  LocalDatabase database(String name) {
    LocalDatabase database = databases.get(name);
    if (database == null) {
      if (admission.isJoining(name)) {
        throw new NodeException(
            "NODE_BUSY", "database \"" + name + "\" is joining", "try again in a moment");
      }
      throw new NodeException(
          "NODE_UNKNOWN_DATABASE",
          "there is no database \"" + name + "\"",
          "databases here: " + String.join(", ", databases.keySet()));
    }
    return database;
  }

  @Override
  public CrdtStore store(String name) {
    return database(name).limited();
  }

  @Override
  public void requireCopies(String name, int copies) {
    requireNetwork();
    int others = database(name).store().view().membership().members().size() - 1;
    if (copies > others) {
      throw new NodeException(
          "NODE_TOO_FEW_DEVICES",
          "copies must be at most the number of other devices of database \""
              + name
              + "\", which is "
              + others
              + ", but is "
              + copies,
          "pluresdb invite lets another device in");
    }
  }

  @Override
  public CompletableFuture<Integer> awaitCopies(
      String name, CrdtStore.Receipt write, int copies, Duration wait) {
    CompletableFuture<Integer> done = database(name).replicator().awaitCopies(write, copies);
    return done.orTimeout(wait.toMillis(), TimeUnit.MILLISECONDS)
        .exceptionally(
            failure -> {
              throw new NodeException(
                  "NODE_NOT_REPLICATED",
                  "the write is kept here, but "
                      + (copies == 1 ? "no other device" : "fewer than " + copies + " others")
                      + " had it within "
                      + wait.toMillis()
                      + " ms",
                  "nothing needs to be written again: they get it when they are connected, see"
                      + " pluresdb peers");
            });
  }

  @Override
  public Quota quota(String name) {
    return database(name).file().quotaHeld();
  }

  @Override
  public void limit(String name, Quota quota) {
    database(name).update(file -> file.withQuota(quota));
  }

  @Override
  public void createDatabase(String name, Quota quota) {
    alone(
        () -> {
          requireFree(name);
          String draft = DatabaseFolders.draft(directory, name);
          found(directory, draft, device, new SecureRandom());
          try (LocalDatabase made = openDatabase(draft)) {
            made.update(file -> file.withQuota(quota));
          }
          DatabaseFolders.move(directory, draft, name);
          serve(name);
          return null;
        });
  }

  @Override
  public void dropDatabase(String name) {
    alone(
        () -> {
          LocalDatabase database = database(name);
          forget(database);
          DatabaseFolders.drop(directory, name);
          return null;
        });
  }

  @Override
  public void moveDatabase(String name, String to) {
    alone(
        () -> {
          LocalDatabase database = database(name);
          requireFree(to);
          forget(database);
          try {
            DatabaseFolders.move(directory, name, to);
          } catch (StorageException e) {
            serve(name);
            throw e;
          }
          serve(to);
          return null;
        });
  }

  @Override
  public long copyDatabase(String name, String to) {
    return alone(
        () -> {
          LocalDatabase original = database(name);
          requireFree(to);
          String draft = DatabaseFolders.draft(directory, to);
          found(directory, draft, device, new SecureRandom());
          long carried;
          try (LocalDatabase copy = openDatabase(draft)) {
            carried = Joins.carry(original, copy);
            original.searches().definitions().forEach(copy.searches()::declare);
            copy.update(file -> file.withQuota(original.file().quotaHeld()));
          }
          DatabaseFolders.move(directory, draft, to);
          serve(to);
          return carried;
        });
  }

  /** One at a time of what changes which databases there are. */
  private <T extends @Nullable Object> T alone(Supplier<T> work) {
    if (!administering.tryLock()) {
      throw busy("databases are being changed");
    }
    try {
      if (reencryption.isRunning()) {
        throw busy("everything is being encrypted anew");
      }
      return work.get();
    } finally {
      administering.unlock();
    }
  }

  private static NodeException busy(String why) {
    return new NodeException("NODE_BUSY", why, "try again in a moment");
  }

  private void requireFree(String name) {
    requireName(name);
    if (admission.isJoining(name)) {
      throw busy("database \"" + name + "\" is joining");
    }
    if (databases.containsKey(name)) {
      throw new NodeException(
          "NODE_DATABASE_EXISTS",
          "there is a database \"" + name + "\" already",
          "choose another name, or drop it first");
    }
    if (databases.size() >= MAX_DATABASES) {
      throw new NodeException(
          "NODE_TOO_MANY_DATABASES",
          "there are " + databases.size() + " databases, which is the most",
          "drop one, or use another data directory");
    }
  }

  /** Opens a database and lets others find it. */
  private LocalDatabase serve(String name) {
    LocalDatabase database = openDatabase(name);
    Net network = net;
    NodeOptions.Network settings = options.network();
    if (network != null && settings != null) {
      govern(database, network.transport, network.dialer, network.relays, settings);
      network.relays.useAll(database.file().peers());
    }
    databases.put(name, database);
    start(database);
    if (network != null) {
      follow(database, network);
    }
    return database;
  }

  /** Lets nobody find a database any more and closes it. */
  private void forget(LocalDatabase database) {
    databases.remove(database.name());
    Net network = net;
    if (network != null) {
      network.followOnly(database.id(), List.of());
      for (Dialer.Target target : network.dialer.targets()) {
        if (target.databaseId().equals(database.id())) {
          network.dialer.remove(target.candidate(), database.id());
        }
      }
    }
    database.close();
  }

  @Override
  public Searches searches(String database) {
    return database(database).searches();
  }

  @Override
  public DatabaseStatus status(String name) {
    LocalDatabase database = database(name);
    return new DatabaseStatus(
        name,
        database.id(),
        database.keys().topic().hex(),
        database.file().prefixesHeld(),
        database.store().status(),
        database.bytesOnDisk(),
        database.replicator().connections().size(),
        Members.role(database, device),
        database.replicator().trafficBytes());
  }

  @Override
  public CompletableFuture<Void> pulse() {
    return CompletableFuture.allOf(
        databases.values().stream()
            .map(database -> database.store().call(engine -> true))
            .toArray(CompletableFuture[]::new));
  }

  @Override
  public Map<String, String> stopped() {
    var stopped = new TreeMap<String, String>();
    databases.forEach(
        (name, database) -> {
          RuntimeException cause = database.store().broken();
          if (cause != null) {
            stopped.put(name, String.valueOf(cause.getMessage()));
          }
        });
    return stopped;
  }

  @Override
  public Activity activity(String name) {
    ReplicaStore store = database(name).store();
    return store.call(engine -> activity(engine, store)).join();
  }

  private static Activity activity(ReplicaEngine engine, ReplicaStore store) {
    ReplicaEngine.Counters counters = engine.counters();
    ReplicaEngine.SnapshotCounters snapshots = engine.snapshots();
    var rejected = new TreeMap<String, Long>();
    counters
        .rejected()
        .forEach((reason, count) -> rejected.put(reason.name().toLowerCase(Locale.ROOT), count));
    return new Activity(
        store.queuedWrites(),
        store.queuedBytes(),
        counters.localChanges(),
        counters.foreignChanges(),
        counters.knownRuns(),
        counters.divergences(),
        rejected,
        snapshots.offered(),
        snapshots.joined(),
        snapshots.failed());
  }

  @Override
  public List<PeerStatus> peers(String name) {
    LocalDatabase database = database(name);
    var peers = new ArrayList<PeerStatus>();
    var connected = new HashSet<String>();
    for (Replicator.Connection connection : database.replicator().connections()) {
      Session session = connection.session();
      String address =
          session.path() instanceof SessionPath.Relayed(var relay)
              ? relay.toString()
              : Addresses.format((InetSocketAddress) session.remoteAddress());
      connected.add(address);
      peers.add(
          new PeerStatus(
              session.peer().toString(),
              nameOf(database, session),
              address,
              session.hasPath() ? text(session.path()) : "none",
              session.dialledPath() ? "outbound" : "inbound",
              session.hasPath() ? "connected" : "connecting",
              connection.lag(),
              session.bytesSent(),
              session.bytesReceived(),
              roundTripMicros(session),
              ""));
    }
    if (net != null) {
      String id = database.id();
      for (Dialer.Target target : net.dialer.targets()) {
        String address =
            switch (target.candidate()) {
              case Candidate.Direct(var at) -> Addresses.format(at);
              case Candidate.Quic(var at) -> Addresses.format(at);
              case Candidate.Relayed relayed -> relayed.relay().toString();
            };
        boolean wanted = target.state() != Dialer.State.RESTING && !connected.contains(address);
        if (target.databaseId().equals(id) && wanted) {
          CloseReason failure = target.lastFailure();
          peers.add(
              new PeerStatus(
                  "",
                  "",
                  address,
                  "none",
                  "none",
                  failure instanceof CloseReason.EndedByPeer ? "rejected" : "connecting",
                  0,
                  0,
                  0,
                  0,
                  failure == null ? "" : Endings.text(failure)));
        }
      }
    }
    return peers;
  }

  private static String text(SessionPath path) {
    return switch (path) {
      case SessionPath.Direct ignored -> "direct";
      case SessionPath.Quic ignored -> "quic";
      case SessionPath.Relayed ignored -> "relay";
    };
  }

  private static long roundTripMicros(Session session) {
    Duration roundTrip = session.roundTrip();
    return roundTrip == null ? 0 : Math.max(1, roundTrip.toNanos() / 1_000);
  }

  @Override
  public NetworkStatus network() {
    if (net == null || net.whereabouts == null) {
      return new NetworkStatus("", "off", NatKind.UNKNOWN, List.of());
    }
    Reachability now = net.whereabouts.known().join();
    return new NetworkStatus(
        Addresses.format(net.whereabouts.udp().address()),
        net.quic.get(),
        now.nat(),
        Whereabouts.texts(now));
  }

  static String nameOf(LocalDatabase database, Session session) {
    Admit admission = database.store().view().membership().lastAdmission(session.peerPublicKey());
    return admission == null ? "" : admission.name();
  }

  @Override
  public LogStatus log(String name) {
    LocalDatabase database = database(name);
    return CrdtStore.await(database.store().call(DeviceNode::log));
  }

  @Override
  public CompletableFuture<LogStatus> vacuum(String name) {
    LocalDatabase database = database(name);
    var done = new CompletableFuture<LogStatus>();
    return database
        .store()
        .call(
            engine -> {
              engine.compactNow(() -> done.complete(log(engine)));
              return true;
            })
        .thenCompose(begun -> done)
        .thenApplyAsync(
            log -> {
              database.compact();
              return log;
            },
            background);
  }

  @Override
  public long remakeEdges(String name) {
    return CrdtStore.await(database(name).store().call(engine -> engine.replica().remakeEdges()));
  }

  @Override
  public BackupManifest backup(String name, Path target, boolean keys) {
    return backups.take(database(name), target, keys);
  }

  /**
   * Puts the database of a backup into a data directory, which is made when missing. The device
   * goes on under a new actor; a data directory without a device key takes that of the backup.
   *
   * @param name what the database is to be called here; it must not have documents here
   * @param secret unlocks the data directory where it is encrypted
   * @throws io.pluresdb.storage.backup.BackupException when the backup is not whole, or there is no
   *     room for it; nothing has changed then
   * @throws StorageException.OpenFailed {@code STORAGE_LOCKED} while a daemon holds the directory
   */
  public static BackupManifest restore(
      Path root, Path backup, String name, NodeOptions.Secret secret) {
    requireName(name);
    BackupManifest manifest = BackupFiles.verify(backup);
    if (!DataDirectory.isInitialized(root)) {
      Backups.requireKeys(manifest, root + " has no device key");
    }
    try (DataDirectory directory = DataDirectory.open(root)) {
      FirstEncryption.finish(directory);
      unlock(directory, secret);
      Backups.restore(directory, backup, manifest, name);
    }
    return manifest;
  }

  /**
   * Keeps what precedes the damage in the write-ahead log of a database, under a new actor; the
   * damaged store is put aside. Does nothing where there is no damage.
   *
   * @param secret unlocks the data directory where it is encrypted
   * @throws StorageException.OpenFailed {@code STORAGE_LOCKED} while a daemon holds the directory
   * @throws NodeException {@code NODE_UNKNOWN_DATABASE}; {@code NODE_NOT_SALVAGED} when more than
   *     the log is damaged
   */
  public static Salvage.Outcome recoverLog(Path root, String name, NodeOptions.Secret secret) {
    requireStore(root, name);
    try (DataDirectory directory = DataDirectory.open(root)) {
      FirstEncryption.finish(directory);
      unlock(directory, secret);
      Salvage.finish(directory);
      DeviceIdentity device = DeviceIdentity.load(directory.deviceKey());
      DatabaseFile file = DatabaseFile.load(directory.databaseFile(name), directory.vault());
      var environment = new Environment(InstantSource.system(), new SecureRandom());
      return new Salvage(directory, LocalDatabase.identity(file, device), environment, name).run();
    }
  }

  /**
   * Encrypts a data directory that is not, which nobody else may hold. Killed in the middle, it is
   * as it was or encrypted at the next start; done again, it goes on where it was.
   *
   * @param secret what unlocks it from then on; asked when it is needed
   * @return rows that were sealed
   * @throws NodeException {@code NODE_NOT_INITIALIZED} where there is no data directory
   * @throws io.pluresdb.storage.crypto.EncryptionException {@code ENCRYPTION_ENABLED_ALREADY},
   *     {@code ENCRYPTION_PLAIN_FILES}
   * @throws StorageException.OpenFailed {@code STORAGE_LOCKED} while a daemon holds the directory
   */
  public static long encrypt(Path root, Supplier<EncryptionConfig> secret) {
    if (!DataDirectory.isInitialized(root)) {
      throw new NodeException(
          "NODE_NOT_INITIALIZED",
          root + " is no PluresDB data directory",
          "init --encrypt makes an encrypted one");
    }
    try (DataDirectory directory = DataDirectory.open(root)) {
      var environment = new Environment(InstantSource.system(), new SecureRandom());
      return FirstEncryption.run(directory, secret, environment);
    }
  }

  /**
   * Reads the write-ahead log of a database and changes nothing, whether a daemon has it open or
   * not; what is just being written may look truncated then.
   *
   * @throws NodeException {@code NODE_UNKNOWN_DATABASE}
   */
  public static WriteAheadLog.Report inspectLog(Path root, String name) {
    return WriteAheadLog.inspect(requireStore(root, name));
  }

  private static Path requireStore(Path root, String name) {
    requireName(name);
    Path store = DataDirectory.store(root, name);
    if (!Files.isDirectory(store)) {
      throw new NodeException(
          "NODE_UNKNOWN_DATABASE",
          "there is no store of database \"" + name + "\" in " + root,
          "name another with --db, or another data directory with --data-dir");
    }
    return store;
  }

  private static LogStatus log(ReplicaEngine engine) {
    CompactionStatus status = engine.compaction();
    Membership membership = engine.replica().view().membership();
    var members = new ArrayList<Standing>();
    for (StableCut.Member member : status.cut().members()) {
      String called =
          membership.members().stream()
              .filter(entry -> Arrays.equals(entry.device(), member.device()))
              .map(entry -> entry.name())
              .findFirst()
              .orElse("");
      members.add(
          new Standing(
              DeviceId.of(member.device()).toString(),
              called,
              member.standing().name().toLowerCase(Locale.ROOT),
              Instant.ofEpochMilli(member.heardMillis()),
              member.behind()));
    }
    return new LogStatus(
        engine.replica().view().arrivals(),
        status.floor().arrivals(),
        status.settings().keepMillis(),
        status.settings().leaseMillis(),
        List.copyOf(members));
  }

  @Override
  public List<Device> devices(String name) {
    return members(name).devices();
  }

  @Override
  public Device approve(String name, String which, @Nullable Role role) {
    return members(name).approve(which, role);
  }

  @Override
  public Device revoke(String name, String which, @Nullable Role keep) {
    Device revoked = members(name).revoke(which, keep);
    KeyVault vault = directory.vault();
    if (vault != null && revoked.role() == null) {
      vault.revoked(revoked.deviceId());
    }
    return revoked;
  }

  @Override
  public EncryptionStatus encryption() {
    KeyVault vault = directory.vault();
    return new EncryptionStatus(
        vault == null ? null : vault.metadata(),
        reencryption.isRunning(),
        reencryption.rows(),
        reencryption.failure());
  }

  @Override
  public void changeSecret(EncryptionConfig old, EncryptionConfig fresh) {
    requireVault().change(old, fresh);
  }

  @Override
  public EncryptionStatus reencrypt() {
    reencryption.begin(requireVault(), background);
    return encryption();
  }

  @Override
  public EncryptionStatus rotateKey() {
    requireVault().rotate();
    return encryption();
  }

  private KeyVault requireVault() {
    KeyVault vault = directory.vault();
    if (vault == null) {
      throw new EncryptionException(
          "ENCRYPTION_NOT_ENABLED",
          "this data directory is not encrypted",
          "stop the daemon and encrypt it: pluresdb encryption enable");
    }
    return vault;
  }

  @Override
  public long adopt(String name, String which) {
    return members(name).adopt(which);
  }

  private Members members(String name) {
    return new Members(database(name), device, environment);
  }

  @Override
  public Author author(String name, ActorId actor) {
    ReplicaStore store = database(name).store();
    byte[] key = store.deviceKey(actor);
    if (key == null) {
      return new Author("", "");
    }
    Admit admission = store.view().membership().lastAdmission(key);
    return new Author(DeviceId.of(key).toString(), admission == null ? "" : admission.name());
  }

  @Override
  public Invite invite(String name, Role role, Duration validity, boolean approval) {
    LocalDatabase database = database(name);
    Net network = requireNetwork();
    if (validity.compareTo(MIN_VALIDITY) < 0 || validity.compareTo(MAX_VALIDITY) > 0) {
      throw CoreException.invalid(
          "an invite must be valid for 1 minute to 30 days, but is for " + validity);
    }
    if (!database.store().view().membership().may(device.publicKey(), Role.ADMIN)) {
      throw new NodeException(
          "NODE_NOT_ALLOWED",
          "this device is no admin of database \"" + name + "\"",
          "make the invite on the device that made the database");
    }
    var addresses = new ArrayList<>(network.relays.texts());
    InetSocketAddress external = external(portMapping().mappings());
    if (external != null && addresses.size() < InviteUrl.MAX_ADDRESSES) {
      addresses.add(Addresses.format(external));
    }
    if (network.listening != null) {
      addresses(network.listening).stream()
          .limit(InviteUrl.MAX_ADDRESSES - addresses.size())
          .forEach(addresses::add);
    }
    Invite invite = admission.invite(database, role, validity, approval, addresses);
    follow(database, network);
    return invite;
  }

  /** Whether another device may look for a database; strangers need not hear of any other. */
  private static boolean isSought(LocalDatabase database) {
    return database.store().view().membership().members().size() > 1
        || !database.file().invites().isEmpty()
        // The log with the other members may still be to come.
        || database.file().joined() != null;
  }

  /**
   * Where other devices may find this one; the loopback address last, for a second local daemon.
   */
  private static List<String> addresses(InetSocketAddress listening) {
    if (!listening.getAddress().isAnyLocalAddress()) {
      return List.of(Addresses.format(listening));
    }
    var found = new ArrayList<String>();
    try {
      for (NetworkInterface card : Collections.list(NetworkInterface.getNetworkInterfaces())) {
        if (!card.isUp() || card.isLoopback()) {
          continue;
        }
        for (InetAddress address : Collections.list(card.getInetAddresses())) {
          if (!address.isLinkLocalAddress() && found.size() + 1 < InviteUrl.MAX_ADDRESSES) {
            found.add(Addresses.format(new InetSocketAddress(address, listening.getPort())));
          }
        }
      }
    } catch (SocketException e) {
      log.warn("network interfaces cannot be listed cause={}", e.toString());
    }
    found.add("127.0.0.1:" + listening.getPort());
    return found;
  }

  @Override
  public CompletableFuture<Joined> join(String name, String url, List<String> prefixes) {
    KeyScope scope = scope(prefixes);
    Net network = requireNetwork();
    requireName(name);
    InviteUrl invite = InviteUrl.parse(url, environment.wallClock().instant());
    DatabaseKeys keys = invite.keys();
    LocalDatabase same = byId(keys.databaseId());
    if (same != null) {
      throw new NodeException(
          "NODE_ALREADY_JOINED",
          "this device has that database already, as \"" + same.name() + "\"",
          "nothing needs to be done");
    }
    LocalDatabase present = databases.get(name);
    if (present != null && present.store().view().membership().members().size() > 1) {
      throw new NodeException(
          "NODE_DATABASE_SHARED",
          "database \"" + name + "\" is shared with other devices already",
          "join under another name: --db NAME");
    }
    if (present != null) {
      requireWithin(scope, present);
    }
    var join = new Joins(directory, device, environment, prefixes);
    network.relays.useAll(invite.addresses());
    CompletableFuture<Boolean> entry =
        admission.requestEntry(
            name,
            keys,
            invite,
            network.listening == null ? List.of() : Addresses.direct(invite.addresses()),
            network.transport);
    if (network.lan != null) {
      network.lan.announceNow();
    }
    network.followOnly(keys.databaseId(), List.of(keys));
    var _ =
        entry.whenComplete(
            (entered, failure) -> {
              if (failure != null) {
                network.followOnly(keys.databaseId(), List.of());
              }
            });
    return entry.thenApplyAsync(
        entered -> {
          administering.lock();
          try {
            return finishJoin(join, name, keys, invite, network);
          } finally {
            administering.unlock();
            admission.endJoining(name);
          }
        },
        background);
  }

  private static void requireName(String name) {
    if (!name.matches(NAME_PATTERN)) {
      throw CoreException.invalid(
          "a database name must match " + NAME_PATTERN + ", but is \"" + name + "\"");
    }
  }

  private static KeyScope scope(List<String> prefixes) {
    try {
      return KeyScope.of(prefixes);
    } catch (CodecException e) {
      throw CoreException.invalid(String.valueOf(e.getMessage()));
    }
  }

  /** Documents that are carried over must be among those that will be held. */
  private static void requireWithin(KeyScope scope, LocalDatabase present) {
    if (scope.isAll()) {
      return;
    }
    try (CrdtStore.Documents documents = present.store().list("", null)) {
      while (documents.hasNext()) {
        String id = documents.next().id();
        if (!scope.contains(id.getBytes(StandardCharsets.UTF_8))) {
          throw new NodeException(
              "NODE_OUTSIDE_PREFIX",
              "document \"" + id + "\" of this device does not begin with " + scope,
              "delete it, or join under another name: --db NAME");
        }
      }
    }
  }

  private Joined finishJoin(
      Joins join, String name, DatabaseKeys keys, InviteUrl invite, Net network) {
    // From here until it is replaced nobody writes to the old database.
    LocalDatabase old = databases.remove(name);
    long carried;
    try {
      carried = join.replace(name, old, invite);
    } catch (RuntimeException e) {
      if (old != null) {
        databases.put(name, old);
      }
      throw e;
    }
    if (old != null) {
      network.followOnly(old.id(), List.of());
      old.close();
    }
    LocalDatabase joined = join.switchOver(name, () -> openDatabase(name));
    NodeOptions.Network settings = options.network();
    if (settings != null) {
      govern(joined, network.transport, network.dialer, network.relays, settings);
    }
    databases.put(name, joined);
    start(joined);
    Neighbours neighbours = joined.neighbours();
    if (neighbours != null) {
      // Whom relays named meanwhile, start has taken up.
      admission.foundFor(name).forEach(neighbours::found);
    }
    return new Joined(name, keys.databaseId(), invite.role(), carried);
  }

  private Net requireNetwork() {
    Net network = net;
    if (network == null) {
      throw new NodeException(
          "NODE_OFFLINE", "this needs the daemon, which is not running", "start `pluresdb serve`");
    }
    return network;
  }

  @Override
  public void connect(String name, InetSocketAddress address) {
    LocalDatabase database = database(name);
    Net network = requireNetwork();
    database.update(file -> file.withPeer(Addresses.format(address)));
    if (!network.dialer.add(address, database.keys())) {
      throw new NodeException(
          "NODE_TOO_MANY_PEERS",
          "at most " + Dialer.MAX_TARGETS + " addresses can be kept connected",
          "forget some with `pluresdb disconnect`");
    }
  }

  @Override
  public boolean disconnect(String name, InetSocketAddress address) {
    LocalDatabase database = database(name);
    Net network = requireNetwork();
    String text = Addresses.format(address);
    boolean known = database.file().peers().contains(text);
    database.update(file -> file.withoutPeer(text));
    network.dialer.remove(address, database.id());
    for (Replicator.Connection connection : database.replicator().connections()) {
      if (connection.session().remoteAddress().equals(address)) {
        known = true;
        Neighbours neighbours = database.neighbours();
        if (neighbours != null) {
          neighbours.shun(connection.session());
        }
        connection.session().close(new CloseReason.Ended("DISCONNECTED", "on request"));
      }
    }
    return known;
  }

  @Override
  public void sync(String name) {
    LocalDatabase database = database(name);
    Net network = requireNetwork();
    String id = database.id();
    for (Dialer.Target target : network.dialer.targets()) {
      if (target.databaseId().equals(id) && target.state() == Dialer.State.WAITING) {
        network.dialer.remove(target.candidate(), id);
        network.dialer.add(target.candidate(), database.keys());
      }
    }
    if (network.dht != null) {
      network.dht.hurry(database.keys());
    }
    database.store().execute(engine -> engine.probe());
  }

  @Override
  public List<Finding> doctor(String name) {
    return doctor(database(name)).findings();
  }

  /**
   * What can be said of a database that does not open.
   *
   * @param failure why it does not
   */
  public static List<Finding> doctorOfClosed(Path root, String name, Finding failure) {
    return Doctor.closed(root, name, failure);
  }

  @Override
  public CompletableFuture<Finding> doctorAgainst(String name, String peer) {
    LocalDatabase database = database(name);
    requireNetwork();
    return doctor(database).against(peer, background);
  }

  private Doctor doctor(LocalDatabase database) {
    Net network = net;
    return new Doctor(
        directory,
        database,
        environment.wallClock(),
        new Doctor.Surroundings(
            network != null,
            network == null ? null : network.dht,
            network == null ? null : network.relays,
            reencryption.failure()));
  }

  @Override
  public NetworkCounters networkCounters() {
    if (net == null) {
      return NetworkCounters.NONE;
    }
    var dht = new TreeMap<String, Long>();
    for (DhtCounter counter : DhtCounter.values()) {
      dht.put(counter.key(), 0L);
    }
    if (net.dht != null) {
      net.dht.status().join().counters().forEach((counter, value) -> dht.put(counter.key(), value));
    }
    SessionLimits limits = net.transport.limits();
    return new NetworkCounters(
        net.transport.counters().snapshot(),
        net.transport.halfOpenHandshakes(),
        Map.of(
            CloseReason.LIMIT_SESSIONS,
            limits.sessions(),
            CloseReason.LIMIT_HALF_OPEN,
            limits.halfOpen(),
            CloseReason.LIMIT_HALF_OPEN_PER_ADDRESS,
            limits.halfOpenPerAddress()),
        dht);
  }

  @Override
  public NatStatus portMapping() {
    return net == null || net.mappings == null ? NatStatus.NONE : net.mappings.status();
  }

  @Override
  public List<RelayStatus> relays() {
    return net == null ? List.of() : net.relays.status();
  }

  @Override
  public CompletableFuture<DhtReport> dht() {
    DhtDiscovery dht = requireDht();
    var names = new HashMap<DhtId, String>();
    databases.forEach((name, database) -> names.put(DhtDiscovery.topic(database.keys()), name));
    return dht.status()
        .thenApply(
            status -> new DhtReport(Addresses.format(dht.address()), status, Map.copyOf(names)));
  }

  @Override
  public CompletableFuture<LookupTrace> dhtLookup(DhtId topic) {
    return requireDht().search(topic);
  }

  private DhtDiscovery requireDht() {
    DhtDiscovery dht = requireNetwork().dht;
    if (dht == null) {
      throw new NodeException(
          "NODE_DHT_OFF",
          "this device takes no part in the DHT",
          "set peers.dht to true and serve without --no-dht");
    }
    return dht;
  }

  /** Stops dialling, ends the sessions, commits what has queued, closes every file. */
  @Override
  public void close() {
    closing = true;
    if (net != null) {
      net.dialer.close();
      if (net.mappings != null) {
        net.mappings.close();
      }
      if (net.lan != null) {
        net.lan.close();
      }
      if (net.dht != null) {
        net.dht.close();
      }
    }
    databases.values().forEach(LocalDatabase::close);
    databases.clear();
    if (embedder != null) {
      embedder.close();
    }
    if (net != null) {
      net.transport.close();
      if (net.whereabouts != null) {
        net.whereabouts.close();
      }
    }
    background.close();
    directory.close();
  }
}
