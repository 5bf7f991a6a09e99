package io.pluresdb.storage.crypto;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.NavigableMap;

/**
 * How the keys of a table are shared out: bin i holds those from its start up to the start of the
 * next. The disk shows which rows share a bin, neither which bins are neighbours nor the order in
 * one. Immutable; the first bin starts at the empty key.
 */
final class Bins {
  /**
   * A bin.
   *
   * @param id random; what its rows on disk begin with
   * @param key number of the data key that hides the names of its rows
   */
  record Bin(byte[] start, long id, int key) {}

  private final long version;
  private final List<Bin> bins;
  private final byte[][] starts;

  /** {@code bins} are in the order of their starts. */
  Bins(long version, List<Bin> bins) {
    this.version = version;
    this.bins = bins;
    this.starts = new byte[bins.size()][];
    for (int i = 0; i < starts.length; i++) {
      starts[i] = bins.get(i).start();
    }
    if (starts.length == 0 || starts[0].length > 0) {
      throw new IllegalArgumentException("the first bin must start at the empty key");
    }
  }

  /** Grows by one with every change. */
  long version() {
    return version;
  }

  int size() {
    return starts.length;
  }

  Bin bin(int index) {
    return bins.get(index);
  }

  /** Where the bin ends, or null for the last. */
  byte @org.jspecify.annotations.Nullable [] end(int index) {
    return index + 1 < starts.length ? starts[index + 1] : null;
  }

  /** The bin a key belongs to. */
  int find(byte[] key) {
    int low = 0;
    int high = starts.length - 1;
    while (low < high) {
      int middle = (low + high + 1) >>> 1;
      if (Arrays.compareUnsigned(starts[middle], key) <= 0) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }

  /** With other bins in the place of some, by their index. */
  Bins replace(NavigableMap<Integer, List<Bin>> others) {
    var all = new ArrayList<Bin>(bins.size() + 4 * others.size());
    int next = 0;
    for (var other : others.entrySet()) {
      all.addAll(bins.subList(next, other.getKey()));
      all.addAll(other.getValue());
      next = other.getKey() + 1;
    }
    all.addAll(bins.subList(next, bins.size()));
    return new Bins(version + 1, all);
  }
}
