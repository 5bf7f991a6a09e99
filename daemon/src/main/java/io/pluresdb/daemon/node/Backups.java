package io.pluresdb.daemon.node;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.store.MemoryAnchor;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.storage.backup.BackupException;
import io.pluresdb.storage.backup.BackupFiles;
import io.pluresdb.storage.backup.BackupManifest;
import io.pluresdb.storage.crypto.EncryptionMetadata;
import io.pluresdb.storage.crypto.KeyVault;
import io.pluresdb.storage.file.DurableFiles;
import io.pluresdb.transport.identity.DeviceIdentity;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;

/**
 * Backups of a database, made while it is written to, and their way back.
 *
 * <pre>
 * BACKUP/               0700
 *   manifest.json       what is in it, with the hash of every other file
 *   manifest.sha256     the hash of the manifest, as sha256sum prints it
 *   store/              the storage of one moment, without the actor that wrote it
 *   keys/               only when asked for: database.json, device.key
 *   encryption.json     the wrapped data keys, where the store is encrypted
 * </pre>
 *
 * A backup appears under its name when it is whole. No copy of a store may go on under the actor
 * that wrote it: the one that was copied goes on under it.
 */
final class Backups {
  private static final String STORE = "store";
  private static final String KEYS = "keys";
  private static final String DATABASE_KEY = KEYS + "/database.json";
  private static final String DEVICE_KEY = KEYS + "/device.key";
  private static final String ENCRYPTION = "encryption.json";
  private static final String TAKING = ".backup-";
  private static final String RESTORING = ".restoring-";

  private final DataDirectory directory;
  private final Environment environment;
  private final ReentrantLock taking = new ReentrantLock();

  Backups(DataDirectory directory, Environment environment) {
    this.directory = directory;
    this.environment = environment;
  }

  /** Removes what an end in the middle of a backup or restore left behind. */
  static void recover(DataDirectory directory) {
    try (var folders =
        Files.newDirectoryStream(directory.database(".").normalize(), ".{backup,restoring}-*")) {
      for (Path folder : folders) {
        DataDirectory.deleteTree(folder);
      }
    } catch (IOException e) {
      throw failed("an unfinished backup cannot be cleaned up", e);
    }
  }

  /**
   * Makes a backup of a database at {@code target}, which must not exist.
   *
   * @param keys whether the keys of the database and of this device go with it
   */
  BackupManifest take(LocalDatabase database, Path target, boolean keys) {
    Path absolute = target.toAbsolutePath().normalize();
    Path folder = absolute.getParent();
    if (folder == null || Files.exists(absolute)) {
      throw new BackupException(
          "BACKUP_EXISTS", absolute + " exists already", "name a folder that does not exist yet");
    }
    Path draft = folder.resolve("." + absolute.getFileName() + ".part");
    // One at a time: they share the folder that the store is checkpointed to.
    taking.lock();
    try {
      DataDirectory.deleteTree(draft);
      DurableFiles.makeFolders(folder);
      DurableFiles.makePrivateFolders(draft);
      BackupManifest manifest = fill(database, draft, keys);
      BackupFiles.seal(draft, manifest);
      DurableFiles.move(draft, absolute);
      return manifest;
    } catch (IOException e) {
      throw failed("the backup at " + absolute + " cannot be written", e);
    } finally {
      DataDirectory.deleteTree(draft);
      taking.unlock();
    }
  }

  private BackupManifest fill(LocalDatabase database, Path draft, boolean keys) {
    Path checkpoint = directory.database(TAKING + database.name());
    DataDirectory.deleteTree(checkpoint);
    KeyVault vault = directory.vault();
    List<EncryptionMetadata.WrappedKey> before =
        vault == null ? List.of() : vault.metadata().keys();
    try {
      database.checkpoint(checkpoint);
      Replica.View view = retire(database, checkpoint);
      List<BackupManifest.Entry> files =
          new ArrayList<>(BackupFiles.copyFolder(checkpoint, draft, STORE));
      if (vault != null) {
        files.add(BackupFiles.copy(directory.encryption(), draft, ENCRYPTION));
        if (!vault.metadata().keys().equals(before)) {
          // The store may be sealed with a key that was dropped since, or made.
          throw new BackupException(
              "BACKUP_FAILED", "the data keys changed while the backup was made", "try again");
        }
      }
      if (keys) {
        files.addAll(copyKeys(database, draft));
      }
      var frontier = new TreeMap<String, BackupManifest.Head>();
      view.frontier().heads().forEach((actor, head) -> frontier.put(actor.hex(), head(head)));
      return new BackupManifest(
          BackupManifest.FORMAT,
          database.name(),
          database.id(),
          environment.wallClock().millis(),
          view.documents(),
          view.arrivals(),
          frontier,
          view.stateHash().hex(),
          keys,
          files);
    } catch (IOException e) {
      throw failed("the backup at " + draft + " cannot be written", e);
    } finally {
      DataDirectory.deleteTree(checkpoint);
    }
  }

  private static BackupManifest.Head head(Frontier.Head head) {
    return new BackupManifest.Head(head.seq(), head.hash().hex());
  }

  /** Opens the copy as a restored one will be opened: it loses its actor, and tells what it has. */
  private Replica.View retire(LocalDatabase database, Path checkpoint) {
    try (Storage copy = database.openCopy(checkpoint)) {
      return Replica.open(copy, database.identity(), new MemoryAnchor(), environment).view();
    }
  }

  private List<BackupManifest.Entry> copyKeys(LocalDatabase database, Path draft)
      throws IOException {
    DurableFiles.makePrivateFolders(draft.resolve(KEYS));
    database.file().withInvites(List.of()).save(draft.resolve(DATABASE_KEY), directory.vault());
    Path whole = draft.resolve(KEYS + "/.database.json");
    Files.move(draft.resolve(DATABASE_KEY), whole);
    var entries = new ArrayList<BackupManifest.Entry>();
    entries.add(BackupFiles.copy(whole, draft, DATABASE_KEY));
    Files.delete(whole);
    entries.add(BackupFiles.copy(directory.deviceKey(), draft, DEVICE_KEY));
    return entries;
  }

  /**
   * Puts the database of a verified backup into a data directory that nobody else holds, under the
   * name {@code name}. Whatever is there stays.
   */
  static void restore(DataDirectory directory, Path backup, BackupManifest manifest, String name) {
    recover(directory);
    requireRoom(directory, manifest, name);
    requireSameEncryption(directory, backup, manifest);
    if (!Files.exists(directory.deviceKey())) {
      DeviceIdentity.load(backup.resolve(DEVICE_KEY)).save(directory.deviceKey());
    }
    Path draft = directory.database(RESTORING + name);
    try {
      DurableFiles.makePrivateFolders(draft);
      BackupFiles.restoreFolder(backup, manifest, STORE, draft.resolve(STORE));
      // Without an anchor the next start begins a new actor, as it must.
      if (Files.deleteIfExists(directory.anchor(name))) {
        DurableFiles.syncName(directory.anchor(name));
      }
      if (Files.exists(directory.databaseFile(name))) {
        DataDirectory.deleteTree(directory.store(name));
        DataDirectory.deleteTree(directory.indexes(name));
        DurableFiles.move(draft.resolve(STORE), directory.store(name));
      } else {
        DataDirectory.writeAtomically(
            draft.resolve("database.json"), Files.readAllBytes(backup.resolve(DATABASE_KEY)));
        DurableFiles.move(draft, directory.database(name));
      }
    } catch (IOException e) {
      throw failed("the database cannot be restored", e);
    } finally {
      DataDirectory.deleteTree(draft);
    }
  }

  private static void requireRoom(DataDirectory directory, BackupManifest manifest, String name) {
    if (!Files.exists(directory.databaseFile(name))) {
      requireKeys(manifest, "database \"" + name + "\" has no keys here");
      return;
    }
    if (!isEmpty(directory.store(name))) {
      throw new BackupException(
          "BACKUP_TARGET_EXISTS",
          "database \"" + name + "\" has documents here, which are not overwritten",
          "move "
              + directory.store(name)
              + " out of the way, or restore under another name: --db NAME");
    }
    DatabaseFile file = DatabaseFile.load(directory.databaseFile(name), directory.vault());
    if (!file.database().equals(manifest.databaseId())) {
      throw new BackupException(
          "BACKUP_TARGET_EXISTS",
          "database \"" + name + "\" is another than the one in the backup",
          "restore under another name: --db NAME");
    }
  }

  /** An encrypted store needs its keys, and none goes unencrypted beside encrypted ones. */
  private static void requireSameEncryption(
      DataDirectory directory, Path backup, BackupManifest manifest) throws BackupException {
    boolean encrypted =
        manifest.files().stream().anyMatch(entry -> entry.path().equals(ENCRYPTION));
    KeyVault vault = directory.vault();
    if (!Files.exists(directory.deviceKey())) {
      if (encrypted) {
        try {
          DataDirectory.writeAtomically(
              directory.encryption(), Files.readAllBytes(backup.resolve(ENCRYPTION)));
        } catch (IOException e) {
          throw failed("encryption.json cannot be restored", e);
        }
      }
    } else if (encrypted
        ? vault == null || !vault.opens(KeyVault.metadata(backup.resolve(ENCRYPTION)))
        : vault != null) {
      throw new BackupException(
          "BACKUP_OTHER_ENCRYPTION",
          encrypted
              ? "the backup is encrypted with keys that this data directory does not have"
              : "the backup is not encrypted, but this data directory is",
          "restore it to another data directory: --data-dir DIR");
    }
  }

  /** Refuses a backup without the keys that this device lacks. */
  static void requireKeys(BackupManifest manifest, String why) {
    if (!manifest.keys()) {
      throw new BackupException(
          "BACKUP_WITHOUT_KEYS",
          why + ", and the backup was made without keys",
          "restore it on a device that has the database, or one made with backup --keys");
    }
  }

  private static boolean isEmpty(Path folder) {
    if (!Files.exists(folder)) {
      return true;
    }
    try (Stream<Path> files = Files.list(folder)) {
      return files.findAny().isEmpty();
    } catch (IOException e) {
      throw failed(folder + " cannot be read", e);
    }
  }

  private static BackupException failed(String what, IOException cause) {
    var failure =
        new BackupException(
            "BACKUP_FAILED", what + ": " + cause, "check the disk and its room, then try again");
    failure.initCause(cause);
    return failure;
  }
}
