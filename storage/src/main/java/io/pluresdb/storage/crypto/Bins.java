package io.pluresdb.storage.crypto;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
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

    /** Keys from here on are not its own any more; null for none. */
    private byte @Nullable [] end;

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

    /**
     * Whether a key that some {@link Bins} ascribed to it is still its own, for the one that
     * commits. May deny it after a commit that cut the bin and failed.
     */
    boolean holds(byte[] of) {
      byte[] before = end;
      return before == null || Arrays.compareUnsigned(of, before) < 0;
    }
  }

  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);

  private final long version;
  private final Bin[] bins;

  /** What all starts but that of the first bin begin with. */
  private final byte[] prefix;

  /**
   * The next 16 bytes of each start, as two numbers that are in order when unsigned: most searches
   * read nothing else, and these are not a step further away.
   */
  private final long[] heads;

  /** {@code bins} are in the order of their starts, and in no others yet. */
  Bins(long version, List<Bin> bins) {
    this(version, bins.toArray(Bin[]::new));
    for (int i = 0; i < this.bins.length; i++) {
      this.bins[i].end = end(i);
    }
  }

  private Bins(long version, Bin[] bins) {
    this(version, bins, prefix(bins), new long[2 * bins.length]);
    for (int i = 1; i < bins.length; i++) {
      putHead(heads, i, bins[i]);
    }
  }

  private Bins(long version, Bin[] bins, byte[] prefix, long[] heads) {
    if (bins.length == 0 || bins[0].start.length > 0) {
      throw new IllegalArgumentException("the first bin must start at the empty key");
    }
    this.version = version;
    this.bins = bins;
    this.prefix = prefix;
    this.heads = heads;
  }

  /** They ascend: what the second and the last begin with, those between them do. */
  private static byte[] prefix(Bin[] bins) {
    if (bins.length < 2) {
      return SealedRows.NOTHING;
    }
    byte[] least = bins[1].start;
    int differ = Arrays.mismatch(least, bins[bins.length - 1].start);
    return Arrays.copyOf(least, differ < 0 ? least.length : differ);
  }

  private void putHead(long[] to, int index, Bin bin) {
    to[2 * index] = word(bin.start, prefix.length);
    to[2 * index + 1] = word(bin.start, prefix.length + Long.BYTES);
  }

  /** The eight bytes from {@code at} on, zeros where there are none. */
  private static long word(byte[] bytes, int at) {
    if (at + Long.BYTES <= bytes.length) {
      return (long) LONG.get(bytes, at);
    }
    long word = 0;
    for (int i = at; i < bytes.length; i++) {
      word |= (bytes[i] & 0xffL) << (Byte.SIZE * (at + Long.BYTES - 1 - i));
    }
    return word;
  }

  /** Grows by one with every change. */
  long version() {
    return version;
  }

  int size() {
    return bins.length;
  }

  List<Bin> all() {
    return Collections.unmodifiableList(Arrays.asList(bins));
  }

  Bin bin(int index) {
    return bins[index];
  }

  /** Where the bin ends, or null for the last. */
  byte @Nullable [] end(int index) {
    return index + 1 < bins.length ? bins[index + 1].start : null;
  }

  /** The bin a key belongs to. */
  Bin of(byte[] key) {
    return bin(find(key));
  }

  /** The index of the bin a key belongs to. */
  int find(byte[] key) {
    int common = Math.min(prefix.length, key.length);
    int order = Arrays.compareUnsigned(key, 0, common, prefix, 0, common);
    if (order > 0) {
      return bins.length - 1;
    }
    if (order < 0 || common < prefix.length) {
      return 0;
    }
    long first = word(key, prefix.length);
    long second = word(key, prefix.length + Long.BYTES);
    int low = 0;
    int high = bins.length - 1;
    while (low < high) {
      int middle = (low + high + 1) >>> 1;
      int before = Long.compareUnsigned(heads[2 * middle], first);
      if (before == 0) {
        before = Long.compareUnsigned(heads[2 * middle + 1], second);
      }
      if (before == 0) {
        before = Arrays.compareUnsigned(bins[middle].start, key);
      }
      if (before <= 0) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }

  /**
   * With other bins in the place of some, by their index; the first of them may be the same. For
   * the one that commits.
   */
  Bins replace(NavigableMap<Integer, List<Bin>> others) {
    int added = others.values().stream().mapToInt(parts -> parts.size() - 1).sum();
    var all = new Bin[bins.length + added];
    var allHeads = new long[2 * all.length];
    int from = 0;
    int to = 0;
    for (var other : others.entrySet()) {
      int index = other.getKey();
      int kept = index - from;
      System.arraycopy(bins, from, all, to, kept);
      System.arraycopy(heads, 2 * from, allHeads, 2 * to, 2 * kept);
      to += kept;
      from = index + 1;
      bins[index].end = bins[index].start; // Unless it is among the others.
      byte[] end = end(index);
      for (Bin part : other.getValue().reversed()) {
        part.end = end;
        end = part.start;
      }
      for (Bin part : other.getValue()) {
        putHead(allHeads, to, part);
        all[to++] = part;
      }
    }
    System.arraycopy(bins, from, all, to, bins.length - from);
    System.arraycopy(heads, 2 * from, allHeads, 2 * to, 2 * (bins.length - from));
    byte[] now = prefix(all);
    return now.length == prefix.length
        ? new Bins(version + 1, all, prefix, allHeads)
        : new Bins(version + 1, all);
  }
}
