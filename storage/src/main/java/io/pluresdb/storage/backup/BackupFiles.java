package io.pluresdb.storage.backup;

import io.pluresdb.storage.file.DurableFiles;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/** The files of a backup: copied with their hashes, and compared with them. */
public final class BackupFiles {
  private static final int BUFFER_BYTES = 1 << 20;

  /** What RocksDB makes anew when it opens a directory, and tells of this machine. */
  private static final Set<String> LEFT_OUT = Set.of("LOCK", "LOG");

  private BackupFiles() {}

  /**
   * Copies what is in the folder {@code from} to {@code to}/{@code name}, synced, and tells what it
   * copied. The copy shares nothing with the source, so damage to one spares the other.
   */
  public static List<BackupManifest.Entry> copyFolder(Path from, Path to, String name) {
    var entries = new ArrayList<BackupManifest.Entry>();
    try (Stream<Path> files = Files.list(from)) {
      DurableFiles.makePrivateFolders(to.resolve(name));
      for (Path file : files.sorted().toList()) {
        String called = file.getFileName().toString();
        if (!LEFT_OUT.contains(called) && !called.startsWith("LOG.old.")) {
          entries.add(copy(file, to, name + "/" + called));
        }
      }
      DurableFiles.sync(to.resolve(name));
    } catch (IOException e) {
      throw BackupException.failed(from, e);
    }
    return entries;
  }

  /** Copies one file, synced, readable by its owner only. */
  public static BackupManifest.Entry copy(Path file, Path to, String path) {
    MessageDigest digest = digest();
    long bytes = 0;
    try (InputStream in = Files.newInputStream(file);
        FileChannel out = create(to.resolve(path))) {
      byte[] buffer = new byte[BUFFER_BYTES];
      for (int read = in.read(buffer); read > 0; read = in.read(buffer)) {
        digest.update(buffer, 0, read);
        writeAll(out, ByteBuffer.wrap(buffer, 0, read));
        bytes += read;
      }
      out.force(true);
    } catch (IOException e) {
      throw BackupException.failed(file + " to " + to.resolve(path), e);
    }
    return new BackupManifest.Entry(path, bytes, HexFormat.of().formatHex(digest.digest()));
  }

  /** Completes a backup: writes the manifest and makes everything survive power loss. */
  public static void seal(Path backup, BackupManifest manifest) {
    manifest.save(backup);
    try {
      DurableFiles.sync(backup);
    } catch (IOException e) {
      throw BackupException.failed(backup, e);
    }
  }

  /**
   * Reads a whole backup and compares every file with the manifest.
   *
   * @throws BackupException naming the first file that is missing, surplus or not as it was
   */
  public static BackupManifest verify(Path backup) {
    BackupManifest manifest = BackupManifest.load(backup);
    var expected = new HashSet<>(Set.of(BackupManifest.FILE, BackupManifest.HASH_FILE));
    for (BackupManifest.Entry entry : manifest.files()) {
      compare(backup, entry);
      expected.add(entry.path());
    }
    try (Stream<Path> files = Files.walk(backup)) {
      files
          .filter(file -> !Files.isDirectory(file))
          .map(file -> backup.relativize(file).toString())
          .filter(path -> !expected.contains(path))
          .sorted(Comparator.naturalOrder())
          .findFirst()
          .ifPresent(
              path -> {
                throw BackupException.damaged(path, "does not belong to it");
              });
    } catch (IOException e) {
      throw BackupException.failed(backup, e);
    }
    return manifest;
  }

  /**
   * Copies the files of a backup whose paths begin with {@code folder}/ into {@code to}, comparing
   * what is copied: what is restored is what was verified, even if the medium fails in between.
   */
  public static void restoreFolder(Path backup, BackupManifest manifest, String folder, Path to) {
    try {
      DurableFiles.makePrivateFolders(to);
      for (BackupManifest.Entry entry : manifest.files()) {
        if (entry.path().startsWith(folder + "/")) {
          String name = entry.path().substring(folder.length() + 1);
          var copied = copy(backup.resolve(entry.path()), to, name);
          if (copied.bytes() != entry.bytes() || !copied.sha256().equals(entry.sha256())) {
            throw BackupException.damaged(entry.path(), "is not what the manifest says");
          }
        }
      }
      DurableFiles.sync(to);
    } catch (IOException e) {
      throw BackupException.failed(to, e);
    }
  }

  private static void compare(Path backup, BackupManifest.Entry entry) {
    Path file = backup.resolve(entry.path()).normalize();
    if (!file.startsWith(backup.normalize())) {
      throw BackupException.damaged(entry.path(), "lies outside of it");
    }
    if (!Files.isRegularFile(file)) {
      throw BackupException.damaged(entry.path(), "is missing");
    }
    MessageDigest digest = digest();
    long bytes = 0;
    try (InputStream in = Files.newInputStream(file)) {
      byte[] buffer = new byte[BUFFER_BYTES];
      for (int read = in.read(buffer); read > 0; read = in.read(buffer)) {
        digest.update(buffer, 0, read);
        bytes += read;
      }
    } catch (IOException e) {
      throw BackupException.damaged(entry.path(), "cannot be read: " + e);
    }
    if (bytes != entry.bytes()) {
      throw BackupException.damaged(
          entry.path(), "must have " + entry.bytes() + " bytes, but has " + bytes);
    }
    if (!HexFormat.of().formatHex(digest.digest()).equals(entry.sha256())) {
      throw BackupException.damaged(entry.path(), "is not what the manifest says");
    }
  }

  static void write(Path file, byte[] content) {
    try (FileChannel out = create(file)) {
      writeAll(out, ByteBuffer.wrap(content));
      out.force(true);
    } catch (IOException e) {
      throw BackupException.failed(file, e);
    }
  }

  private static FileChannel create(Path file) throws IOException {
    return FileChannel.open(
        file,
        Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
  }

  private static void writeAll(FileChannel out, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      out.write(bytes);
    }
  }

  static String sha256(byte[] content) {
    return HexFormat.of().formatHex(digest().digest(content));
  }

  private static MessageDigest digest() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}
