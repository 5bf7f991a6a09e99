package io.pluresdb.storage.crypto;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.pluresdb.crdt.store.MemoryStorage;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Snapshot;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.storage.rocks.RocksOptions;
import io.pluresdb.storage.rocks.RocksStorage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Executor;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Bins, keys and what the disk shows of an encrypted storage. */
class HiddenRowsTest {
  private static final String ID = "planted-id-of-a-document";
  private static final String VALUE = "planted-value-of-a-document";

  @TempDir Path directory;

  private static EncryptedStorage open(Storage inner, int... keys) {
    return EncryptedStorage.open(inner, EncryptedStorageTest.keyring(keys), new SecureRandom());
  }

  private RocksStorage rocks(String name) {
    return RocksStorage.open(
        directory.resolve(name),
        RocksOptions.defaults(Path.of("target", "native").toAbsolutePath()));
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static void put(Storage storage, Table table, Map<String, String> rows) {
    try (var batch = storage.newBatch()) {
      rows.forEach((key, value) -> batch.put(table, bytes(key), bytes(value)));
      storage.commit(batch, Durability.BUFFERED);
    }
  }

  private static NavigableMap<String, String> read(
      Snapshot snapshot, Table table, String from, @Nullable String to) {
    var rows = new TreeMap<String, String>();
    var order = new ArrayList<String>();
    try (var cursor = snapshot.scan(table, bytes(from), to == null ? null : bytes(to))) {
      while (cursor.next()) {
        String key = new String(cursor.key(), StandardCharsets.UTF_8);
        order.add(key);
        rows.put(key, new String(cursor.value(), StandardCharsets.UTF_8));
      }
    }
    assertThat(order).isSorted().doesNotHaveDuplicates();
    return rows;
  }

  private static NavigableMap<String, String> read(Storage storage, Table table) {
    try (var snapshot = storage.snapshot()) {
      return read(snapshot, table, "", null);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"ascending", "descending", "random", "one at a time", "by many writers"})
  void rows_beyondManyBins_areASortedMap_alsoWhenOpenedAnew(String order) {
    var inner = new MemoryStorage();
    var random = new SplittableRandom(1);
    var expected = new TreeMap<String, String>();
    EncryptedStorage storage = open(inner, 1);
    int step = order.equals("one at a time") ? 1 : order.equals("by many writers") ? 8 : 100;
    for (int i = 0; i < 2_000; i += step) {
      var rows = new TreeMap<String, String>();
      for (int j = i; j < i + step; j++) {
        int number =
            switch (order) {
              case "ascending" -> j;
              case "descending" -> 9_999 - j;
              case "by many writers" -> j % 8 * 1_000 + j / 8;
              default -> random.nextInt(10_000);
            };
        rows.put("k%04d".formatted(number), "v" + j);
      }
      put(storage, Table.STATE, rows);
      expected.putAll(rows);
      if (random.nextInt(4) == 0) {
        String gone = expected.firstKey();
        try (var batch = storage.newBatch()) {
          batch.delete(Table.STATE, bytes(gone));
          storage.commit(batch, Durability.BUFFERED);
        }
        expected.remove(gone);
      }
    }
    for (EncryptedStorage each : List.of(storage, open(inner, 1))) {
      assertThat(read(each, Table.STATE)).isEqualTo(expected);
      try (var snapshot = each.snapshot()) {
        for (int i = 0; i < 50; i++) {
          String from = "k%04d".formatted(random.nextInt(10_000));
          String to = "k%04d".formatted(random.nextInt(10_000));
          assertThat(read(snapshot, Table.STATE, from, to))
              .isEqualTo(from.compareTo(to) < 0 ? expected.subMap(from, to) : new TreeMap<>());
        }
      }
      for (String key : expected.keySet()) {
        assertThat(each.get(Table.STATE, bytes(key))).isEqualTo(bytes(expected.get(key)));
      }
      assertThat(each.get(Table.STATE, bytes("k"))).isNull();
    }
    assertThat(rowsByBin(inner).values()).allMatch(n -> n <= 192).hasSizeGreaterThan(8);
  }

  @Test
  void ascendingRowsOfManyWriters_fillTheirBins_andCutNone() {
    var inner = new MemoryStorage();
    EncryptedStorage storage = open(inner, 1);
    for (int i = 0; i < 1_000; i++) {
      var rows = new TreeMap<String, String>();
      for (int writer = 0; writer < 4; writer++) {
        rows.put("w%d:%04d".formatted(writer, i), "v");
      }
      put(storage, Table.STATE, rows);
    }
    // Cut in halves as they are filled, they would hold 64 rows each.
    assertThat(rowsByBin(inner)).hasSizeLessThan(4_000 / 96);
  }

  @Test
  void ascendingRowsOfManyWriters_thatBeginInOneBin_hardlyMove() {
    var inner = new MemoryStorage();
    EncryptedStorage storage = open(inner, 1);
    int moved = 0;
    Set<String> before = Set.of();
    for (int i = 0; i < 200; i++) {
      var rows = new TreeMap<String, String>();
      for (int writer = 0; writer < 16; writer++) {
        rows.put("w%02d:%04d".formatted(writer, i), "v");
      }
      put(storage, Table.STATE, rows);
      Set<String> places = places(inner);
      moved += (int) before.stream().filter(place -> !places.contains(place)).count();
      before = places;
    }
    // Those that were put while writers shared bins. Cut into equal parts, 2,117 would move.
    assertThat(moved).isLessThan(3_200 / 5);
    assertThat(rowsByBin(inner)).hasSizeLessThan(3_200 / 64);
  }

  @Test
  void rowsThatAreThere_areWrittenAgain_alsoInBinsBeyondTheirLimit() {
    for (int seed = 0; seed < 20; seed++) {
      var inner = new MemoryStorage();
      EncryptedStorage storage = open(inner, 1);
      var random = new SplittableRandom(seed);
      var expected = new TreeMap<String, String>();
      int ascending = 0;
      for (int i = 0; i < 150; i++) {
        boolean fresh = random.nextInt(3) > 0;
        var rows = new TreeMap<String, String>();
        for (int j = random.nextInt(100); j >= 0; j--) {
          int number = fresh ? ascending++ : random.nextInt(Math.max(1, ascending));
          rows.put("k%06d".formatted(number), "v" + i);
        }
        put(storage, Table.STATE, rows);
        expected.putAll(rows);
      }
      assertThat(read(storage, Table.STATE)).isEqualTo(expected);
      assertThat(read(open(inner, 1), Table.STATE)).isEqualTo(expected);
    }
  }

  @Test
  void commit_thatFailsAfterCutting_leavesNothingBehind() {
    var inner = new MemoryStorage();
    EncryptedStorage storage = open(inner, 1);
    var expected = new TreeMap<String, String>();
    for (int i = 0; i < 600; i++) {
      Map<String, String> row = Map.of("k%04d".formatted(i * 7 % 1_000), "v" + i);
      if (i % 3 == 0) {
        inner.failNextCommit(MemoryStorage.Fault.FULL);
        Map<String, String> lost = Map.of("l%04d".formatted(i), "lost", "k0000x" + i, "lost");
        assertThatThrownBy(() -> put(storage, Table.STATE, lost))
            .isInstanceOf(StorageException.Full.class);
      }
      put(storage, Table.STATE, row);
      expected.putAll(row);
    }
    assertThat(read(storage, Table.STATE)).isEqualTo(expected);
    assertThat(read(open(inner, 1), Table.STATE)).isEqualTo(expected);
  }

  /** Where the rows of STATE stand on disk: the id of the bin, then the hidden key. */
  private static Set<String> places(Storage inner) {
    var places = new TreeSet<String>();
    try (var snapshot = inner.snapshot();
        var cursor = snapshot.scan(Table.STATE, new byte[] {3}, new byte[] {4})) {
      while (cursor.next()) {
        places.add(HexFormat.of().formatHex(cursor.key(), 1, cursor.key().length));
      }
    }
    return places;
  }

  /** How many rows of STATE share a bin on disk. */
  private static Map<String, Integer> rowsByBin(Storage inner) {
    var rows = new TreeMap<String, Integer>();
    places(inner).forEach(place -> rows.merge(place.substring(0, 16), 1, Integer::sum));
    return rows;
  }

  @Test
  void rows_ofLargeValues_areReadAgainWhenAskedFor() {
    EncryptedStorage storage = open(new MemoryStorage(), 1);
    String large = "x".repeat(EncryptedStorage.LARGE_VALUE_BYTES + 1);
    put(storage, Table.STATE, Map.of("a", large, "b", "small"));
    assertThat(read(storage, Table.STATE)).isEqualTo(Map.of("a", large, "b", "small"));
  }

  @Test
  void readers_whileBinsAreCut_seeEveryRowOfTheirCommit() throws Exception {
    try (EncryptedStorage storage = open(rocks("store"), 1)) {
      var done = new AtomicBoolean();
      var failure = new AtomicReference<Throwable>();
      put(storage, Table.STATE, Map.of("count", "0", "k000000", "first"));
      Runnable reader =
          () -> {
            try {
              while (!done.get()) {
                try (var snapshot = storage.snapshot()) {
                  byte[] count = snapshot.get(Table.STATE, bytes("count"));
                  assertThat(count).isNotNull();
                  int rows = Integer.parseInt(new String(count, StandardCharsets.UTF_8));
                  assertThat(read(snapshot, Table.STATE, "k", "l")).hasSize(1 + rows);
                }
                assertThat(storage.get(Table.STATE, bytes("k000000"))).isNotNull();
              }
            } catch (Throwable e) {
              failure.set(e);
            }
          };
      Thread[] readers = {Thread.ofPlatform().start(reader), Thread.ofPlatform().start(reader)};
      for (int i = 1; i <= 3_000 && failure.get() == null; i++) {
        put(storage, Table.STATE, Map.of("count", "" + i, "k%06d".formatted(3_001 - i), "v"));
      }
      done.set(true);
      for (Thread each : readers) {
        each.join();
      }
      assertThat(failure.get()).isNull();
    }
  }

  @Test
  void disk_showsNoKeyNorValue_butOfAPlainStorage() throws IOException {
    for (boolean encrypted : new boolean[] {false, true}) {
      String name = encrypted ? "sealed" : "plain";
      RocksStorage inner = rocks(name);
      try (Storage storage = encrypted ? open(inner, 1) : inner) {
        for (Table table : Table.values()) {
          // Keys of the others hold no words: actors, hashes and numbers.
          String key = SealedRows.isHidden(table) ? ID : "key";
          put(storage, table, Map.of(key, VALUE + VALUE.repeat(20), "b" + key, VALUE));
        }
        inner.compact();
        put(storage, Table.STATE, Map.of(ID, VALUE));
      }
      assertThat(holds(directory.resolve(name), ID)).isEqualTo(!encrypted);
      assertThat(holds(directory.resolve(name), VALUE)).isEqualTo(!encrypted);
    }
  }

  private static boolean holds(Path folder, String word) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        if (Files.readString(file, StandardCharsets.ISO_8859_1).contains(word)) {
          return true;
        }
      }
    }
    return false;
  }

  @Test
  void open_withAnotherKey_orOfPlainRows_isRefused() {
    var inner = new MemoryStorage();
    put(open(inner, 1), Table.STATE, Map.of("a", "1"));
    assertThat(EncryptedStorage.isEncrypted(inner)).isTrue();
    var wrong = catchThrowableOfType(StorageException.OpenFailed.class, () -> open(inner, 2));
    assertThat(wrong.code()).isEqualTo("STORAGE_WRONG_KEY");
    var plain = new MemoryStorage();
    put(plain, Table.META, Map.of("format", "1"));
    assertThat(EncryptedStorage.isEncrypted(plain)).isFalse();
    var refused = catchThrowableOfType(StorageException.OpenFailed.class, () -> open(plain, 1));
    assertThat(refused.code()).isEqualTo("STORAGE_NOT_ENCRYPTED");
  }

  @Test
  void equalKeys_ofTwoStorages_lookUnlike() {
    var places = new TreeSet<String>();
    for (int i = 0; i < 2; i++) {
      var inner = new MemoryStorage();
      put(open(inner, 1), Table.STATE, Map.of("same", "1"));
      try (var snapshot = inner.snapshot();
          var cursor = snapshot.scan(Table.STATE, new byte[] {3}, null)) {
        assertThat(cursor.next()).isTrue();
        places.add(HexFormat.of().formatHex(cursor.key(), 9, cursor.key().length));
      }
    }
    assertThat(places).hasSize(2);
  }

  @ParameterizedTest
  @ValueSource(strings = {"STATE", "META"})
  void rows_exchangedOnDisk_areNoticed(String name) {
    Table table = Table.valueOf(name);
    var inner = new MemoryStorage();
    EncryptedStorage storage = open(inner, 1);
    put(storage, table, Map.of("a", "1", "b", "2"));
    var rows = new TreeMap<String, byte[]>();
    try (var snapshot = inner.snapshot();
        var cursor =
            snapshot.scan(table, table == Table.STATE ? new byte[] {3} : new byte[0], null)) {
      while (cursor.next()) {
        rows.put(HexFormat.of().formatHex(cursor.key()), cursor.value());
      }
    }
    assertThat(rows).hasSize(2);
    try (var batch = inner.newBatch()) {
      batch.put(table, HexFormat.of().parseHex(rows.firstKey()), rows.lastEntry().getValue());
      inner.commit(batch, Durability.BUFFERED);
    }
    assertThatThrownBy(
            () -> {
              storage.get(table, bytes("a"));
              storage.get(table, bytes("b"));
            })
        .isInstanceOf(StorageException.Failed.class)
        .hasMessageContaining("a row of " + name + " is not as it was written");
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 3, 10, 1_000})
  void reencryption_endedAfterAnyStep_goesOnWhereItWas(int steps) {
    var inner = new MemoryStorage();
    EncryptedStorage old = open(inner, 1);
    var expected = new TreeMap<String, String>();
    for (int i = 0; i < 700; i++) {
      expected.put("k%04d".formatted(i), "v" + i);
    }
    for (Table table : Table.values()) {
      put(old, table, expected);
    }
    EncryptedStorage first = open(inner, 1, 2);
    var begun = first.reencryption();
    for (int i = 0; i < steps && begun.step(); i++) {
      put(first, Table.STATE, Map.of("k0000", "v0"));
    }
    EncryptedStorage second = open(inner, 1, 2);
    var rest = second.reencryption();
    try (var before = second.snapshot()) {
      while (rest.step()) {
        // Who reads meanwhile sees all rows, whatever was moved.
        assertThat(read(second, Table.STATE)).isEqualTo(expected);
      }
      assertThat(read(before, Table.STATE, "", null)).isEqualTo(expected);
    }
    if (steps == 0) {
      assertThat(rest.rows()).isEqualTo(700L * Table.values().length);
    }
    if (steps == 1_000) {
      assertThat(rest.rows()).isZero();
    }
    EncryptedStorage fresh = open(inner, 2);
    for (Table table : Table.values()) {
      assertThat(read(fresh, table)).isEqualTo(expected);
    }
    assertThatThrownBy(() -> open(inner, 1)).isInstanceOf(StorageException.OpenFailed.class);
  }

  @ParameterizedTest
  @ValueSource(strings = {"at once", "never", "after the commit", "beside", "failing"})
  void rows_areTheSame_whereverTheyAreSealed(String when) {
    var later = new ArrayDeque<Runnable>();
    Executor beside =
        switch (when) {
          case "at once" -> Runnable::run;
          case "beside" -> ForkJoinPool.commonPool();
          case "failing" ->
              task -> assertThatThrownBy(task::run).isInstanceOf(IllegalStateException.class);
          default -> later::add;
        };
    var failing = new AtomicBoolean();
    var random =
        new SecureRandom() {
          @Override
          public void nextBytes(byte[] bytes) {
            if (failing.get()) {
              throw new IllegalStateException("as planned");
            }
            super.nextBytes(bytes);
          }
        };
    var inner = new MemoryStorage();
    EncryptedStorage storage =
        EncryptedStorage.open(inner, EncryptedStorageTest.keyring(1), random, beside);
    var expected = new TreeMap<String, String>();
    for (int i = 0; i < 12; i++) {
      try (var batch = storage.newBatch()) {
        failing.set(when.equals("failing"));
        for (int j = 0; j < 100; j++) {
          String key = "k%04d".formatted(i * 37 % 50 * 20 + j);
          String value = "v" + i + "x".repeat(j % 50 == 0 ? 10_000 : 100);
          for (Table table : Table.values()) {
            batch.put(table, bytes(key), bytes(value));
          }
          expected.put(key, value);
        }
        String gone = expected.firstKey();
        for (Table table : Table.values()) {
          batch.delete(table, bytes(gone));
        }
        expected.remove(gone);
        failing.set(false);
        storage.commit(batch, Durability.BUFFERED);
      }
      if (!when.equals("never")) {
        later.forEach(Runnable::run);
      }
    }
    for (EncryptedStorage each : List.of(storage, open(inner, 1))) {
      for (Table table : Table.values()) {
        assertThat(read(each, table)).as("%s", table).isEqualTo(expected);
      }
    }
  }

  /** Seals every chunk as soon as it is full. */
  private static EncryptedStorage sealingAtOnce(Storage inner, Keyring keyring) {
    return EncryptedStorage.open(inner, keyring, new SecureRandom(), Runnable::run);
  }

  private static void addKey(Keyring keyring) {
    byte[] next = new byte[Keyring.KEY_BYTES];
    next[0] = 1;
    keyring.add(2, next);
  }

  @Test
  void rows_sealedAhead_ofBinsThatWereCutOrMovedSince_areWhereTheyBelong() {
    var inner = new MemoryStorage();
    Keyring keyring = EncryptedStorageTest.keyring(1);
    EncryptedStorage storage = sealingAtOnce(inner, keyring);
    var random = new SplittableRandom(1);
    var expected = new TreeMap<String, String>();
    EncryptedStorage.@Nullable Reencryption pass = null;
    int cuts = 0;
    for (int round = 0; round < 300; round++) {
      try (var batch = storage.newBatch()) {
        var ahead = new TreeMap<String, String>();
        while (ahead.size() < 2 * SealedBatch.CHUNK_ROWS) {
          ahead.put("k%05d".formatted(random.nextInt(20_000)), "ahead" + round);
        }
        ahead.forEach((key, value) -> batch.put(Table.STATE, bytes(key), bytes(value)));
        var between = new TreeMap<String, String>();
        while (between.size() < 40) {
          between.put("k%05d".formatted(random.nextInt(20_000)), "between" + round);
        }
        int before = rowsByBin(inner).size();
        if (round % 3 == 0) {
          inner.failNextCommit(MemoryStorage.Fault.FULL);
          assertThatThrownBy(() -> put(storage, Table.STATE, between))
              .isInstanceOf(StorageException.Full.class);
        } else {
          put(storage, Table.STATE, between);
          expected.putAll(between);
        }
        cuts += rowsByBin(inner).size() - before;
        if (round == 150) {
          addKey(keyring);
          pass = storage.reencryption();
        }
        if (pass != null) {
          pass.step();
        }
        storage.commit(batch, Durability.BUFFERED);
        expected.putAll(ahead);
      }
    }
    assertThat(cuts).isGreaterThan(50);
    for (var row : expected.entrySet()) {
      assertThat(storage.get(Table.STATE, bytes(row.getKey()))).isEqualTo(bytes(row.getValue()));
    }
    assertThat(read(storage, Table.STATE)).isEqualTo(expected);
    assertThat(rowsByBin(inner).values()).allMatch(rows -> rows <= HiddenTable.MAX_BIN_ROWS);
    for (int i = 0; pass != null && pass.step(); i++) {
      assertThat(i).isLessThan(10_000);
    }
    keyring.keepNewest();
    EncryptedStorage again = EncryptedStorage.open(inner, keyring, new SecureRandom());
    assertThat(read(again, Table.STATE)).isEqualTo(expected);
  }

  @Test
  void rows_sealedBeforeThereIsANewerKey_areSealedWithThatOne() {
    var inner = new MemoryStorage();
    Keyring keyring = EncryptedStorageTest.keyring(1);
    EncryptedStorage storage = sealingAtOnce(inner, keyring);
    var expected = new TreeMap<String, String>();
    try (var batch = storage.newBatch()) {
      for (int i = 0; i < 2 * SealedBatch.CHUNK_ROWS; i++) {
        expected.put("k%04d".formatted(i), "v" + i);
      }
      expected.forEach((key, value) -> batch.put(Table.STATE, bytes(key), bytes(value)));
      expected.forEach((key, value) -> batch.put(Table.LOG, bytes(key), bytes(value)));
      addKey(keyring);
      storage.commit(batch, Durability.BUFFERED);
    }
    var pass = storage.reencryption();
    while (pass.step()) {
      assertThat(read(storage, Table.LOG)).isEqualTo(expected);
    }
    // Those of STATE, whose bin moves; the rows that there were before: none of LOG.
    assertThat(pass.rows()).isEqualTo(expected.size());
    keyring.keepNewest();
    assertThat(read(storage, Table.STATE)).isEqualTo(expected);
    assertThat(read(storage, Table.LOG)).isEqualTo(expected);
  }
}
