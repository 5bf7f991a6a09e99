package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.SipHash;
import io.pluresdb.crdt.reconcile.Digest;
import io.pluresdb.crdt.reconcile.DocumentHasher;
import io.pluresdb.crdt.reconcile.Fingerprint;
import io.pluresdb.crdt.reconcile.KeyRange;
import io.pluresdb.crdt.reconcile.RangeSource;
import io.pluresdb.crdt.reconcile.Summary;
import io.pluresdb.crdt.store.Rows.ActorRow;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The documents of a replica as of one commit, by key range: whole buckets are added up from their
 * rows, the rest from the documents. After {@link #recount} the documents alone are believed. Holds
 * a snapshot: close it.
 *
 * <p>May be opened on any thread while the replica goes on.
 */
public final class StateRanges implements RangeSource, AutoCloseable {
  /** Documents of the range read last that are kept, so that it can be cut and listed. */
  private static final int KEPT = 8_192;

  private record Entry(byte[] id, Fingerprint fingerprint) {}

  private final Storage.Snapshot snapshot;
  private final DocumentHasher hasher;
  private final Frontier frontier;

  private final SipHash boundaries;

  // Bucket i begins at starts[i]; below[i] is what all buckets before it add up to.
  private byte[][] starts;
  private Summary[] below;

  // A recount under way.
  private byte @Nullable [] next = BucketSums.FIRST;
  private byte[] bucketStart = BucketSums.FIRST;
  private Summary bucket = Summary.EMPTY;
  private final TreeMap<byte[], Summary> recounted = new TreeMap<>(Arrays::compareUnsigned);

  private @Nullable KeyRange keptRange;
  private List<Entry> kept = List.of();
  private long rowsRead;

  private StateRanges(
      Storage.Snapshot snapshot,
      Hash database,
      Frontier frontier,
      SortedMap<byte[], Summary> buckets) {
    this.snapshot = snapshot;
    this.hasher = new DocumentHasher(database);
    this.boundaries = BucketSums.boundaries(database);
    this.frontier = frontier;
    this.starts = buckets.keySet().toArray(byte[][]::new);
    this.below = below(buckets.values());
  }

  private static Summary[] below(Collection<Summary> buckets) {
    var below = new Summary[buckets.size() + 1];
    below[0] = Summary.EMPTY;
    int i = 0;
    for (Summary bucket : buckets) {
      below[i + 1] = below[i].plus(bucket);
      i++;
    }
    return below;
  }

  /**
   * Fixes the newest commit of {@code storage}, which holds the database hashed {@code database}.
   */
  public static StateRanges open(Storage storage, Hash database) {
    Storage.Snapshot snapshot = storage.snapshot();
    try {
      var heads = new TreeMap<ActorId, Head>();
      try (var rows = snapshot.scan(Table.FRONTIER, new byte[0], null)) {
        while (rows.next()) {
          heads.put(ActorId.read(new ByteReader(rows.key())), ActorRow.read(rows.value()).head());
        }
      }
      return new StateRanges(snapshot, database, Frontier.of(heads), BucketSums.read(snapshot));
    } catch (RuntimeException e) {
      snapshot.close();
      throw e;
    }
  }

  /** The buckets as they are stored, by the id they begin with. */
  public SortedMap<byte[], Summary> buckets() {
    var buckets = new TreeMap<byte[], Summary>(Arrays::compareUnsigned);
    for (int i = 0; i < starts.length; i++) {
      buckets.put(starts[i], below[i + 1].minus(below[i]));
    }
    return buckets;
  }

  /** Of the commit that was fixed. */
  public Frontier frontier() {
    return frontier;
  }

  /**
   * Adds the documents up once more, a part of them with each call; what was stored of their sums
   * is not believed any more once this returns true. Nothing else may be asked for before.
   *
   * @param rows how many to read at most
   * @return whether all were read
   */
  public boolean recount(int rows) {
    byte[] from = next;
    if (from == null) {
      return true;
    }
    int read = 0;
    try (var cursor = snapshot.scan(Table.STATE, from, null)) {
      while (cursor.next()) {
        byte[] id = cursor.key();
        if (read == rows) {
          next = id;
          rowsRead += read;
          return false;
        }
        read++;
        if (BucketSums.isBoundary(boundaries, id)) {
          closeBucket();
          bucketStart = id;
        }
        bucket = bucket.plus(hasher.of(id, cursor.value()));
      }
    }
    rowsRead += read;
    closeBucket();
    next = null;
    starts = recounted.keySet().toArray(byte[][]::new);
    below = below(recounted.values());
    return true;
  }

  private void closeBucket() {
    if (bucket.count() > 0) {
      recounted.put(bucketStart, bucket);
    }
    bucket = Summary.EMPTY;
  }

  @Override
  public Summary summary(KeyRange range) {
    KeyRange known = keptRange;
    if (known != null && within(range, known)) {
      Summary sum = Summary.EMPTY;
      for (Entry entry : kept) {
        if (range.contains(entry.id)) {
          sum = sum.plus(entry.fingerprint);
        }
      }
      return sum;
    }
    int first = boundaryAtOrAfter(range.from());
    byte[] to = range.to();
    int end = to == null ? starts.length : lastBoundaryAtOrBefore(to);
    if (first >= end && (to != null || first == starts.length)) {
      return read(range);
    }
    Summary sum = below[end].minus(below[first]);
    if (!Arrays.equals(range.from(), starts[first])) {
      sum = sum.plus(scan(new KeyRange(range.from(), starts[first])));
    }
    if (to != null && !Arrays.equals(to, starts[end])) {
      sum = sum.plus(scan(new KeyRange(starts[end], to)));
    }
    return sum;
  }

  private static boolean within(KeyRange range, KeyRange outer) {
    byte[] outerTo = outer.to();
    byte[] to = range.to();
    return Arrays.compareUnsigned(outer.from(), range.from()) <= 0
        && (outerTo == null || (to != null && Arrays.compareUnsigned(to, outerTo) <= 0));
  }

  /** The index of the first bucket that begins at or after {@code bound}. */
  private int boundaryAtOrAfter(byte[] bound) {
    int found = Arrays.binarySearch(starts, bound, Arrays::compareUnsigned);
    return found >= 0 ? found : -found - 1;
  }

  private int lastBoundaryAtOrBefore(byte[] bound) {
    int found = Arrays.binarySearch(starts, bound, Arrays::compareUnsigned);
    return found >= 0 ? found : -found - 2;
  }

  /** Adds up documents one by one. */
  private Summary scan(KeyRange range) {
    Summary sum = Summary.EMPTY;
    try (var rows = snapshot.scan(Table.STATE, range.from(), range.to())) {
      while (rows.next()) {
        rowsRead++;
        sum = sum.plus(hasher.of(rows.key(), rows.value()));
      }
    }
    return sum;
  }

  /** As {@link #scan}, and keeps the documents unless there are too many. */
  private Summary read(KeyRange range) {
    Summary sum = Summary.EMPTY;
    var entries = new ArrayList<Entry>();
    try (var rows = snapshot.scan(Table.STATE, range.from(), range.to())) {
      while (rows.next()) {
        rowsRead++;
        Fingerprint fingerprint = hasher.of(rows.key(), rows.value());
        sum = sum.plus(fingerprint);
        if (entries.size() <= KEPT) {
          entries.add(new Entry(rows.key(), fingerprint));
        }
      }
    }
    if (entries.size() <= KEPT) {
      keptRange = range;
      kept = entries;
    }
    return sum;
  }

  @Override
  public List<Part> cut(KeyRange range, int pieces) {
    if (pieces < 2) {
      throw new IllegalArgumentException("pieces must be 2 or more, but are " + pieces);
    }
    int first = boundaryAtOrAfter(range.from());
    if (first < starts.length && Arrays.equals(starts[first], range.from())) {
      first++;
    }
    byte[] to = range.to();
    int end = to == null ? starts.length : boundaryAtOrAfter(to);
    List<byte[]> bounds = end > first ? boundaries(first, end, pieces) : evenBounds(range, pieces);
    var parts = new ArrayList<Part>(bounds.size() + 1);
    byte[] from = range.from();
    for (int i = 0; i <= bounds.size(); i++) {
      byte[] bound = i < bounds.size() ? bounds.get(i) : to;
      var part = new KeyRange(from, bound);
      parts.add(new Part(part, summary(part)));
      if (bound != null) {
        from = bound;
      }
    }
    return parts;
  }

  /** Some of the boundaries {@code [first, end)}, with about as many documents between them. */
  private List<byte[]> boundaries(int first, int end, int pieces) {
    var bounds = new ArrayList<byte[]>();
    if (end - first < pieces) {
      bounds.addAll(Arrays.asList(starts).subList(first, end));
      return bounds;
    }
    // The documents before the first and behind the last boundary count as one bucket each.
    long documents = below[end - 1].count() - below[first].count();
    long edge = documents / Math.max(1, end - 1 - first);
    double goal = (documents + 2.0 * edge) / pieces;
    for (int i = first; i < end && bounds.size() < pieces - 1; i++) {
      long before = edge + below[i].count() - below[first].count();
      boolean reached = before >= goal * (bounds.size() + 1);
      boolean allNeeded = end - i <= pieces - 1 - bounds.size();
      if (reached || allNeeded) {
        bounds.add(starts[i]);
      }
    }
    return bounds;
  }

  private List<byte[]> evenBounds(KeyRange range, int pieces) {
    KeyRange known = keptRange;
    boolean here = range.equals(known);
    long count = here ? kept.size() : read(range).count();
    var bounds = new ArrayList<byte[]>();
    if (range.equals(keptRange)) {
      byte[] previous = null;
      for (int i = 0; i < kept.size() && bounds.size() < pieces - 1; i++) {
        byte[] id = kept.get(i).id;
        if (i >= count * (bounds.size() + 1) / pieces && previous != null) {
          bounds.add(separator(previous, id));
        }
        previous = id;
      }
      return bounds;
    }
    try (var rows = snapshot.scan(Table.STATE, range.from(), range.to())) {
      byte[] previous = null;
      for (long i = 0; bounds.size() < pieces - 1 && rows.next(); i++) {
        rowsRead++;
        byte[] id = rows.key();
        if (i >= count * (bounds.size() + 1) / pieces && previous != null) {
          bounds.add(separator(previous, id));
        }
        previous = id;
      }
    }
    return bounds;
  }

  /** The shortest bound above {@code lower} and not above {@code upper}. */
  private static byte[] separator(byte[] lower, byte[] upper) {
    return Arrays.copyOf(upper, Arrays.mismatch(lower, upper) + 1);
  }

  @Override
  public List<Item> items(KeyRange range, int atMost) {
    var items = new ArrayList<Item>();
    KeyRange known = keptRange;
    if (known != null && within(range, known)) {
      for (Entry entry : kept) {
        if (items.size() < atMost && range.contains(entry.id)) {
          items.add(item(entry.id, entry.fingerprint));
        }
      }
      return items;
    }
    try (var rows = snapshot.scan(Table.STATE, range.from(), range.to())) {
      while (items.size() < atMost && rows.next()) {
        rowsRead++;
        items.add(item(rows.key(), hasher.of(rows.key(), rows.value())));
      }
    }
    return items;
  }

  private static Item item(byte[] id, Fingerprint fingerprint) {
    return new Item(id, new Digest(fingerprint.limb0(), fingerprint.limb1()));
  }

  @Override
  public long rowsRead() {
    return rowsRead;
  }

  @Override
  public void close() {
    snapshot.close();
  }
}
