package io.pluresdb.daemon.node;

import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.storage.crypto.KeyVault;
import io.pluresdb.storage.file.DurableFiles;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The files of one device, held by one process at a time.
 *
 * <pre>
 * DATA_DIR/                 0700
 *   device.key              the device's Ed25519 key, 0600
 *   encryption.json         wrapped data keys; only where everything below databases/ is sealed
 *   lock                    locked while a process holds the directory
 *   databases/NAME/         one database
 *     database.json         keys, peers, invites; 0600
 *     store/                RocksDB
 *     indexes/              what can be made again from the store
 *   anchors/NAME.anchor     what was published; not inside the database it guards
 *   native/                 the extracted RocksDB library
 * </pre>
 */
public final class DataDirectory implements AutoCloseable {
  private static final String DATABASES = "databases";
  private static final String ANCHORS = "anchors";
  private static final String ENCRYPTION = "encryption.json";

  private final Path root;
  private final FileChannel lockChannel;
  private @Nullable KeyVault vault;

  private DataDirectory(Path root, FileChannel lockChannel) {
    this.root = root;
    this.lockChannel = lockChannel;
  }

  /** Whether {@code init} was done here. */
  public static boolean isInitialized(Path root) {
    return Files.exists(root.resolve("device.key"));
  }

  /**
   * Takes the directory, making it if it is missing.
   *
   * @throws StorageException.OpenFailed {@code STORAGE_LOCKED} when another process holds it,
   *     {@code STORAGE_OPEN_FAILED} when it cannot be made or written
   */
  public static DataDirectory open(Path root) {
    try {
      if (!Files.isDirectory(root)) {
        DurableFiles.makePrivateFolders(root);
      }
      DurableFiles.makeFolders(root.resolve(DATABASES));
      DurableFiles.makeFolders(root.resolve(ANCHORS));
      FileChannel channel =
          FileChannel.open(
              root.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      FileLock lock = null;
      try {
        lock = channel.tryLock();
      } catch (OverlappingFileLockException e) {
        // Held by this process: the same answer.
      }
      if (lock == null) {
        channel.close();
        throw new StorageException.OpenFailed(
            "STORAGE_LOCKED",
            "the data directory " + root + " is held by another PluresDB process",
            new IOException("lock"));
      }
      return new DataDirectory(root, channel);
    } catch (IOException e) {
      throw new StorageException.OpenFailed(
          "STORAGE_OPEN_FAILED", "the data directory " + root + " cannot be used: " + e, e);
    }
  }

  /** Whether {@code init --encrypt} was done here. */
  public static boolean isEncrypted(Path root) {
    return Files.exists(root.resolve(ENCRYPTION));
  }

  /** Where it is said how this directory is encrypted. */
  Path encryption() {
    return encryption(root);
  }

  static Path encryption(Path root) {
    return root.resolve(ENCRYPTION);
  }

  /** Seals what is written from now on with the keys of {@code opened}. */
  void sealWith(KeyVault opened) {
    vault = opened;
  }

  /** What seals the databases; null where they are not encrypted. */
  @Nullable KeyVault vault() {
    return vault;
  }

  /** Deletes the keys and every database, leaving an empty directory. */
  void clear() {
    deleteTree(encryption());
    deleteTree(root.resolve(DATABASES));
    deleteTree(root.resolve(ANCHORS));
    deleteTree(deviceKey());
    try {
      DurableFiles.makeFolders(root.resolve(DATABASES));
      DurableFiles.makeFolders(root.resolve(ANCHORS));
    } catch (IOException e) {
      throw new StorageException.Failed("cannot make the folders of " + root, e);
    }
  }

  public Path root() {
    return root;
  }

  Path deviceKey() {
    return deviceKey(root);
  }

  static Path deviceKey(Path root) {
    return root.resolve("device.key");
  }

  Path dhtNodes() {
    return root.resolve("dht.nodes");
  }

  Path nativeDirectory() {
    return root.resolve("native");
  }

  Path database(String name) {
    return root.resolve(DATABASES).resolve(name);
  }

  Path databaseFile(String name) {
    return databaseFile(root, name);
  }

  static Path databaseFile(Path root, String name) {
    return root.resolve(DATABASES).resolve(name).resolve("database.json");
  }

  Path store(String name) {
    return store(root, name);
  }

  static Path store(Path root, String name) {
    return root.resolve(DATABASES).resolve(name).resolve("store");
  }

  Path indexes(String name) {
    return database(name).resolve("indexes");
  }

  Path anchor(String name) {
    return root.resolve(ANCHORS).resolve(name + ".anchor");
  }

  /** Whether a database is being filled that has not taken its place yet. */
  boolean isJoining() {
    try (var drafts = Files.newDirectoryStream(root.resolve(DATABASES), ".joining-*")) {
      return drafts.iterator().hasNext();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Whether any database has a store. */
  boolean hasStore() {
    try (var stores = Files.newDirectoryStream(root.resolve(DATABASES))) {
      for (Path database : stores) {
        if (Files.exists(database.resolve("store"))) {
          return true;
        }
      }
      return false;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Names of the databases, ascending. Unfinished joins are not among them. */
  List<String> databases() {
    var names = new ArrayList<String>();
    try (var entries = Files.newDirectoryStream(root.resolve(DATABASES))) {
      for (Path entry : entries) {
        String name = entry.getFileName().toString();
        if (!name.startsWith(".") && Files.exists(entry.resolve("database.json"))) {
          names.add(name);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Collections.sort(names);
    return names;
  }

  /**
   * Writes a file so that its old or its new content is there, whatever happens, readable by the
   * owner only.
   */
  public static void writeAtomically(Path file, byte[] content) {
    try {
      DurableFiles.write(file, content);
    } catch (IOException e) {
      throw new StorageException.Failed("cannot write " + file + ": " + e, e);
    }
  }

  /** Deletes a directory and all in it; nothing happens when it is missing. */
  static void deleteTree(Path directory) {
    try {
      if (!Files.exists(directory)) {
        return;
      }
      Files.walkFileTree(
          directory,
          new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
                throws IOException {
              Files.delete(file);
              return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path folder, @Nullable IOException failure)
                throws IOException {
              if (failure != null) {
                throw failure;
              }
              Files.delete(folder);
              return FileVisitResult.CONTINUE;
            }
          });
    } catch (IOException e) {
      throw new StorageException.Failed("cannot delete " + directory + ": " + e, e);
    }
  }

  @Override
  public void close() {
    try {
      lockChannel.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
