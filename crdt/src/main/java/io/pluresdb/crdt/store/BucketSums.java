package io.pluresdb.crdt.store;

import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.SipHash;
import io.pluresdb.crdt.reconcile.DocumentHasher;
import io.pluresdb.crdt.reconcile.Fingerprint;
import io.pluresdb.crdt.reconcile.Summary;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What all documents add up to, and what each bucket of them does.
 *
 * <p>Documents in the order of their ids are cut into buckets before every id whose keyed hash says
 * so, one in {@link #MEAN_DOCUMENTS}: replicas with the same documents have the same buckets, and
 * one document more moves no other boundary. Kept in memory; a commit writes the rows of the
 * buckets it touched. One thread: the replica's.
 */
final class BucketSums {
  /** Documents of a bucket on average; a power of two. */
  static final int MEAN_DOCUMENTS = 1_024;

  /** Where the first bucket begins, whatever its least document. */
  static final byte[] FIRST = {};

  private final Storage storage;
  private final SipHash boundaries;
  private final DocumentHasher hasher;
  private final TreeMap<byte[], Summary> buckets = new TreeMap<>(Arrays::compareUnsigned);

  /** Buckets touched since the last commit, as they were then; null for none. */
  private final TreeMap<byte[], @Nullable Summary> before = new TreeMap<>(Arrays::compareUnsigned);

  private Fingerprint total = Fingerprint.ZERO;
  private Fingerprint committedTotal = Fingerprint.ZERO;

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

  /** Reads the buckets as last committed; {@code sum} is what was stored of all documents. */
  void load(Storage.Snapshot snapshot, Fingerprint sum) {
    try (var rows = snapshot.scan(Table.BUCKET, FIRST, null)) {
      while (rows.next()) {
        buckets.put(rows.key(), Rows.bucket(rows.value()));
      }
    }
    total = sum;
    committedTotal = sum;
  }

  /** Of all documents, what is being committed included. */
  Fingerprint sum() {
    return total;
  }

  /**
   * Told of every document a commit makes, before any {@link #replace} of it: a new boundary cuts
   * its bucket in two, as the storage still has it.
   */
  void appears(byte[] id) {
    if (!isBoundary(boundaries, id) || buckets.containsKey(id)) {
      return;
    }
    byte[] end = buckets.higherKey(id);
    Summary tail = Summary.EMPTY;
    byte[] start = buckets.floorKey(id);
    if (start != null) {
      try (var snapshot = storage.snapshot();
          var rows = snapshot.scan(Table.STATE, id, end)) {
        while (rows.next()) {
          tail = tail.plus(hasher.of(rows.key(), rows.value()));
        }
      }
      set(start, bucket(start).minus(tail));
    }
    set(id, tail);
  }

  /** A document's row becomes another; null for none. */
  void replace(byte[] id, byte @Nullable [] old, byte @Nullable [] fresh) {
    byte[] floor = buckets.floorKey(id);
    byte[] start = floor == null ? FIRST : floor;
    Summary bucket = bucket(start);
    if (old != null) {
      Fingerprint gone = hasher.of(id, old);
      bucket = bucket.minus(gone);
      total = total.minus(gone);
    }
    if (fresh != null) {
      Fingerprint come = hasher.of(id, fresh);
      bucket = bucket.plus(come);
      total = total.plus(come);
    }
    if (fresh == null && Arrays.equals(start, id)) {
      // Its boundary goes with it.
      set(start, null);
      byte[] previous = buckets.lowerKey(start);
      start = previous == null ? FIRST : previous;
      bucket = bucket(start).plus(bucket);
    }
    set(start, bucket);
  }

  private Summary bucket(byte[] start) {
    return buckets.getOrDefault(start, Summary.EMPTY);
  }

  private void set(byte[] start, @Nullable Summary bucket) {
    // Only the first bucket can be empty: every other holds the document it begins with.
    boolean gone = bucket == null || (bucket.count() == 0 && start.length == 0);
    Summary old = gone ? buckets.remove(start) : buckets.put(start, bucket);
    if (!before.containsKey(start)) {
      before.put(start, old);
    }
  }

  /** Puts the rows of the buckets that were touched into the batch of the commit. */
  void write(Storage.Batch batch) {
    for (Map.Entry<byte[], @Nullable Summary> entry : before.entrySet()) {
      Summary bucket = buckets.get(entry.getKey());
      if (bucket != null) {
        batch.put(Table.BUCKET, entry.getKey(), Rows.bucketRow(bucket));
      } else if (entry.getValue() != null) {
        batch.delete(Table.BUCKET, entry.getKey());
      }
    }
  }

  /** What was touched is on its way to the disk. */
  void committed() {
    before.clear();
    committedTotal = total;
  }

  /** Forgets what was touched since the last commit. */
  void discard() {
    before.forEach(
        (start, bucket) -> {
          if (bucket == null) {
            buckets.remove(start);
          } else {
            buckets.put(start, bucket);
          }
        });
    before.clear();
    total = committedTotal;
  }
}
