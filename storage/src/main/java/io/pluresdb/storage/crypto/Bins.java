package io.pluresdb.storage.crypto;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.NavigableMap;
import org.jspecify.annotations.Nullable;

/**
 * How the keys of a table are shared out: bin i holds those from its start up to the start of the
 * next. The disk shows which rows share a bin, neither which bins are neighbours nor the order in
 * one. Which bins there are does not change; the first starts at the empty key.
 */
final class Bins {
  /** A bin, with what the one that commits remembers of it. */
  static final class Bin {
    private final byte[] start;
    private final long id;
    private final int key;

    /** Writes to it before its rows must be counted. */
    int left;

    /** Its keys, for {@link KnownBins} alone. */
    KnownBins.@Nullable Known known;

    /**
     * A bin whose rows were not counted yet.
     *
     * @param id random; what its rows on disk begin with
     * @param key number of the data key that hides the names of its rows
     */
    Bin(byte[] start, long id, int key) {
      this.start = start;
      this.id = id;
      this.key = key;
    }

    byte[] start() {
      return start;
    }

    long id() {
      return id;
    }

    int key() {
      return key;
    }
  }

  private final long version;
  private final Bin[] bins;

  /** The start of each: what is searched should not be a step further away. */
  private final byte[][] starts;

  /** {@code bins} are in the order of their starts. */
  Bins(long version, List<Bin> bins) {
    this(version, bins.toArray(Bin[]::new), bins.stream().map(Bin::start).toArray(byte[][]::new));
  }

  private Bins(long version, Bin[] bins, byte[][] starts) {
    if (starts.length == 0 || starts[0].length > 0) {
      throw new IllegalArgumentException("the first bin must start at the empty key");
    }
    this.version = version;
    this.bins = bins;
    this.starts = starts;
  }

  /** Grows by one with every change. */
  long version() {
    return version;
  }

  int size() {
    return starts.length;
  }

  List<Bin> all() {
    return Collections.unmodifiableList(Arrays.asList(bins));
  }

  Bin bin(int index) {
    return bins[index];
  }

  /** Where the bin ends, or null for the last. */
  byte @Nullable [] end(int index) {
    return index + 1 < starts.length ? starts[index + 1] : null;
  }

  /** The bin a key belongs to. */
  Bin of(byte[] key) {
    return bin(find(key));
  }

  /** The index of the bin a key belongs to. */
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
    int added = others.values().stream().mapToInt(parts -> parts.size() - 1).sum();
    var all = new Bin[bins.length + added];
    var allStarts = new byte[all.length][];
    int from = 0;
    int to = 0;
    for (var other : others.entrySet()) {
      int kept = other.getKey() - from;
      System.arraycopy(bins, from, all, to, kept);
      System.arraycopy(starts, from, allStarts, to, kept);
      to += kept;
      for (Bin part : other.getValue()) {
        all[to] = part;
        allStarts[to++] = part.start();
      }
      from = other.getKey() + 1;
    }
    System.arraycopy(bins, from, all, to, bins.length - from);
    System.arraycopy(starts, from, allStarts, to, bins.length - from);
    return new Bins(version + 1, all, allStarts);
  }
}
