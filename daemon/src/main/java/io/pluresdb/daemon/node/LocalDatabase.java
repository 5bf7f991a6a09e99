package io.pluresdb.daemon.node;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.engine.ReplicaStore;
import io.pluresdb.crdt.store.Anchor;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.daemon.replication.KeyMessage;
import io.pluresdb.daemon.replication.Replicator;
import io.pluresdb.storage.anchor.AnchorFile;
import io.pluresdb.storage.crypto.EncryptedStorage;
import io.pluresdb.storage.crypto.KeyVault;
import io.pluresdb.storage.present.PresenceStorage;
import io.pluresdb.storage.rocks.RocksOptions;
import io.pluresdb.storage.rocks.RocksOptions.WalRecovery;
import io.pluresdb.storage.rocks.RocksStorage;
import io.pluresdb.storage.search.SearchIndexes;
import io.pluresdb.transport.identity.DeviceId;
import io.pluresdb.transport.identity.DeviceIdentity;
import io.pluresdb.transport.session.CloseReason;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.topic.DatabaseKeys;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.atomic.AtomicLong;
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
  private final ReplicaIdentity identity;
  private final @Nullable KeyVault vault;
  private final RocksStorage rocks;
  private final Storage sealed;
  private final Environment environment;
  private final RocksOptions options;
  private final AnchorFile anchor;
  private final ReplicaStore store;
  private final LimitedStore limited;
  private final SearchIndexes searches;
  private final Replicator replicator;
  private volatile DatabaseFile file; // Written under this.
  private volatile @Nullable Neighbours neighbours;

  private LocalDatabase(
      String name,
      Path filePath,
      DatabaseFile file,
      byte[] self,
      ReplicaIdentity identity,
      @Nullable KeyVault vault,
      RocksStorage rocks,
      Storage sealed,
      Environment environment,
      RocksOptions options,
      AnchorFile anchor,
      ReplicaStore store,
      SearchIndexes searches,
      Replicator replicator) {
    this.name = name;
    this.filePath = filePath;
    this.file = file;
    this.identity = identity;
    this.vault = vault;
    this.rocks = rocks;
    this.sealed = sealed;
    this.environment = environment;
    this.options = options;
    this.anchor = anchor;
    this.store = store;
    this.searches = searches;
    this.replicator = replicator;
    this.epochs = new Epochs(this, self, environment.wallClock());
    this.limited =
        new LimitedStore(name, store, () -> this.file.quotaHeld(), this::bytesOnDisk, searches);
  }

  /**
   * Opens a database that has its {@code database.json}; an empty store is made.
   *
   * @param nth how many databases of this process are open then: with many, each gets less memory
   * @param embedding what makes embeddings, or null
   * @param onEstablished hears of each session that is kept; must not block
   * @param onKeys hears what peers say about keys; must not block
   */
  static LocalDatabase open(
      DataDirectory directory,
      String name,
      DeviceIdentity device,
      Environment environment,
      int nth,
      SearchIndexes.@Nullable Embedding embedding,
      Consumer<Session> onEstablished,
      BiConsumer<Session, KeyMessage> onKeys) {
    Path filePath = directory.databaseFile(name);
    DatabaseFile file = DatabaseFile.load(filePath, directory.vault());
    ReplicaIdentity identity = identity(file, device);
    RocksOptions options = options(directory).ofMany(nth);
    RocksStorage rocks = RocksStorage.open(directory.store(name), options);
    Storage sealed = sealed(rocks, directory.vault(), environment);
    Storage storage = new PresenceStorage(sealed, () -> rocks.estimatedRows(Table.STATE));
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
      SearchIndexes searches =
          SearchIndexes.open(
              storage,
              store,
              directory.vault() == null ? directory.indexes(name) : null,
              embedding);
      return new LocalDatabase(
          name,
          filePath,
          file,
          device.publicKey(),
          identity,
          directory.vault(),
          rocks,
          sealed,
          environment,
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

  /** Who this device is in a database. */
  static ReplicaIdentity identity(DatabaseFile file, DeviceIdentity device) {
    return new ReplicaIdentity(
        ReplicaIdentity.databaseHash(file.database()),
        file.founderKey(),
        new Signer(device.publicKey(), device::sign),
        Signer::verify,
        file.scope());
  }

  private static RocksOptions options(DataDirectory directory) {
    RocksOptions plain = RocksOptions.defaults(directory.nativeDirectory());
    return directory.vault() == null ? plain : plain.uncompressed();
  }

  /** What a store without its replica holds; closing {@code sealed} closes both. */
  record Store(RocksStorage rocks, Storage sealed) implements AutoCloseable {
    @Override
    public void close() {
      sealed.close();
    }
  }

  /** Opens a store of this data directory for other purposes than to serve it. */
  static Store openStore(
      DataDirectory directory, Path store, Environment environment, WalRecovery recovery) {
    RocksStorage rocks = RocksStorage.open(store, options(directory).with(recovery));
    return new Store(rocks, sealed(rocks, directory.vault(), environment));
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

  /** The public key of this device. */
  byte[] deviceKey() {
    return identity.signer().publicKey();
  }

  Epochs epochs() {
    return epochs;
  }

  ReplicaIdentity identity() {
    return identity;
  }

  /** Copies the store as of the newest commit to {@code target}, which must not exist. */
  void checkpoint(Path target) {
    rocks.checkpoint(target);
  }

  /** The files of the store, to look at. */
  RocksStorage files() {
    return rocks;
  }

  /** Opens a copy of the store. */
  Storage openCopy(Path copy) {
    return sealed(RocksStorage.open(copy, options), vault, environment);
  }

  /** What is kept in {@code rocks}, by the keys of an encrypted data directory or none. */
  private static Storage sealed(
      RocksStorage rocks, @Nullable KeyVault vault, Environment environment) {
    try {
      if (vault != null) {
        return EncryptedStorage.open(
            rocks, vault.keyring(), environment.random(), ForkJoinPool.commonPool());
      }
      if (EncryptedStorage.isEncrypted(rocks)) {
        throw new StorageException.OpenFailed(
            "STORAGE_ENCRYPTED",
            "the database is encrypted, but encryption.json of the data directory is missing",
            new IOException("encryption.json"));
      }
      return rocks;
    } catch (RuntimeException e) {
      rocks.close();
      throw e;
    }
  }

  /** What seals the store with the newest data key; null where it is not encrypted. */
  EncryptedStorage.@Nullable Reencryption reencryption() {
    return sealed instanceof EncryptedStorage encrypted ? encrypted.reencryption() : null;
  }

  /** Seals {@code database.json} with the newest data key. */
  synchronized void resealFile() {
    file.save(filePath, vault);
  }

  /** Gives the disk back what was deleted or overwritten; takes as long as rewriting the store. */
  void compact() {
    rocks.compact();
  }

  ReplicaStore store() {
    return store;
  }

  /** The store as applications write to it, within the quota. */
  CrdtStore limited() {
    return limited;
  }

  /** Everything that is kept for the database: its store, its indexes and its settings. */
  long bytesOnDisk() {
    var bytes = new AtomicLong();
    try {
      Files.walkFileTree(
          filePath.resolveSibling("."),
          new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
              bytes.addAndGet(attributes.isRegularFile() ? attributes.size() : 0);
              return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFileFailed(Path file, IOException cause) {
              // It went away meanwhile: merging does that.
              return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path folder, @Nullable IOException cause) {
              return FileVisitResult.CONTINUE;
            }
          });
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return bytes.get();
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
      next.save(filePath, vault);
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
