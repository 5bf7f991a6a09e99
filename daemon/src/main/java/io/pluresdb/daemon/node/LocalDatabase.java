package io.pluresdb.daemon.node;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.engine.ReplicaStore;
import io.pluresdb.crdt.store.Anchor;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.daemon.replication.Replicator;
import io.pluresdb.storage.anchor.AnchorFile;
import io.pluresdb.storage.rocks.RocksOptions;
import io.pluresdb.storage.rocks.RocksStorage;
import io.pluresdb.storage.search.SearchIndexes;
import io.pluresdb.transport.identity.DeviceId;
import io.pluresdb.transport.identity.DeviceIdentity;
import io.pluresdb.transport.session.CloseReason;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.topic.DatabaseKeys;
import io.pluresdb.transport.topic.SyncKey;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** An open database of this device: its store, its keys and its sessions. */
final class LocalDatabase implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(LocalDatabase.class);

  private final String name;
  private final Path filePath;
  private final DatabaseKeys keys;
  private final ReplicaIdentity identity;
  private final RocksStorage storage;
  private final RocksOptions options;
  private final AnchorFile anchor;
  private final ReplicaStore store;
  private final SearchIndexes searches;
  private final Replicator replicator;
  private DatabaseFile file; // Guarded by this.
  private volatile @Nullable Neighbours neighbours;

  private LocalDatabase(
      String name,
      Path filePath,
      DatabaseFile file,
      DatabaseKeys keys,
      ReplicaIdentity identity,
      RocksStorage storage,
      RocksOptions options,
      AnchorFile anchor,
      ReplicaStore store,
      SearchIndexes searches,
      Replicator replicator) {
    this.name = name;
    this.filePath = filePath;
    this.file = file;
    this.keys = keys;
    this.identity = identity;
    this.storage = storage;
    this.options = options;
    this.anchor = anchor;
    this.store = store;
    this.searches = searches;
    this.replicator = replicator;
  }

  /**
   * Opens a database that has its {@code database.json}; an empty store is made.
   *
   * @param onEstablished hears of each session that is kept; must not block
   */
  static LocalDatabase open(
      DataDirectory directory,
      String name,
      DeviceIdentity device,
      Environment environment,
      Consumer<Session> onEstablished) {
    Path filePath = directory.databaseFile(name);
    DatabaseFile file = DatabaseFile.load(filePath);
    DatabaseKeys keys =
        DatabaseKeys.of(new SyncKey(HexFormat.of().parseHex(file.syncKey())), file.epoch());
    var identity =
        new ReplicaIdentity(
            ReplicaIdentity.databaseHash(keys.databaseId()),
            file.founderKey(),
            new Signer(device.publicKey(), device::sign),
            Signer::verify,
            file.scope());
    RocksOptions options = RocksOptions.defaults(directory.nativeDirectory());
    RocksStorage storage = RocksStorage.open(directory.store(name), options);
    AnchorFile anchor = null;
    try {
      anchor = AnchorFile.open(directory.anchor(name));
      Replica replica = Replica.open(storage, identity, anchor, environment);
      ReplicaStore store =
          ReplicaStore.start(
              replica,
              environment,
              event -> log.debug("replication event database={} event={}", name, event),
              failure -> log.error("database stopped database={}", name, failure));
      var replicator =
          new Replicator(
              store, DeviceId.of(device.publicKey()), Introduction::address, onEstablished);
      SearchIndexes searches = SearchIndexes.open(storage, store, directory.indexes(name));
      return new LocalDatabase(
          name,
          filePath,
          file,
          keys,
          identity,
          storage,
          options,
          anchor,
          store,
          searches,
          replicator);
    } catch (RuntimeException e) {
      if (anchor != null) {
        anchor.close();
      }
      storage.close();
      throw e;
    }
  }

  String name() {
    return name;
  }

  DatabaseKeys keys() {
    return keys;
  }

  ReplicaIdentity identity() {
    return identity;
  }

  /** Copies the store as of the newest commit to {@code target}, which must not exist. */
  void checkpoint(Path target) {
    storage.checkpoint(target);
  }

  /** Opens a copy of the store. */
  Storage openCopy(Path copy) {
    return RocksStorage.open(copy, options);
  }

  /** Gives the disk back what was deleted or overwritten; takes as long as rewriting the store. */
  void compact() {
    storage.compact();
  }

  ReplicaStore store() {
    return store;
  }

  SearchIndexes searches() {
    return searches;
  }

  /** To look at; the store's thread alone changes it. */
  Replica replica() {
    return store.replica();
  }

  Anchor.Reading anchorReading() {
    return anchor.read();
  }

  Replicator replicator() {
    return replicator;
  }

  /** Who makes the connections; null without a network. */
  @Nullable Neighbours neighbours() {
    return neighbours;
  }

  void connectBy(Neighbours connections) {
    neighbours = connections;
  }

  synchronized DatabaseFile file() {
    return file;
  }

  /** Changes {@code database.json}, on disk when this returns. */
  synchronized void update(UnaryOperator<DatabaseFile> change) {
    DatabaseFile next = change.apply(file);
    if (!next.equals(file)) {
      next.save(filePath);
      file = next;
    }
  }

  /** Ends the sessions, commits what has queued and closes the files. */
  @Override
  public void close() {
    Neighbours connections = neighbours;
    if (connections != null) {
      connections.close();
    }
    replicator.close(new CloseReason.Shutdown());
    searches.close();
    store.close();
    anchor.close();
  }
}
