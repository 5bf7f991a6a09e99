package io.pluresdb.storage.rocks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.rocksdb.Options;
import org.rocksdb.RocksDB;
import org.rocksdb.RocksDBException;
import org.rocksdb.WriteOptions;

/** Waiting for a database whose flushes are behind, because they were stopped here. */
class WriteStallTest {
  private static final byte[] ROW = new byte[64 << 10];

  @TempDir Path directory;
  private final AtomicBoolean closed = new AtomicBoolean();
  private Options options;
  private WriteOptions prompt;
  private RocksDB database;
  private WriteStall stall;

  @BeforeEach
  void stallWrites() throws RocksDBException {
    NativeLibrary.load(Directories.NATIVE);
    options = new Options().setCreateIfMissing(true).setWriteBufferSize(256 << 10);
    prompt = new WriteOptions().setNoSlowdown(true);
    database = RocksDB.open(options, directory.toString());
    stall = new WriteStall(directory, database, 1, closed::get);
    database.pauseBackgroundWork();
    assertThatThrownBy(
            () -> {
              for (int row = 0; row < 1000; row++) {
                database.put(prompt, new byte[] {(byte) row}, ROW);
              }
            })
        .isInstanceOfSatisfying(
            RocksDBException.class, cause -> assertThat(RocksErrors.isStalled(cause)).isTrue());
  }

  @AfterEach
  void close() {
    database.close();
    prompt.close();
    options.close();
  }

  @Test
  void awaitEnd_untilTheFlushIsDone_waitsAndThenWritesAreTaken() throws Exception {
    CompletableFuture<Void> end = CompletableFuture.runAsync(this::awaitEnd);
    assertThatThrownBy(() -> end.get(50, TimeUnit.MILLISECONDS))
        .isInstanceOf(TimeoutException.class);
    database.continueBackgroundWork();
    end.get(30, TimeUnit.SECONDS);
    database.put(prompt, new byte[] {1}, ROW);
  }

  @Test
  void awaitEnd_whenTheStorageIsClosed_doesNotWait() throws Exception {
    CompletableFuture<Void> end = CompletableFuture.runAsync(this::awaitEnd);
    closed.set(true);
    assertThatThrownBy(() -> end.get(30, TimeUnit.SECONDS))
        .hasCauseInstanceOf(IllegalStateException.class);
    database.continueBackgroundWork();
  }

  private void awaitEnd() {
    try {
      stall.awaitEnd();
    } catch (RocksDBException cause) {
      throw new CompletionException(cause);
    }
  }
}
