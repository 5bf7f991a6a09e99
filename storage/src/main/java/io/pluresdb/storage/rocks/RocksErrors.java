package io.pluresdb.storage.rocks;

import io.pluresdb.crdt.store.StorageException;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.rocksdb.RocksDBException;
import org.rocksdb.Status;

/** What RocksDB's statuses mean to a caller. */
final class RocksErrors {
  private RocksErrors() {}

  /**
   * Full when nothing was written for lack of room, Failed otherwise. A sync that finds no room is
   * Failed: what it was to make durable is in the page cache, and no second sync would report it.
   */
  static StorageException onWrite(RocksDBException cause) {
    if (isNoSpace(cause) && !text(cause).contains("sync")) {
      return new StorageException.Full(
          "the disk is full, nothing was written; writes resume when there is room", cause);
    }
    return new StorageException.Failed(
        "writing failed, this storage takes no more writes: " + cause.getMessage(), cause);
  }

  static StorageException.Failed onRead(RocksDBException cause) {
    return new StorageException.Failed("reading failed: " + cause.getMessage(), cause);
  }

  /** The storage at {@code directory} did not open. */
  static StorageException onOpen(Path directory, RocksDBException cause) {
    String text = text(cause);
    if (isNoSpace(cause)) {
      return new StorageException.Full("the disk holding " + directory + " is full", cause);
    }
    if (text.contains("lock hold by") || text.contains("while lock file")) {
      return new StorageException.OpenFailed(
          "STORAGE_LOCKED",
          directory
              + " is in use by another process or storage:"
              + " stop the daemon that holds it, or send the command to that daemon",
          cause);
    }
    if (text.contains("newer version of rocksdb")) {
      return newer(
          directory + " holds files of a newer version of RocksDB: " + cause.getMessage(), cause);
    }
    if (isCorruption(cause) && !text.contains(".sst") && !text.contains("manifest")) {
      return damagedLog(
          directory, "STORAGE_WAL_CORRUPT_ENTRY", String.valueOf(cause.getMessage()), cause);
    }
    return new StorageException.OpenFailed(
        "STORAGE_OPEN_FAILED", directory + " cannot be opened: " + cause.getMessage(), cause);
  }

  /** The log at {@code directory} is damaged before its end; {@code how} says where. */
  static StorageException.OpenFailed damagedLog(
      Path directory, String code, String how, Throwable cause) {
    return new StorageException.OpenFailed(
        code,
        "the write-ahead log in "
            + directory
            + " is damaged before its end, so commits would be lost: restore a backup, or keep what"
            + " precedes the damage with `pluresdb wal recover` ("
            + how
            + ")",
        cause);
  }

  static StorageException.OpenFailed newer(String message, Throwable cause) {
    return new StorageException.OpenFailed("STORAGE_NEWER_FORMAT", message, cause);
  }

  /**
   * Whether the write was refused because flushes or compactions are behind; nothing is written.
   */
  static boolean isStalled(RocksDBException cause) {
    Status status = cause.getStatus();
    return status != null && status.getCode() == Status.Code.Incomplete;
  }

  private static boolean isNoSpace(RocksDBException cause) {
    Status status = cause.getStatus();
    return status != null && status.getSubCode() == Status.SubCode.NoSpace;
  }

  private static boolean isCorruption(RocksDBException cause) {
    Status status = cause.getStatus();
    return status != null && status.getCode() == Status.Code.Corruption;
  }

  private static String text(RocksDBException cause) {
    @Nullable String message = cause.getMessage();
    return message == null ? "" : message.toLowerCase(Locale.ROOT);
  }
}
