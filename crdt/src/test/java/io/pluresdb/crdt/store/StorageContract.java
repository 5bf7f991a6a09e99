package io.pluresdb.crdt.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.store.Storage.Cursor;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Snapshot;
import io.pluresdb.crdt.store.Storage.Table;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What every storage does, whatever lies under it. */
public abstract class StorageContract {
  private static final HexFormat HEX = HexFormat.of();

  @SuppressWarnings("NullAway.Init") // set before every test
  private Storage storage;

  /** Returns an open, empty storage; the contract closes it. */
  protected abstract Storage open() throws Exception;

  @BeforeEach
  final void openStorage() throws Exception {
    storage = open();
  }

  @AfterEach
  final void closeStorage() {
    storage.close();
  }

  @Test
  void get_onEmptyStorage_isNull() {
    for (Table table : Table.values()) {
      assertThat(storage.get(table, hex("01"))).isNull();
    }
  }

  @Test
  void commit_ofManyTables_isSeenInEach() {
    try (var batch = storage.newBatch()) {
      for (Table table : Table.values()) {
        batch.put(table, hex("01"), name(table));
      }
      assertThat(batch.size()).isEqualTo(Table.values().length);
      storage.commit(batch, Durability.SYNCED);
    }
    for (Table table : Table.values()) {
      assertThat(storage.get(table, hex("01"))).isEqualTo(name(table));
    }
  }

  @Test
  void batch_beforeCommit_isInvisible() {
    try (var batch = storage.newBatch()) {
      batch.put(Table.STATE, hex("01"), hex("aa"));
      assertThat(storage.get(Table.STATE, hex("01"))).isNull();
    }
    assertThat(storage.get(Table.STATE, hex("01"))).isNull();
    assertThat(rows(Table.STATE)).isEmpty();
  }

  @Test
  void commit_ofEmptyBatch_changesNothing() {
    put(Table.STATE, "01", "aa");
    try (var batch = storage.newBatch()) {
      assertThat(batch.size()).isZero();
      storage.commit(batch, Durability.BUFFERED);
      storage.commit(batch, Durability.SYNCED);
    }
    assertThat(rows(Table.STATE)).containsExactly("01=aa");
  }

  @Test
  void batch_reusedAfterAnother_startsEmpty() {
    put(Table.STATE, "01", "aa");
    try (var batch = storage.newBatch()) {
      assertThat(batch.size()).isZero();
      batch.put(Table.STATE, hex("02"), hex("bb"));
      storage.commit(batch, Durability.BUFFERED);
    }
    delete(Table.STATE, "01");
    put(Table.STATE, "03", "cc");
    assertThat(rows(Table.STATE)).containsExactly("02=bb", "03=cc");
  }

  @Test
  void batch_writingAKeyTwice_keepsTheLater() {
    try (var batch = storage.newBatch()) {
      batch.put(Table.STATE, hex("01"), hex("aa"));
      batch.put(Table.STATE, hex("01"), hex("bb"));
      batch.put(Table.STATE, hex("02"), hex("cc"));
      batch.delete(Table.STATE, hex("02"));
      batch.delete(Table.STATE, hex("03"));
      batch.put(Table.STATE, hex("03"), hex("dd"));
      storage.commit(batch, Durability.SYNCED);
    }
    assertThat(rows(Table.STATE)).containsExactly("01=bb", "03=dd");
    assertThat(storage.get(Table.STATE, hex("02"))).isNull();
  }

  @Test
  void put_ofEmptyValue_isARow() {
    put(Table.META, "01", "");
    assertThat(storage.get(Table.META, hex("01"))).isEmpty();
    assertThat(rows(Table.META)).containsExactly("01=");
  }

  @Test
  void put_ofEmptyKey_isTheFirstRow() {
    put(Table.META, "00", "bb");
    put(Table.META, "", "aa");
    assertThat(storage.get(Table.META, new byte[0])).containsExactly(0xaa);
    assertThat(rows(Table.META)).containsExactly("=aa", "00=bb");
    try (var snapshot = storage.snapshot();
        var cursor = snapshot.scanBackwards(Table.META, new byte[0], null)) {
      assertThat(drain(cursor)).containsExactly("00=bb", "=aa");
    }
  }

  @Test
  void delete_ofMissingKey_doesNothing() {
    delete(Table.STATE, "01");
    put(Table.STATE, "02", "aa");
    delete(Table.STATE, "01");
    assertThat(rows(Table.STATE)).containsExactly("02=aa");
  }

  @Test
  void delete_thenPut_bringsTheRowBack() {
    put(Table.STATE, "01", "aa");
    delete(Table.STATE, "01");
    assertThat(storage.get(Table.STATE, hex("01"))).isNull();
    put(Table.STATE, "01", "bb");
    assertThat(rows(Table.STATE)).containsExactly("01=bb");
  }

  @Test
  void tables_withEqualKeys_doNotMix() {
    put(Table.LOG, "01", "aa");
    put(Table.STATE, "01", "bb");
    delete(Table.LOG, "01");
    assertThat(storage.get(Table.LOG, hex("01"))).isNull();
    assertThat(storage.get(Table.STATE, hex("01"))).containsExactly(0xbb);
  }

  @Test
  void value_ofOneMebibyte_comesBackWhole() {
    byte[] value = new byte[1 << 20];
    random(7).nextBytes(value);
    try (var batch = storage.newBatch()) {
      batch.put(Table.LOG, hex("01"), value);
      batch.put(Table.LOG, hex("02"), value);
      storage.commit(batch, Durability.SYNCED);
    }
    assertThat(storage.get(Table.LOG, hex("02"))).isEqualTo(value);
    try (var snapshot = storage.snapshot();
        var cursor = snapshot.scan(Table.LOG, hex("01"), hex("02"))) {
      assertThat(cursor.next()).isTrue();
      assertThat(cursor.value()).isEqualTo(value);
      assertThat(cursor.next()).isFalse();
    }
  }

  @Test
  void scan_ofAwkwardKeys_ordersUnsigned() {
    String[] keys = {"ff", "00", "7f", "80", "00ff", "0000", "ffff", "ff00", "01", "8000"};
    for (String key : keys) {
      put(Table.STATE, key, "aa");
    }
    String[] sorted = {"00", "0000", "00ff", "01", "7f", "80", "8000", "ff", "ff00", "ffff"};
    assertThat(keys("", null)).containsExactly(sorted);
    assertThat(keys("00", "80")).containsExactly("00", "0000", "00ff", "01", "7f");
    assertThat(keys("0000", "0000")).isEmpty();
    assertThat(keys("ff", null)).containsExactly("ff", "ff00", "ffff");
    assertThat(keys("ff", "ffff")).containsExactly("ff", "ff00");
    assertThat(keys("ffff00", null)).isEmpty();
    assertThat(keys("02", "7f")).isEmpty();
    assertThat(keys("80", "02")).as("from beyond to").isEmpty();
    assertThat(keys("", "")).as("to is the empty key").isEmpty();
    assertThat(keys("", "00")).isEmpty();
    assertThat(keys("", "0000")).containsExactly("00");
  }

  @Test
  void scan_ofRandomRanges_equalsASortedMap() {
    RandomGenerator random = random(42);
    var model = new TreeMap<byte[], byte[]>(Arrays::compareUnsigned);
    for (int round = 0; round < 20; round++) {
      try (var batch = storage.newBatch()) {
        for (int i = 0; i < 50; i++) {
          byte[] key = key(random);
          if (random.nextInt(4) == 0) {
            batch.delete(Table.STATE, key);
            model.remove(key);
          } else {
            byte[] value = key(random);
            batch.put(Table.STATE, key, value);
            model.put(key, value);
          }
        }
        storage.commit(batch, Durability.BUFFERED);
      }
      for (int i = 0; i < 20; i++) {
        byte[] from = key(random);
        byte[] to = random.nextInt(5) == 0 ? null : key(random);
        List<String> expected = new ArrayList<>();
        model.forEach(
            (key, value) -> {
              if (Arrays.compareUnsigned(from, key) <= 0
                  && (to == null || Arrays.compareUnsigned(key, to) < 0)) {
                expected.add(HEX.formatHex(key) + "=" + HEX.formatHex(value));
              }
            });
        try (var snapshot = storage.snapshot();
            var forwards = snapshot.scan(Table.STATE, from, to);
            var backwards = snapshot.scanBackwards(Table.STATE, from, to)) {
          assertThat(drain(forwards)).isEqualTo(expected);
          assertThat(drain(backwards)).isEqualTo(expected.reversed());
        }
      }
    }
  }

  @Test
  void cursor_offItsRows_saysSo() {
    put(Table.STATE, "01", "aa");
    try (var snapshot = storage.snapshot();
        var cursor = snapshot.scan(Table.STATE, hex("00"), null)) {
      assertThatThrownBy(cursor::key).isInstanceOf(IllegalStateException.class);
      assertThat(cursor.next()).isTrue();
      assertThat(cursor.key()).containsExactly(0x01);
      assertThat(cursor.key()).as("asked twice").containsExactly(0x01);
      assertThat(cursor.next()).isFalse();
      assertThat(cursor.next()).as("past the end").isFalse();
      assertThatThrownBy(cursor::value).isInstanceOf(IllegalStateException.class);
    }
  }

  @Test
  void snapshot_underLaterCommits_staysAsItWas() {
    put(Table.STATE, "01", "aa");
    put(Table.STATE, "02", "bb");
    try (var before = storage.snapshot()) {
      put(Table.STATE, "01", "cc");
      delete(Table.STATE, "02");
      put(Table.STATE, "03", "dd");
      try (var between = storage.snapshot()) {
        delete(Table.STATE, "01");
        put(Table.STATE, "02", "ee");
        assertThat(rows(before, Table.STATE)).containsExactly("01=aa", "02=bb");
        assertThat(rows(between, Table.STATE)).containsExactly("01=cc", "03=dd");
        assertThat(before.get(Table.STATE, hex("03"))).isNull();
        assertThat(between.get(Table.STATE, hex("02"))).isNull();
        assertThat(rows(Table.STATE)).containsExactly("02=ee", "03=dd");
      }
      assertThat(before.get(Table.STATE, hex("01"))).containsExactly(0xaa);
    }
  }

  @Test
  void cursor_openDuringCommits_keepsItsSnapshot() {
    for (int i = 0; i < 100; i++) {
      put(Table.STATE, String.format("%04x", i), "aa");
    }
    try (var snapshot = storage.snapshot();
        var cursor = snapshot.scan(Table.STATE, new byte[0], null)) {
      for (int i = 0; i < 100; i++) {
        assertThat(cursor.next()).isTrue();
        assertThat(HEX.formatHex(cursor.key())).isEqualTo(String.format("%04x", i));
        assertThat(cursor.value()).containsExactly(0xaa);
        delete(Table.STATE, String.format("%04x", 99 - i));
        put(Table.STATE, String.format("%04x%02x", i, 1), "bb");
      }
      assertThat(cursor.next()).isFalse();
    }
  }

  @Test
  void sync_afterBufferedCommits_keepsThemVisible() {
    try (var batch = storage.newBatch()) {
      batch.put(Table.LOG, hex("01"), hex("aa"));
      storage.commit(batch, Durability.BUFFERED);
    }
    storage.sync();
    storage.sync();
    assertThat(rows(Table.LOG)).containsExactly("01=aa");
  }

  @Test
  void readers_duringCommits_seeWholeBatchesAndNeverGoBack() throws Exception {
    int rows = 16;
    int commits = 500;
    AtomicBoolean done = new AtomicBoolean();
    try (var executor = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<Long>> readers = new ArrayList<>();
      CountDownLatch reading = new CountDownLatch(4);
      for (int i = 0; i < 4; i++) {
        readers.add(executor.submit(() -> readUntil(done, reading, rows)));
      }
      try {
        assertThat(reading.await(30, TimeUnit.SECONDS)).isTrue();
        for (long commit = 1; commit <= commits; commit++) {
          try (var batch = storage.newBatch()) {
            for (int row = 0; row < rows; row++) {
              batch.put(Table.STATE, new byte[] {(byte) row}, longBytes(commit));
            }
            storage.commit(batch, Durability.BUFFERED);
          }
        }
      } finally {
        done.set(true);
      }
      for (Future<Long> reader : readers) {
        assertThat(outcome(reader)).isEqualTo(commits);
      }
    }
  }

  @Test
  void commit_ofAnotherStoragesBatch_isRefused() throws Exception {
    try (Storage other = new MemoryStorage();
        var batch = other.newBatch()) {
      assertThatThrownBy(() -> storage.commit(batch, Durability.SYNCED))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void parts_usedAfterTheirClose_sayWhichIsClosed() {
    put(Table.STATE, "01", "aa");
    var batch = storage.newBatch();
    batch.close();
    batch.close();
    closedError("batch", () -> batch.put(Table.STATE, hex("01"), hex("aa")));
    closedError("batch", () -> batch.delete(Table.STATE, hex("01")));
    closedError("batch", () -> storage.commit(batch, Durability.SYNCED));
    var snapshot = storage.snapshot();
    var cursor = snapshot.scan(Table.STATE, hex("00"), null);
    cursor.close();
    cursor.close();
    closedError("cursor", cursor::next);
    snapshot.close();
    snapshot.close();
    closedError("snapshot", () -> snapshot.get(Table.STATE, hex("01")));
    closedError("snapshot", () -> snapshot.scan(Table.STATE, hex("01"), null));
  }

  @Test
  void storage_usedAfterClose_saysSo() {
    put(Table.STATE, "01", "aa");
    var batch = storage.newBatch();
    batch.put(Table.STATE, hex("01"), hex("bb"));
    var snapshot = storage.snapshot();
    var cursor = snapshot.scan(Table.STATE, hex("00"), null);
    storage.close();
    storage.close();
    closedError("storage", () -> storage.get(Table.STATE, hex("01")));
    closedError("storage", storage::newBatch);
    closedError("storage", storage::snapshot);
    closedError("storage", storage::sync);
    closedError("storage", () -> storage.commit(batch, Durability.SYNCED));
    closedError("storage", () -> snapshot.get(Table.STATE, hex("01")));
    closedError("storage", () -> snapshot.scan(Table.STATE, hex("01"), null));
    closedError("storage", cursor::next);
    cursor.close();
    snapshot.close();
    batch.close();
  }

  @Test
  void close_whileReadersRead_stopsThemWithAClearError() throws Exception {
    for (int i = 0; i < 200; i++) {
      put(Table.STATE, String.format("%04x", i), "aa");
    }
    try (var executor = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<?>> readers = new ArrayList<>();
      CountDownLatch reading = new CountDownLatch(4);
      for (int i = 0; i < 4; i++) {
        readers.add(
            executor.submit(
                () -> {
                  while (true) {
                    storage.get(Table.STATE, hex("0001"));
                    try (var snapshot = storage.snapshot();
                        var cursor = snapshot.scan(Table.STATE, hex("00"), null)) {
                      while (cursor.next()) {
                        cursor.key();
                      }
                    }
                    reading.countDown();
                  }
                }));
      }
      assertThat(reading.await(30, TimeUnit.SECONDS)).isTrue();
      storage.close();
      for (Future<?> reader : readers) {
        assertThatThrownBy(reader::get)
            .cause()
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("closed");
      }
    }
  }

  private long readUntil(AtomicBoolean done, CountDownLatch reading, int rows) {
    long newest = 0;
    while (true) {
      boolean last = done.get();
      byte[] direct = storage.get(Table.STATE, new byte[] {0});
      long seen = direct == null ? 0 : ByteBuffer.wrap(direct).getLong();
      assertThat(seen).isGreaterThanOrEqualTo(newest);
      try (var snapshot = storage.snapshot();
          var cursor = snapshot.scan(Table.STATE, new byte[0], null)) {
        byte[] first = snapshot.get(Table.STATE, new byte[] {0});
        newest = first == null ? 0 : ByteBuffer.wrap(first).getLong();
        assertThat(newest).isGreaterThanOrEqualTo(seen);
        int count = 0;
        while (cursor.next()) {
          assertThat(ByteBuffer.wrap(cursor.value()).getLong()).isEqualTo(newest);
          count++;
        }
        assertThat(count).isEqualTo(newest == 0 ? 0 : rows);
      }
      reading.countDown();
      if (last) {
        return newest;
      }
    }
  }

  private static long outcome(Future<Long> reader) throws InterruptedException {
    try {
      return reader.get();
    } catch (ExecutionException failure) {
      throw new AssertionError("a reader failed", failure.getCause());
    }
  }

  private static void closedError(String part, Runnable use) {
    assertThatThrownBy(use::run)
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("the " + part + " is closed");
  }

  private void put(Table table, String key, String value) {
    try (var batch = storage.newBatch()) {
      batch.put(table, hex(key), hex(value));
      storage.commit(batch, Durability.BUFFERED);
    }
  }

  private void delete(Table table, String key) {
    try (var batch = storage.newBatch()) {
      batch.delete(table, hex(key));
      storage.commit(batch, Durability.BUFFERED);
    }
  }

  private List<String> rows(Table table) {
    try (var snapshot = storage.snapshot()) {
      return rows(snapshot, table);
    }
  }

  private static List<String> rows(Snapshot snapshot, Table table) {
    try (var cursor = snapshot.scan(table, new byte[0], null)) {
      return drain(cursor);
    }
  }

  /** Keys of STATE in the range, after checking that backwards is the reverse. */
  private List<String> keys(String from, @Nullable String to) {
    byte[] end = to == null ? null : hex(to);
    try (var snapshot = storage.snapshot();
        var forwards = snapshot.scan(Table.STATE, hex(from), end);
        var backwards = snapshot.scanBackwards(Table.STATE, hex(from), end)) {
      List<String> rows = drain(forwards);
      assertThat(drain(backwards)).isEqualTo(rows.reversed());
      return rows.stream().map(row -> row.substring(0, row.indexOf('='))).toList();
    }
  }

  private static List<String> drain(Cursor cursor) {
    List<String> rows = new ArrayList<>();
    while (cursor.next()) {
      rows.add(HEX.formatHex(cursor.key()) + "=" + HEX.formatHex(cursor.value()));
    }
    return rows;
  }

  private static byte[] key(RandomGenerator random) {
    byte[] key = new byte[random.nextInt(4)];
    for (int i = 0; i < key.length; i++) {
      key[i] = (byte) (random.nextInt(5) * 0x3f + random.nextInt(2));
    }
    return key;
  }

  private static RandomGenerator random(long seed) {
    return RandomGeneratorFactory.of("L64X128MixRandom").create(seed);
  }

  private static byte[] longBytes(long number) {
    return ByteBuffer.allocate(Long.BYTES).putLong(number).array();
  }

  private static byte[] name(Table table) {
    return table.name().getBytes(StandardCharsets.US_ASCII);
  }

  private static byte[] hex(String digits) {
    return HEX.parseHex(digits);
  }
}
