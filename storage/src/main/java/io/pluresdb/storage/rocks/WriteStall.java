package io.pluresdb.storage.rocks;

import io.pluresdb.crdt.store.StorageException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.rocksdb.RocksDB;
import org.rocksdb.RocksDBException;

/**
 * The time in which RocksDB takes no writes because what it took is not flushed or merged yet.
 *
 * <p>That is backpressure and ends by itself, unless flushes fail for lack of room: then it lasts
 * until somebody frees some, and a writer has to hear of it.
 */
final class WriteStall {
  /** Flushes that failed are tried again by themselves; a writer waits so long for one to do. */
  static final long PATIENCE_MILLIS = 2_000;

  private static final long PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(1);

  private final Path directory;
  private final RocksDB database;
  private final long flushBytes;
  private final BooleanSupplier closed;

  /** How many flushes and compactions had failed when the last stall ended. */
  private long failuresBefore;

  /**
   * @param flushBytes what a flush may need on disk
   * @param closed whether the storage is being closed: nobody waits any longer
   */
  WriteStall(Path directory, RocksDB database, long flushBytes, BooleanSupplier closed) {
    this.directory = directory;
    this.database = database;
    this.flushBytes = flushBytes;
    this.closed = closed;
  }

  /**
   * Waits until writes are taken; at once when they are.
   *
   * @throws StorageException.Full when flushes fail and there is little room, or they go on failing
   *     for {@link #PATIENCE_MILLIS}
   * @throws IllegalStateException when the storage is closed meanwhile
   */
  synchronized void awaitEnd() throws RocksDBException {
    long start = System.nanoTime();
    do {
      // Writes that are only slowed come here too: each waits at least once.
      LockSupport.parkNanos(PAUSE_NANOS);
      if (closed.getAsBoolean()) {
        throw new IllegalStateException("the storage is closed");
      }
      long failures = database.getLongProperty("rocksdb.background-errors") - failuresBefore;
      long free = usableBytes();
      boolean patient = System.nanoTime() - start < TimeUnit.MILLISECONDS.toNanos(PATIENCE_MILLIS);
      if (isStopped() && failures > 0 && (free < flushBytes || !patient)) {
        throw new StorageException.Full(
            "what was written last cannot be flushed, %d attempts failed with %d bytes free on the"
                    .formatted(failures, free)
                + " disk: nothing was written; writes resume when there is room",
            new IOException("flushes fail in " + directory));
      }
    } while (isStopped());
    failuresBefore = database.getLongProperty("rocksdb.background-errors");
  }

  private boolean isStopped() throws RocksDBException {
    return database.getLongProperty("rocksdb.is-write-stopped") != 0;
  }

  private long usableBytes() {
    try {
      return Files.getFileStore(directory).getUsableSpace();
    } catch (IOException cause) {
      throw new UncheckedIOException(cause);
    }
  }
}
