package io.pluresdb.storage.rocks;

import io.pluresdb.crdt.store.StorageException;
import java.io.IOException;
import java.io.InputStream;
import java.net.JarURLConnection;
import java.net.URL;
import java.net.URLConnection;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;
import org.jspecify.annotations.Nullable;
import org.rocksdb.RocksDB;
import org.rocksdb.util.Environment;

/**
 * RocksDB's native library, extracted once into a directory we choose.
 *
 * <p>Left alone, the jar unpacks 17 MB into the temp folder at every start and deletes them at
 * exit: a process that is killed leaks them. Here the library lies in {@code
 * <directory>/rocksdbjni-<crc32>/}, named by its content, and later starts load it in place. A
 * start that is killed while extracting leaves at most one partial file, which the next overwrites.
 * The content is checked on each load: code that a power loss tore must not be mapped.
 */
final class NativeLibrary {
  private static final String PREFIX = "rocksdbjni-";
  private static boolean loaded;

  private NativeLibrary() {}

  /**
   * Loads the library; a later call does nothing, whatever its directory.
   *
   * @throws StorageException.OpenFailed when it cannot be extracted or does not fit this machine
   */
  static synchronized void load(Path directory) {
    if (loaded) {
      return;
    }
    String packedFile = Environment.getJniLibraryFileName("rocksdb");
    URL packed = RocksDB.class.getClassLoader().getResource(packedFile);
    if (packed == null) {
      throw failure("the class path holds no " + packedFile + " for this operating system", null);
    }
    try {
      Files.createDirectories(directory);
      // Held until the library is loaded: another process may be replacing it.
      try (FileChannel channel =
              FileChannel.open(
                  directory.resolve("rocksdbjni.lock"),
                  StandardOpenOption.CREATE,
                  StandardOpenOption.WRITE);
          FileLock lock = channel.lock()) {
        requireValid(lock);
        long crc = packedCrc(packed);
        Path home = directory.resolve(PREFIX + HexFormat.of().toHexDigits((int) crc));
        // Not the packed name: RocksDB.loadLibrary(paths) appends "jni" to "rocksdbjni" once more.
        Path library = home.resolve(Environment.getJniLibraryFileName("rocksdbjni"));
        if (!Files.exists(library) || crc(Files.newInputStream(library)) != crc) {
          extract(packed, library);
          dropOthers(directory, home);
        }
        RocksDB.loadLibrary(List.of(home.toAbsolutePath().toString()));
      }
      loaded = true;
    } catch (IOException | UnsatisfiedLinkError failure) {
      throw failure(
          "the native library could not be extracted to or loaded from "
              + directory
              + ": it must be writable and not mounted noexec",
          failure);
    }
  }

  private static void extract(URL packed, Path library) throws IOException {
    Path home = library.resolveSibling("");
    Files.createDirectories(home);
    Path partial = home.resolve(library.getFileName() + ".part");
    try (InputStream in = packed.openStream()) {
      Files.copy(in, partial, StandardCopyOption.REPLACE_EXISTING);
    }
    Files.move(partial, library, StandardCopyOption.ATOMIC_MOVE);
  }

  /** Removes what earlier versions extracted; a process that has it loaded keeps its mapping. */
  private static void dropOthers(Path directory, Path keep) throws IOException {
    List<Path> homes;
    try (Stream<Path> entries = Files.list(directory)) {
      homes =
          entries
              .filter(entry -> Files.isDirectory(entry) && !entry.equals(keep))
              .filter(entry -> String.valueOf(entry.getFileName()).startsWith(PREFIX))
              .toList();
    }
    for (Path home : homes) {
      List<Path> files;
      try (Stream<Path> entries = Files.list(home)) {
        files = entries.toList();
      }
      for (Path file : files) {
        Files.deleteIfExists(file);
      }
      Files.deleteIfExists(home);
    }
  }

  /** The checksum the jar's own directory holds; no need to unpack 17 MB to learn it. */
  private static long packedCrc(URL packed) throws IOException {
    URLConnection connection = packed.openConnection();
    if (connection instanceof JarURLConnection jar) {
      return jar.getJarEntry().getCrc();
    }
    return crc(connection.getInputStream());
  }

  private static long crc(InputStream content) throws IOException {
    CRC32 crc = new CRC32();
    byte[] buffer = new byte[1 << 16];
    try (var checked = new CheckedInputStream(content, crc)) {
      int read = 0;
      while (read >= 0) {
        read = checked.read(buffer);
      }
    }
    return crc.getValue();
  }

  private static void requireValid(FileLock lock) throws IOException {
    if (!lock.isValid()) {
      throw new IOException("the lock of the native library was lost");
    }
  }

  private static StorageException failure(String message, @Nullable Throwable cause) {
    return new StorageException.OpenFailed(
        "STORAGE_OPEN_FAILED", message, cause == null ? new UnsatisfiedLinkError(message) : cause);
  }
}
