package io.pluresdb.storage.file;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;

/**
 * Changes of files and folders that survive a power failure once a method returns.
 *
 * <p>POSIX promises a name only once the folder it stands in is synced, and bytes only once the
 * file is; that many file systems do more is not relied upon.
 */
public final class DurableFiles {
  private static final FileAttribute<?> OWNERS_FILE =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));
  private static final FileAttribute<?> OWNERS_FOLDER =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));

  private DurableFiles() {}

  /** Makes the bytes of a file durable, or the names in a folder. */
  public static void sync(Path path) throws IOException {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  /** Makes the name of a file or folder durable, and that others in its folder are gone. */
  public static void syncName(Path path) throws IOException {
    sync(folderOf(path));
  }

  /** Makes a folder, and those it lies in, where they are missing. */
  public static void makeFolders(Path folder) throws IOException {
    make(folder);
  }

  /** As {@link #makeFolders}; only the owner can enter those that were missing. */
  public static void makePrivateFolders(Path folder) throws IOException {
    make(folder, OWNERS_FOLDER);
  }

  private static void make(Path folder, FileAttribute<?>... attributes) throws IOException {
    Path absolute = folder.toAbsolutePath().normalize();
    if (Files.isDirectory(absolute)) {
      return;
    }
    Path parent = absolute.getParent();
    if (parent != null) {
      make(parent, attributes);
    }
    // Another may have made it meanwhile.
    Files.createDirectories(absolute, attributes);
    syncName(absolute);
  }

  /**
   * Writes a file, readable by its owner only, so that its old or its new content is there whatever
   * happens.
   */
  public static void write(Path file, byte[] content) throws IOException {
    Path draft =
        Files.createTempFile(folderOf(file), "." + file.getFileName(), ".tmp", OWNERS_FILE);
    try {
      Files.write(draft, content);
      replace(draft, file);
    } finally {
      Files.deleteIfExists(draft);
    }
  }

  /** Puts a written file in the place of another of the same folder, or of none. */
  public static void replace(Path draft, Path file) throws IOException {
    sync(draft);
    Files.move(draft, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    syncName(file);
  }

  /**
   * Renames a file or folder to a name that is free. Its name is durable before the old one is
   * gone.
   */
  public static void move(Path from, Path to) throws IOException {
    Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
    syncName(to);
    if (!folderOf(from).equals(folderOf(to))) {
      syncName(from);
    }
  }

  private static Path folderOf(Path path) throws IOException {
    Path folder = path.toAbsolutePath().normalize().getParent();
    if (folder == null) {
      throw new IOException(path + " has no folder");
    }
    return folder;
  }
}
