package io.pluresdb.crdt.store;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.SipHash;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.reconcile.DocumentHasher;
import io.pluresdb.crdt.reconcile.Fingerprint;
import io.pluresdb.crdt.reconcile.Summary;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.NavigableMap;
import java.util.NavigableSet;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * What all documents add up to, and what each bucket of them does.
 *
 * <p>Documents in the order of their ids are cut into buckets before every id whose keyed hash says
 * so, one in {@link #MEAN_DOCUMENTS}: replicas with the same documents have the same buckets, and
 * one document more moves no other boundary. Kept in memory. A commit writes the buckets it touched
 * in one row, and from time to time each touched bucket to its own: a row each in every commit took
 * as long as the documents themselves.
 *
 * <p>A bucket is not cut where a document appears, but later ({@link #cutOne}): it takes reading a
 * thousand documents, a tenth of a commit's time on average. Until then they are counted in the
 * bucket before, which is larger than others and just as right. One thread: the replica's.
 */
final class BucketSums {
  /** Documents of a bucket on average; a power of two. */
  static final int MEAN_DOCUMENTS = 1_024;

  /** Where the first bucket begins, whatever its least document. */
  static final byte[] FIRST = {};

  /** Commits whose touched buckets may stand in rows of their own. */
  static final int MAX_DELTAS = 128;

  /** Bytes of such rows. */
  static final int MAX_DELTA_BYTES = 512 << 10;

  /** Boundaries that may wait to be cut; what a comparison then has to read goes with it. */
  static final int MAX_UNCUT = 1_024;

  /** Stands for the bucket at a boundary that is not cut yet. */
  private static final Summary UNCUT = new Summary(0, new Fingerprint(1, 0, 0, 0));

  /** The first byte of a delta's key: no document id begins with it, being UTF-8. */
  private static final byte DELTA = (byte) 0xff;

  private static final class Bucket {
    final byte[] start;
    @Nullable Summary now;

    /** As last committed; null for none. */
    @Nullable Summary before;

    boolean touched;

    /** Whether its own row is older than a delta. */
    boolean stale;

    Bucket(byte[] start, @Nullable Summary now) {
      this.start = start;
      this.now = now;
    }
  }

  private final Storage storage;
  private final SipHash boundaries;
  private final DocumentHasher hasher;
  private final TreeMap<byte[], Bucket> buckets = new TreeMap<>(Arrays::compareUnsigned);

  /** At boundaries that are not cut yet. */
  private final TreeMap<byte[], Bucket> uncut = new TreeMap<>(Arrays::compareUnsigned);

  /** The bucket of the last document that was replaced, until buckets come or go; and its end. */
  private @Nullable Bucket near;

  private byte @Nullable [] nearEnd;

  /** Touched since the last commit, in that order; what is gone is in neither map. */
  private final List<Bucket> touched = new ArrayList<>();

  private Fingerprint total = Fingerprint.ZERO;
  private Fingerprint committedTotal = Fingerprint.ZERO;

  // Deltas on the disk by number, ascending, and the buckets in them.
  private final List<Long> deltas = new ArrayList<>();
  private int deltaBytes;
  private final List<Bucket> stale = new ArrayList<>();

  // What the staged commit will have done.
  private boolean folding;
  private int stagedBytes;

  BucketSums(Storage storage, Hash database) {
    this.storage = storage;
    this.hasher = new DocumentHasher(database);
    this.boundaries = boundaries(database);
  }

  static SipHash boundaries(Hash database) {
    return new SipHash(Hash.of("pluresdb-bucket-v1", database.bytes()).bytes());
  }

  /** Whether a bucket begins at a document of this id. */
  static boolean isBoundary(SipHash boundaries, byte[] id) {
    return (boundaries.of(id) & (MEAN_DOCUMENTS - 1)) == 0;
  }

  private static byte[] deltaKey(long number) {
    return new ByteWriter(9).u8(DELTA & 0xff).i64(number).array();
  }

  /**
   * The rows of a commit.
   *
   * @param buckets by the id they begin with
   * @param uncut boundaries whose documents are counted in the bucket before
   * @param stale those whose own row is older than a delta
   */
  record Stored(
      NavigableMap<byte[], Summary> buckets,
      NavigableSet<byte[]> uncut,
      SortedSet<byte[]> stale,
      List<Long> deltas,
      int deltaBytes) {
    static Stored read(Storage.Snapshot snapshot) {
      var buckets = new TreeMap<byte[], Summary>(Arrays::compareUnsigned);
      var uncut = new TreeSet<byte[]>(Arrays::compareUnsigned);
      var stale = new TreeSet<byte[]>(Arrays::compareUnsigned);
      byte[] behindIds = {DELTA};
      try (var rows = snapshot.scan(Table.BUCKET, FIRST, behindIds)) {
        while (rows.next()) {
          buckets.put(rows.key(), Rows.bucket(rows.value()));
        }
      }
      var deltas = new ArrayList<Long>();
      int bytes = 0;
      try (var rows = snapshot.scan(Table.BUCKET, behindIds, null)) {
        while (rows.next()) {
          deltas.add(new ByteReader(rows.key(), 1, rows.key().length).i64());
          bytes += rows.value().length;
          var in = new ByteReader(rows.value());
          for (int left = in.count("buckets of a row", Integer.MAX_VALUE); left > 0; left--) {
            byte[] start = in.block("id", ChangeBody.MAX_ID_BYTES);
            var sum = new Summary(in.varint(), Fingerprint.read(in));
            stale.add(start);
            buckets.put(start, sum);
          }
          in.end();
        }
      }
      buckets
          .entrySet()
          .removeIf(
              bucket -> {
                if (isUncut(bucket.getValue())) {
                  uncut.add(bucket.getKey());
                }
                return bucket.getValue().count() == 0;
              });
      return new Stored(buckets, uncut, stale, deltas, bytes);
    }
  }

  /** The buckets of a commit by the id they begin with; those not cut yet are part of others. */
  static NavigableMap<byte[], Summary> read(Storage.Snapshot snapshot) {
    return Stored.read(snapshot).buckets;
  }

  private static void write(ByteWriter row, byte[] start, Summary bucket) {
    row.block(start).varint(bucket.count());
    bucket.sum().write(row);
  }

  /** Reads the buckets as last committed; {@code sum} is what was stored of all documents. */
  void load(Storage.Snapshot snapshot, Fingerprint sum) {
    Stored stored = Stored.read(snapshot);
    stored.buckets.forEach((start, bucket) -> buckets.put(start, new Bucket(start, bucket)));
    stored.uncut.forEach(start -> uncut.put(start, new Bucket(start, UNCUT)));
    for (byte[] start : stored.stale) {
      Bucket bucket = bucket(start);
      bucket.stale = true;
      stale.add(bucket);
    }
    deltas.addAll(stored.deltas);
    deltaBytes = stored.deltaBytes;
    total = sum;
    committedTotal = sum;
  }

  /** Of all documents, what is being committed included. */
  Fingerprint sum() {
    return total;
  }

  private static boolean isUncut(@Nullable Summary bucket) {
    return UNCUT.equals(bucket);
  }

  /**
   * Told of every document a commit makes, before any {@link #replace} of it: a new boundary is
   * noted, and another one cut where too many wait already.
   */
  void appears(byte[] id) {
    if (!isBoundary(boundaries, id) || buckets.containsKey(id) || uncut.containsKey(id)) {
      return;
    }
    if (uncut.size() >= MAX_UNCUT) {
      cutOne();
    }
    set(id, UNCUT);
  }

  /**
   * Cuts a bucket at a boundary that waits for it, as the storage still has it: call it before any
   * {@link #replace} of a commit. The last boundary first, so that no document is read twice.
   *
   * @return whether there was one
   */
  boolean cutOne() {
    if (uncut.isEmpty()) {
      return false;
    }
    byte[] id = uncut.lastKey();
    Summary tail = Summary.EMPTY;
    byte[] start = buckets.floorKey(id);
    if (start != null) {
      try (var snapshot = storage.snapshot();
          var rows = snapshot.scan(Table.STATE, id, buckets.higherKey(id))) {
        while (rows.next()) {
          tail = tail.plus(hasher.of(rows.key(), rows.value()));
        }
      }
      set(start, now(buckets.get(start)).minus(tail));
    }
    set(id, tail);
    return true;
  }

  /**
   * A document's row becomes another; null for none. Quickest where documents come in the order of
   * their ids.
   */
  void replace(byte[] id, byte @Nullable [] old, byte @Nullable [] fresh) {
    Bucket bucket = holding(id);
    Summary sum = now(bucket);
    if (old != null) {
      Fingerprint gone = hasher.of(id, old);
      sum = sum.minus(gone);
      total = total.minus(gone);
    }
    if (fresh != null) {
      Fingerprint come = hasher.of(id, fresh);
      sum = sum.plus(come);
      total = total.plus(come);
    }
    if (fresh == null && uncut.containsKey(id)) {
      set(id, null);
    }
    if (fresh == null && Arrays.equals(bucket.start, id)) {
      // Its boundary goes with it.
      set(bucket, null);
      bucket = holding(id);
      sum = now(bucket).plus(sum);
    }
    set(bucket, sum);
  }

  /** The bucket that a document is counted in, or a new one for the first. */
  private Bucket holding(byte[] id) {
    Bucket last = near;
    byte[] end = nearEnd;
    if (last != null
        && Arrays.compareUnsigned(last.start, id) <= 0
        && (end == null || Arrays.compareUnsigned(id, end) < 0)) {
      return last;
    }
    var floor = buckets.floorEntry(id);
    if (floor == null) {
      return new Bucket(FIRST, null);
    }
    near = floor.getValue();
    nearEnd = buckets.higherKey(floor.getKey());
    return floor.getValue();
  }

  private static Summary now(@Nullable Bucket bucket) {
    return bucket == null || bucket.now == null ? Summary.EMPTY : bucket.now;
  }

  private void set(byte[] start, @Nullable Summary sum) {
    set(bucket(start), sum);
  }

  private void set(Bucket bucket, @Nullable Summary sum) {
    if (!bucket.touched) {
      bucket.touched = true;
      bucket.before = bucket.now;
      touched.add(bucket);
    }
    // Any other that is empty waits for the document it begins with, which this commit makes.
    boolean none = sum == null || (sum.count() == 0 && bucket.start.length == 0);
    become(bucket, none ? null : sum);
  }

  /** The bucket that begins at {@code start}, cut or not, or a new one. */
  private Bucket bucket(byte[] start) {
    Bucket bucket = buckets.get(start);
    if (bucket == null) {
      bucket = uncut.get(start);
    }
    return bucket == null ? new Bucket(start, null) : bucket;
  }

  private void become(Bucket bucket, @Nullable Summary sum) {
    boolean inPlace = bucket.now != null && sum != null && isUncut(bucket.now) == isUncut(sum);
    bucket.now = sum;
    if (inPlace) {
      return;
    }
    near = null;
    buckets.remove(bucket.start);
    uncut.remove(bucket.start);
    if (sum != null) {
      (isUncut(sum) ? uncut : buckets).put(bucket.start, bucket);
    }
  }

  /** Puts what was touched into the batch of the commit. */
  void write(Storage.Batch batch) {
    if (touched.isEmpty()) {
      return;
    }
    var row = new ByteWriter(64 * touched.size() + 2).varint(touched.size());
    for (Bucket bucket : touched) {
      write(row, bucket.start, now(bucket));
    }
    folding = deltas.size() >= MAX_DELTAS || deltaBytes + row.size() > MAX_DELTA_BYTES;
    if (!folding) {
      stagedBytes = row.size();
      batch.put(Table.BUCKET, deltaKey(nextDelta()), row.toByteArray());
      return;
    }
    deltas.forEach(number -> batch.delete(Table.BUCKET, deltaKey(number)));
    stale.forEach(bucket -> writeOwn(bucket, batch));
    touched.forEach(bucket -> writeOwn(bucket, batch));
  }

  private long nextDelta() {
    return deltas.isEmpty() ? 0 : deltas.getLast() + 1;
  }

  private static void writeOwn(Bucket bucket, Storage.Batch batch) {
    Summary sum = bucket.now;
    if (sum == null) {
      batch.delete(Table.BUCKET, bucket.start);
    } else {
      batch.put(Table.BUCKET, bucket.start, Rows.bucketRow(sum));
    }
  }

  /** What was touched is on its way to the disk. */
  void committed() {
    if (folding) {
      deltas.clear();
      deltaBytes = 0;
      stale.forEach(bucket -> bucket.stale = false);
      stale.clear();
    } else if (stagedBytes > 0) {
      deltas.add(nextDelta());
      deltaBytes += stagedBytes;
    }
    for (Bucket bucket : touched) {
      bucket.touched = false;
      bucket.before = null;
      if (!folding && !bucket.stale) {
        bucket.stale = true;
        stale.add(bucket);
      }
    }
    touched.clear();
    folding = false;
    stagedBytes = 0;
    committedTotal = total;
  }

  /** Forgets what was touched since the last commit. */
  void discard() {
    for (Bucket bucket : touched.reversed()) {
      become(bucket, bucket.before);
      bucket.before = null;
      bucket.touched = false;
    }
    touched.clear();
    folding = false;
    stagedBytes = 0;
    total = committedTotal;
  }
}
