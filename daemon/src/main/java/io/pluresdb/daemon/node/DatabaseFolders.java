package io.pluresdb.daemon.node;

import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.storage.file.DurableFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/**
 * Databases that are copied, renamed and deleted as a whole, so that after a crash each is there or
 * not: the rename of its folder decides. All of them are closed meanwhile.
 */
final class DatabaseFolders {
  private static final String COPYING = ".copying-";
  private static final String DROPPED = ".dropped-";

  private DatabaseFolders() {}

  /** Finishes or undoes what an end in the middle left behind. */
  static void recover(DataDirectory directory) {
    try (var folders =
        Files.newDirectoryStream(directory.database(".").normalize(), ".{copying,dropped}-*")) {
      for (Path folder : folders) {
        DataDirectory.deleteTree(directory.anchor(folder.getFileName().toString()));
        DataDirectory.deleteTree(folder);
      }
    } catch (IOException e) {
      throw new StorageException.OpenFailed(
          "STORAGE_OPEN_FAILED", "an unfinished copy cannot be cleaned up: " + e, e);
    }
  }

  /** The name under which a database is filled that will be called {@code name}. */
  static String draft(DataDirectory directory, String name) {
    String draft = COPYING + name;
    DataDirectory.deleteTree(directory.database(draft));
    DataDirectory.deleteTree(directory.anchor(draft));
    return draft;
  }

  /** Renames a database; {@code to} is free. */
  static void move(DataDirectory directory, String name, String to) {
    try {
      // First the anchor: a database without one would have to go on under a new actor.
      Files.copy(directory.anchor(name), directory.anchor(to), StandardCopyOption.REPLACE_EXISTING);
      DurableFiles.sync(directory.anchor(to));
      DurableFiles.syncName(directory.anchor(to));
      DurableFiles.move(directory.database(name), directory.database(to));
      Files.deleteIfExists(directory.anchor(name));
    } catch (IOException e) {
      throw new StorageException.Failed(
          "database \"" + name + "\" cannot be renamed to \"" + to + "\": " + e, e);
    }
  }

  /** Deletes a database. */
  static void drop(DataDirectory directory, String name) {
    Path dropped = directory.database(DROPPED + name);
    DataDirectory.deleteTree(dropped);
    try {
      DurableFiles.move(directory.database(name), dropped);
      Files.deleteIfExists(directory.anchor(name));
    } catch (IOException e) {
      throw new StorageException.Failed("database \"" + name + "\" cannot be deleted: " + e, e);
    }
    DataDirectory.deleteTree(dropped);
  }
}
