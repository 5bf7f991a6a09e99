package io.pluresdb.daemon.node;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.engine.ReplicaStore;
import io.pluresdb.crdt.store.Anchor;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.daemon.replication.KeyMessage;
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
import java.nio.file.Path;
import java.util.function.BiConsumer;
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
  private final Epochs epochs;
  private final AnchorFile anchor;
  private final ReplicaStore store;
  private final SearchIndexes searches;
  private final Replicator replicator;
  private volatile DatabaseFile file; // Written under this.
  private volatile @Nullable Neighbours neighbours;

  private LocalDatabase(
      String name,
      Path filePath,
      DatabaseFile file,
      byte[] self,
      Environment environment,
      AnchorFile anchor,
      ReplicaStore store,
      SearchIndexes searches,
      Replicator replicator) {
    this.name = name;
    this.filePath = filePath;
    this.file = file;
    this.anchor = anchor;
    this.store = store;
    this.searches = searches;
    this.replicator = replicator;
    this.epochs = new Epochs(this, self, environment.wallClock());
  }

  /**
   * Opens a database that has its {@code database.json}; an empty store is made.
   *
   * @param onEstablished hears of each session that is kept; must not block
   * @param onKeys hears what peers say about keys; must not block
   */
  static LocalDatabase open(
      DataDirectory directory,
      String name,
      DeviceIdentity device,
      Environment environment,
      Consumer<Session> onEstablished,
      BiConsumer<Session, KeyMessage> onKeys) {
    Path filePath = directory.databaseFile(name);
    DatabaseFile file = DatabaseFile.load(filePath);
    var identity =
        new ReplicaIdentity(
            ReplicaIdentity.databaseHash(file.database()),
            file.founderKey(),
            new Signer(device.publicKey(), device::sign),
            Signer::verify,
            file.scope());
    RocksStorage storage =
        RocksStorage.open(
            directory.store(name), RocksOptions.defaults(directory.nativeDirectory()));
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
              store, DeviceId.of(device.publicKey()), Introduction::address, onEstablished, onKeys);
      SearchIndexes searches = SearchIndexes.open(storage, store, directory.indexes(name));
      return new LocalDatabase(
          name,
          filePath,
          file,
          device.publicKey(),
          environment,
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

  /** The id, which stays when the keys change. */
  String id() {
    return file().database();
  }

  /** The keys of the current epoch. */
  DatabaseKeys keys() {
    return epochs.current();
  }

  Epochs epochs() {
    return epochs;
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

  DatabaseFile file() {
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
