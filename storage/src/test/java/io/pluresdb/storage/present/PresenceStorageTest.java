package io.pluresdb.storage.present;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.store.StorageContract;
import io.pluresdb.storage.crypto.EncryptedStorage;
import io.pluresdb.storage.crypto.Keyring;
import io.pluresdb.storage.rocks.RocksOptions;
import io.pluresdb.storage.rocks.RocksStorage;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The contract where the first read that finds nothing makes the storage gather its keys. */
class PresenceStorageTest extends StorageContract {
  private static final int BATCH = 500;
  private static final int ROWS = 2 * PresentKeys.MIN_CAPACITY;

  private static final Keyring KEYS =
      new Keyring(
          new TreeMap<>(
              Map.of(1, "k".repeat(Keyring.KEY_BYTES).getBytes(StandardCharsets.US_ASCII))));

  @TempDir Path directory;

  @Override
  protected Storage open() {
    return open(directory, false);
  }

  private static PresenceStorage open(Path directory, boolean encrypted) {
    Path natives = Path.of("target", "native").toAbsolutePath();
    RocksStorage rocks = RocksStorage.open(directory, RocksOptions.defaults(natives));
    Storage inner = encrypted ? EncryptedStorage.open(rocks, KEYS, new SecureRandom()) : rocks;
    return new PresenceStorage(inner, () -> rocks.estimatedRows(Table.STATE), 1);
  }

  private static byte[] id(int number) {
    return ("document-" + number).getBytes(StandardCharsets.UTF_8);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void readers_beside_commitsThatOutgrowTheFilterTwice_findEveryCommittedRow(boolean encrypted)
      throws Exception {
    Path own = directory.resolve("own");
    var committed = new AtomicInteger();
    try (ExecutorService readers = Executors.newFixedThreadPool(2);
        PresenceStorage storage = open(own, encrypted)) {
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
    try (PresenceStorage again = open(own, encrypted)) {
      assertThat(again.get(Table.STATE, id(ROWS))).isNull();
      for (int i = 0; i < ROWS; i += 7) {
        assertThat(again.get(Table.STATE, id(i))).isNotNull();
      }
    }
  }
}
