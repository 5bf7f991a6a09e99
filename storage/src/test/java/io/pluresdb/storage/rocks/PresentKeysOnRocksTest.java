package io.pluresdb.storage.rocks;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.store.StorageContract;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The contract where the first read that finds nothing makes the storage gather its keys. */
class PresentKeysOnRocksTest extends StorageContract {
  private static final int BATCH = 500;
  private static final int ROWS = 2 * PresentKeys.MIN_CAPACITY;

  @TempDir Path directory;

  @Override
  protected Storage open() {
    return RocksStorage.open(directory, Directories.options(), 1);
  }

  private static byte[] id(int number) {
    return ("document-" + number).getBytes(StandardCharsets.UTF_8);
  }

  @Test
  void readers_beside_commitsThatOutgrowTheFilterTwice_findEveryCommittedRow() throws Exception {
    Path own = directory.resolve("own");
    var committed = new AtomicInteger();
    try (ExecutorService readers = Executors.newFixedThreadPool(2);
        RocksStorage storage = RocksStorage.open(own, Directories.options(), 1)) {
      Callable<Integer> reader =
          () -> {
            var random = new SplittableRandom(Thread.currentThread().threadId());
            int absent = 0;
            while (committed.get() < ROWS) {
              int known = committed.get();
              if (known > 0) {
                // Mostly the newest, which the filters are just being told of.
                int back = random.nextInt(random.nextBoolean() ? known : Math.min(known, BATCH));
                assertThat(storage.get(Table.STATE, id(known - 1 - back))).isNotNull();
              }
              absent += storage.get(Table.STATE, id(ROWS + random.nextInt(ROWS))) == null ? 1 : 0;
            }
            return absent;
          };
      Future<Integer> first = readers.submit(reader);
      Future<Integer> second = readers.submit(reader);
      for (int from = 0; from < ROWS; from += BATCH) {
        try (var batch = storage.newBatch()) {
          for (int i = from; i < from + BATCH && i < ROWS; i++) {
            batch.put(Table.STATE, id(i), id(i));
          }
          storage.commit(batch, Durability.BUFFERED);
        }
        committed.set(Math.min(ROWS, from + BATCH));
      }
      assertThat(first.get()).isPositive();
      assertThat(second.get()).isPositive();
      for (int i = 0; i < ROWS; i++) {
        assertThat(storage.get(Table.STATE, id(i))).isEqualTo(id(i));
      }
    }
    try (RocksStorage again = RocksStorage.open(own, Directories.options(), 1)) {
      assertThat(again.get(Table.STATE, id(ROWS))).isNull();
      for (int i = 0; i < ROWS; i += 7) {
        assertThat(again.get(Table.STATE, id(i))).isNotNull();
      }
    }
  }
}
