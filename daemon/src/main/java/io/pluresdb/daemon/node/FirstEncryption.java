package io.pluresdb.daemon.node;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.storage.crypto.EncryptedStorage;
import io.pluresdb.storage.crypto.EncryptionConfig;
import io.pluresdb.storage.crypto.EncryptionException;
import io.pluresdb.storage.crypto.KeyVault;
import io.pluresdb.storage.file.DurableFiles;
import io.pluresdb.storage.rocks.RocksOptions;
import io.pluresdb.storage.rocks.RocksStorage;
import io.pluresdb.storage.search.SearchIndexes;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ForkJoinPool;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * Makes an encrypted data directory of one that is not, while nobody else holds it.
 *
 * <p>Each store is copied row by row into a sealed one, which is read again and compared. When all
 * are whole, they take the places of the plain ones, which are deleted with their indexes. Until
 * then nothing has changed; from then on the switch is finished at the next start, whatever ends it
 * in the middle. Rows are the same, the anchor is the same file, so the device goes on under its
 * actor.
 *
 * <pre>
 * databases/.encrypting/encryption.json       the keys, made first
 * databases/.encrypting/databases/NAME/       store and database.json, sealed
 * databases/.encrypting/databases/NAME/whole  its store was compared
 * databases/.encrypting/ready                 all are whole and take their places
 * </pre>
 */
final class FirstEncryption {
  private static final String DRAFT = ".encrypting";
  private static final String KEYS = "encryption.json";
  private static final String COPIES = "databases";
  private static final String STORE = "store";
  private static final String FILE = "database.json";
  private static final String WHOLE = "whole";
  private static final String READY = "ready";

  /** What lies in the folder of a database; anything else might be read afterwards. */
  private static final Set<String> KNOWN = Set.of(STORE, FILE, "indexes");

  private static final int STEP_ROWS = 1_024;
  private static final int STEP_BYTES = 1 << 20;
  private static final byte[] NOTHING = {};

  private final DataDirectory directory;
  private final Environment environment;
  private final Path draft;
  private long rows;

  private FirstEncryption(DataDirectory directory, Environment environment) {
    this.directory = directory;
    this.environment = environment;
    this.draft = draft(directory);
  }

  private static Path draft(DataDirectory directory) {
    return directory.database(DRAFT);
  }

  /** Finishes the switch that an end in the middle left behind, or forgets copies that wait. */
  static void finish(DataDirectory directory) {
    Path draft = draft(directory);
    if (Files.exists(draft.resolve(READY))) {
      switchOver(directory);
    } else {
      DataDirectory.deleteTree(draft);
    }
  }

  /**
   * Encrypts everything; goes on with what an earlier run with the same secret copied, where the
   * directory was not opened since.
   *
   * @param secret asked when it is needed
   * @return rows that were sealed
   * @throws EncryptionException {@code ENCRYPTION_ENABLED_ALREADY}; {@code ENCRYPTION_PLAIN_FILES}
   *     where files would be left that can be read; nothing has changed then
   */
  static long run(
      DataDirectory directory, Supplier<EncryptionConfig> secret, Environment environment) {
    var job = new FirstEncryption(directory, environment);
    try {
      job.run(secret);
    } catch (IOException e) {
      throw new StorageException.Failed("the data directory cannot be encrypted: " + e, e);
    }
    return job.rows;
  }

  private void run(Supplier<EncryptionConfig> secret) throws IOException {
    if (Files.exists(draft.resolve(READY))) {
      switchOver(directory);
      return;
    }
    if (DataDirectory.isEncrypted(directory.root())) {
      throw new EncryptionException(
          "ENCRYPTION_ENABLED_ALREADY",
          directory.root() + " is encrypted already",
          "encryption change-password or encryption reencrypt change its keys");
    }
    Joins.recover(directory);
    Backups.recover(directory);
    DatabaseFolders.recover(directory);
    Salvage.finish(directory);
    List<String> names = directory.databases();
    names.forEach(this::requireKnownFiles);
    KeyVault vault = keys(secret.get());
    for (String name : names) {
      copy(name, vault);
    }
    DurableFiles.sync(directory.database(".").normalize());
    DataDirectory.writeAtomically(draft.resolve(READY), NOTHING);
    switchOver(directory);
  }

  private void requireKnownFiles(String name) {
    try (Stream<Path> files = Files.list(directory.database(name))) {
      for (Path file : files.sorted().toList()) {
        if (!KNOWN.contains(String.valueOf(file.getFileName()))) {
          throw new EncryptionException(
              "ENCRYPTION_PLAIN_FILES",
              file + " may hold documents, and would stay as it is",
              "delete it, or move it to where it is safe");
        }
      }
    } catch (IOException e) {
      throw new StorageException.Failed(directory.database(name) + " cannot be read: " + e, e);
    }
  }

  /** The keys of an earlier run, if they are unlocked by this secret, or fresh ones. */
  private KeyVault keys(EncryptionConfig secret) throws IOException {
    var random = new SecureRandom();
    Path file = draft.resolve(KEYS);
    if (Files.exists(file)) {
      try {
        return KeyVault.unlock(file, secret, random, InstantSource.system());
      } catch (EncryptionException e) {
        // Another secret than that run's: nobody has opened anything with it yet.
        DataDirectory.deleteTree(draft);
      }
    }
    DurableFiles.makePrivateFolders(draft);
    return KeyVault.create(file, secret, random, InstantSource.system());
  }

  private void copy(String name, KeyVault vault) throws IOException {
    Path folder = draft.resolve(COPIES).resolve(name);
    if (Files.exists(folder.resolve(WHOLE))) {
      return;
    }
    DataDirectory.deleteTree(folder);
    DurableFiles.makePrivateFolders(folder);
    DatabaseFile.load(directory.databaseFile(name), null).save(folder.resolve(FILE), vault);
    Path store = directory.store(name);
    if (Files.exists(store)) {
      RocksOptions options = RocksOptions.defaults(directory.nativeDirectory());
      Path sealed = folder.resolve(STORE);
      try (var plain = RocksStorage.open(store, options)) {
        try (Storage into = sealed(sealed, options, vault)) {
          copy(plain, into);
        }
        try (Storage copied = sealed(sealed, options, vault)) {
          requireSame(plain, copied, name);
        }
      }
    }
    DataDirectory.writeAtomically(folder.resolve(WHOLE), NOTHING);
  }

  private Storage sealed(Path store, RocksOptions options, KeyVault vault) {
    RocksStorage rocks = RocksStorage.open(store, options.uncompressed());
    try {
      return EncryptedStorage.open(
          rocks, vault.keyring(), environment.random(), ForkJoinPool.commonPool());
    } catch (RuntimeException e) {
      rocks.close();
      throw e;
    }
  }

  private void copy(Storage plain, Storage sealed) {
    try (var snapshot = plain.snapshot()) {
      for (Table table : Table.values()) {
        try (var from = snapshot.scan(table, NOTHING, null)) {
          boolean more = true;
          while (more) {
            try (var batch = sealed.newBatch()) {
              int bytes = 0;
              while (batch.size() < STEP_ROWS && bytes < STEP_BYTES && (more = from.next())) {
                if (!isLeftOut(table, from.key())) {
                  batch.put(table, from.key(), from.value());
                  bytes += from.key().length + from.value().length;
                }
              }
              sealed.commit(batch, Durability.BUFFERED);
              rows += batch.size();
            }
          }
        }
      }
    }
    sealed.sync();
  }

  /** Rows that name files of indexes, which go. */
  private static boolean isLeftOut(Table table, byte[] key) {
    return table == Table.INDEX && SearchIndexes.namesFiles(key);
  }

  private static void requireSame(Storage plain, Storage sealed, String name) {
    try (var expected = plain.snapshot();
        var actual = sealed.snapshot()) {
      for (Table table : Table.values()) {
        try (var left = expected.scan(table, NOTHING, null);
            var right = actual.scan(table, NOTHING, null)) {
          while (left.next()) {
            if (isLeftOut(table, left.key())) {
              continue;
            }
            if (!right.next()
                || !Arrays.equals(left.key(), right.key())
                || !Arrays.equals(left.value(), right.value())) {
              throw different(name, table);
            }
          }
          if (right.next()) {
            throw different(name, table);
          }
        }
      }
    }
  }

  private static StorageException.Failed different(String name, Table table) {
    return new StorageException.Failed(
        "the sealed copy of database \""
            + name
            + "\" is not what was copied, in table "
            + table
            + "; nothing was changed",
        new IOException("copy"));
  }

  /** Puts the sealed stores in their places; may be done again from any step. */
  private static void switchOver(DataDirectory directory) {
    Path draft = draft(directory);
    try {
      if (Files.exists(draft.resolve(COPIES))) {
        List<Path> copies;
        try (Stream<Path> folders = Files.list(draft.resolve(COPIES))) {
          copies = folders.sorted().toList();
        }
        for (Path copy : copies) {
          putInPlace(directory, copy, String.valueOf(copy.getFileName()));
        }
      }
      if (Files.exists(draft.resolve(KEYS))) {
        DurableFiles.move(draft.resolve(KEYS), directory.encryption());
      }
    } catch (IOException e) {
      throw new StorageException.Failed("the encrypted stores cannot be put in place: " + e, e);
    }
    DataDirectory.deleteTree(draft);
  }

  private static void putInPlace(DataDirectory directory, Path copy, String name)
      throws IOException {
    DataDirectory.deleteTree(directory.indexes(name));
    if (Files.exists(copy.resolve(STORE))) {
      DataDirectory.deleteTree(directory.store(name));
      DurableFiles.move(copy.resolve(STORE), directory.store(name));
    }
    if (Files.exists(copy.resolve(FILE))) {
      Files.move(
          copy.resolve(FILE),
          directory.databaseFile(name),
          StandardCopyOption.ATOMIC_MOVE,
          StandardCopyOption.REPLACE_EXISTING);
    }
    DurableFiles.sync(directory.database(name));
  }
}
