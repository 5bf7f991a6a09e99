package io.pluresdb.crdt.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.SipHash;
import io.pluresdb.crdt.reconcile.DocumentHasher;
import io.pluresdb.crdt.reconcile.KeyRange;
import io.pluresdb.crdt.reconcile.RangeSource;
import io.pluresdb.crdt.reconcile.Summary;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.NavigableSet;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Buckets and the ranges served from them, against adding everything up again. */
class BucketSumsTest {
  private static final Hash DATABASE = Hash.of("test");
  private static final SipHash BOUNDARIES =
      new SipHash(Hash.of("pluresdb-bucket-v1", DATABASE.bytes()).bytes());

  /** 60 ids that begin a bucket, and 600 that do not. */
  private final List<byte[]> ids = new ArrayList<>();

  private MemoryStorage storage = new MemoryStorage();
  private BucketSums sums = new BucketSums(storage, DATABASE);

  @BeforeEach
  void ids() {
    int boundaries = 0;
    for (int i = 0; boundaries < 60; i++) {
      byte[] id = ("doc:" + i).getBytes(StandardCharsets.UTF_8);
      if ((BOUNDARIES.of(id) & (BucketSums.MEAN_DOCUMENTS - 1)) == 0) {
        ids.add(id);
        boundaries++;
      } else if (i % 100 == 0) {
        ids.add(id);
      }
    }
    assertThat(ids).hasSizeGreaterThan(400);
  }

  private static Map<byte[], byte[]> rows(Storage storage, Table table) {
    var rows = new TreeMap<byte[], byte[]>(Arrays::compareUnsigned);
    try (var snapshot = storage.snapshot();
        var cursor = snapshot.scan(table, new byte[0], null)) {
      while (cursor.next()) {
        rows.put(cursor.key(), cursor.value());
      }
    }
    return rows;
  }

  /** Random rows of random documents appear, change and go, in one batch. */
  private void change(SplittableRandom random, int count) {
    var fresh = new TreeMap<byte[], byte[]>(Arrays::compareUnsigned);
    for (int i = 0; i < count; i++) {
      byte[] row = new byte[random.nextInt(8) < 3 ? 0 : 20];
      random.nextBytes(row);
      fresh.put(ids.get(random.nextInt(ids.size())), row);
    }
    try (var batch = storage.newBatch()) {
      fresh.forEach(
          (id, row) -> {
            if (row.length > 0 && storage.get(Table.STATE, id) == null) {
              sums.appears(id);
            }
          });
      fresh.forEach(
          (id, row) -> {
            sums.replace(id, storage.get(Table.STATE, id), row.length > 0 ? row : null);
            if (row.length > 0) {
              batch.put(Table.STATE, id, row);
            } else {
              batch.delete(Table.STATE, id);
            }
          });
      commit(batch);
    }
  }

  private void commit(Storage.Batch batch) {
    try {
      sums.write(batch);
      storage.commit(batch, Durability.BUFFERED);
      sums.committed();
    } catch (StorageException e) {
      sums.discard();
      throw e;
    }
  }

  /** Cuts some of the buckets that wait for it, in commits of their own. */
  private void cut(int atMost) {
    for (int i = 0; i < atMost; i++) {
      try (var batch = storage.newBatch()) {
        if (!sums.cutOne()) {
          return;
        }
        commit(batch);
      }
    }
  }

  private NavigableSet<byte[]> uncut() {
    try (var snapshot = storage.snapshot()) {
      return BucketSums.Stored.read(snapshot).uncut();
    }
  }

  private NavigableMap<byte[], Summary> rescanned() {
    NavigableSet<byte[]> uncut = uncut();
    var hasher = new DocumentHasher(DATABASE);
    var buckets = new TreeMap<byte[], Summary>(Arrays::compareUnsigned);
    byte[] start = BucketSums.FIRST;
    for (var row : rows(storage, Table.STATE).entrySet()) {
      if ((BOUNDARIES.of(row.getKey()) & (BucketSums.MEAN_DOCUMENTS - 1)) == 0
          && !uncut.remove(row.getKey())) {
        start = row.getKey();
      }
      buckets.merge(
          start,
          Summary.EMPTY.plus(hasher.of(row.getKey(), row.getValue())),
          (bucket, document) -> bucket.plus(document));
    }
    assertThat(uncut).isEmpty();
    return buckets;
  }

  private void assertBuckets() {
    NavigableMap<byte[], Summary> expected = rescanned();
    try (var snapshot = storage.snapshot()) {
      NavigableMap<byte[], Summary> stored = BucketSums.read(snapshot);
      assertThat(stored.keySet()).containsExactlyElementsOf(expected.keySet());
      expected.forEach((id, bucket) -> assertThat(stored.get(id)).isEqualTo(bucket));
    }
    Summary total = expected.values().stream().reduce(Summary.EMPTY, Summary::plus);
    assertThat(sums.sum()).isEqualTo(total.sum());
  }

  @Test
  void randomCommits_bucketsEqualARescan() {
    for (long seed = 0; seed < 30; seed++) {
      storage = new MemoryStorage();
      sums = new BucketSums(storage, DATABASE);
      var random = new SplittableRandom(seed);
      for (int i = 0; i < 40; i++) {
        change(random, 1 + random.nextInt(40));
        assertBuckets();
        cut(random.nextInt(12));
        assertBuckets();
      }
      cut(Integer.MAX_VALUE);
      assertThat(uncut()).isEmpty();
      assertBuckets();
    }
  }

  @Test
  void boundaries_waitToBeCut_butNoMoreThanAllowed() {
    var boundaries = new ArrayList<byte[]>();
    for (int i = 0; boundaries.size() < BucketSums.MAX_UNCUT + 20; i++) {
      byte[] id = ("doc:" + i).getBytes(StandardCharsets.UTF_8);
      if (BucketSums.isBoundary(BOUNDARIES, id)) {
        boundaries.add(id);
      }
    }
    ids.clear();
    ids.addAll(boundaries);
    var random = new SplittableRandom(4);
    int most = 0;
    for (int i = 0; i < 100; i++) {
      change(random, 50);
      assertBuckets();
      most = Math.max(most, uncut().size());
      assertThat(uncut()).hasSizeLessThanOrEqualTo(BucketSums.MAX_UNCUT);
    }
    assertThat(most).isGreaterThan(BucketSums.MAX_UNCUT / 2);
    for (byte[] id : boundaries) {
      ids.clear();
      ids.add(id);
      while (storage.get(Table.STATE, id) == null) {
        change(random, 1);
      }
    }
    assertThat(uncut()).hasSize(BucketSums.MAX_UNCUT);
    assertBuckets();
    cut(Integer.MAX_VALUE);
    assertThat(uncut()).isEmpty();
    assertBuckets();
  }

  @Test
  void manyCommits_leaveFewRows() {
    var random = new SplittableRandom(3);
    for (int i = 0; i < 3 * BucketSums.MAX_DELTAS; i++) {
      change(random, 5);
      assertThat(rows(storage, Table.BUCKET)).hasSizeLessThan(61 + BucketSums.MAX_DELTAS + 1);
    }
    assertBuckets();
    for (int i = 0; i < 2; i++) {
      sums = new BucketSums(storage, DATABASE);
      try (var snapshot = storage.snapshot()) {
        sums.load(
            snapshot, rescanned().values().stream().reduce(Summary.EMPTY, Summary::plus).sum());
      }
      for (int j = 0; j < BucketSums.MAX_DELTAS; j++) {
        change(random, 5);
        assertBuckets();
      }
    }
  }

  @Test
  void failedCommit_andPowerLoss_leaveBucketsThatEqualARescan() {
    var random = new SplittableRandom(1);
    for (int i = 0; i < 400; i++) {
      change(random, 30);
      if (i % 7 == 3) {
        storage.failNextCommit(MemoryStorage.Fault.FULL);
        assertThatThrownBy(() -> change(random, 30)).isInstanceOf(StorageException.Full.class);
      }
      cut(random.nextInt(4));
      if (i % 11 == 5 && !uncut().isEmpty()) {
        storage.failNextCommit(MemoryStorage.Fault.FULL);
        assertThatThrownBy(() -> cut(1)).isInstanceOf(StorageException.Full.class);
      }
      if (i % 10 == 9) {
        storage = storage.crash(random.nextInt(storage.unsyncedCommits() + 1));
        sums = new BucketSums(storage, DATABASE);
        Summary total = rescanned().values().stream().reduce(Summary.EMPTY, Summary::plus);
        try (var snapshot = storage.snapshot()) {
          sums.load(snapshot, total.sum());
        }
      }
      assertBuckets();
    }
  }

  private static Summary added(List<RangeSource.Part> parts) {
    return parts.stream().map(RangeSource.Part::summary).reduce(Summary.EMPTY, Summary::plus);
  }

  @Test
  void ranges_equalWhatTheirDocumentsAddUpTo() {
    var random = new SplittableRandom(2);
    var hasher = new DocumentHasher(DATABASE);
    for (int round = 0; round < 20; round++) {
      change(random, 200);
      Map<byte[], byte[]> state = rows(storage, Table.STATE);
      try (StateRanges ranges = StateRanges.open(storage, DATABASE)) {
        for (int i = 0; i < 100; i++) {
          byte[] one = ids.get(random.nextInt(ids.size()));
          byte[] other = ids.get(random.nextInt(ids.size()));
          boolean ordered = Arrays.compareUnsigned(one, other) < 0;
          byte[] from = random.nextInt(5) == 0 ? new byte[0] : ordered ? one : other;
          byte[] to = random.nextInt(5) == 0 ? null : ordered ? other : one;
          var range = new KeyRange(from, to);
          Summary expected = Summary.EMPTY;
          var within = new ArrayList<byte[]>();
          for (var row : state.entrySet()) {
            if (range.contains(row.getKey())) {
              expected = expected.plus(hasher.of(row.getKey(), row.getValue()));
              within.add(row.getKey());
            }
          }
          assertThat(ranges.summary(range)).isEqualTo(expected);
          assertThat(ranges.items(range, 50).stream().map(RangeSource.Item::id).toList())
              .containsExactlyElementsOf(within.subList(0, Math.min(50, within.size())));
          int pieces = random.nextInt(2, 17);
          List<RangeSource.Part> parts = ranges.cut(range, pieces);
          assertThat(parts).hasSizeBetween(expected.count() > 1 ? 2 : 1, pieces);
          assertThat(added(parts)).isEqualTo(expected);
          byte[] end = range.from();
          for (RangeSource.Part part : parts) {
            assertThat(part.range().from()).isEqualTo(end);
            end = part.range().to();
          }
          assertThat(end).isEqualTo(range.to());
        }
      }
    }
  }
}
