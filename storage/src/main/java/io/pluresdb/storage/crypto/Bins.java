package io.pluresdb.storage.crypto;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
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

  /** Bins of a run, half of them when it is new: what is copied when one of them is cut. */
  private static final int MAX_RUN = 256;

  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);

  /**
   * Neighbouring bins.
   *
   * @param heads 16 bytes of each start, behind what all have in common, as two numbers that are in
   *     order when unsigned: most searches read nothing else, and these are not a step further away
   */
  private record Run(Bin[] bins, long[] heads) {
    static Run of(List<Bin> bins, int common) {
      var run = new Run(bins.toArray(Bin[]::new), new long[2 * bins.size()]);
      for (int i = 0; i < run.bins.length; i++) {
        run.heads[2 * i] = word(run.bins[i].start, common);
        run.heads[2 * i + 1] = word(run.bins[i].start, common + Long.BYTES);
      }
      return run;
    }

    /** The last bin that starts at the key or before; the first does. */
    int find(byte[] key, long first, long second) {
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
  }

  private final long version;

  /** What all starts but that of the first bin begin with. */
  private final byte[] prefix;

  private final Run[] runs;

  /** The first bin of each run. */
  private final Run firsts;

  /** The index of the first bin of each run, and the number of all bins. */
  private final int[] from;

  /** {@code bins} are in the order of their starts, and all there are from now on. */
  Bins(long version, List<Bin> bins) {
    this(version, prefix(bins), runs(bins, prefix(bins).length));
    for (int i = 0; i < bins.size(); i++) {
      bins.get(i).end = i + 1 < bins.size() ? bins.get(i + 1).start : null;
    }
  }

  private Bins(long version, byte[] prefix, List<Run> runs) {
    if (runs.isEmpty() || runs.getFirst().bins[0].start.length > 0) {
      throw new IllegalArgumentException("the first bin must start at the empty key");
    }
    this.version = version;
    this.prefix = prefix;
    this.runs = runs.toArray(Run[]::new);
    this.firsts = Run.of(runs.stream().map(run -> run.bins[0]).toList(), prefix.length);
    this.from = new int[runs.size() + 1];
    for (int i = 0; i < runs.size(); i++) {
      from[i + 1] = from[i] + runs.get(i).bins.length;
    }
  }

  /** They ascend: what the second and the last begin with, those between them do. */
  private static byte[] prefix(List<Bin> bins) {
    return bins.size() < 2 ? SealedRows.NOTHING : common(bins.get(1).start, bins.getLast().start);
  }

  private static byte[] common(byte[] some, byte[] other) {
    int differ = Arrays.mismatch(some, other);
    return Arrays.copyOf(some, differ < 0 ? some.length : differ);
  }

  private static List<Run> runs(List<Bin> bins, int common) {
    var runs = new ArrayList<Run>();
    int size = bins.size() <= MAX_RUN ? MAX_RUN : MAX_RUN / 2;
    for (int at = 0; at < bins.size(); at += size) {
      runs.add(Run.of(bins.subList(at, Math.min(bins.size(), at + size)), common));
    }
    return runs;
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
    return from[runs.length];
  }

  List<Bin> all() {
    return Arrays.stream(runs).flatMap(run -> Arrays.stream(run.bins)).toList();
  }

  Bin bin(int index) {
    int run = runOf(index);
    return runs[run].bins[index - from[run]];
  }

  private int runOf(int index) {
    int found = Arrays.binarySearch(from, index);
    return found < 0 ? -2 - found : found;
  }

  /** Where the bin ends, or null for the last. */
  byte @Nullable [] end(int index) {
    return index + 1 < size() ? bin(index + 1).start : null;
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
      return size() - 1;
    }
    if (order < 0 || common < prefix.length) {
      return 0;
    }
    long first = word(key, prefix.length);
    long second = word(key, prefix.length + Long.BYTES);
    int run = firsts.find(key, first, second);
    return from[run] + runs[run].find(key, first, second);
  }

  /** The index of the first bin whose rows another data key hides, or -1 for none. */
  int findOtherThan(int key) {
    for (int i = 0; i < runs.length; i++) {
      Bin[] bins = runs[i].bins;
      for (int j = 0; j < bins.length; j++) {
        if (bins[j].key != key) {
          return from[i] + j;
        }
      }
    }
    return -1;
  }

  /**
   * With other bins in the place of some, by their index; the first of them may be the same. For
   * the one that commits.
   */
  Bins replace(NavigableMap<Integer, List<Bin>> others) {
    others.forEach(
        (index, parts) -> {
          Bin old = bin(index);
          old.end = old.start; // Unless it is among the others.
          byte[] end = end(index);
          for (Bin part : parts.reversed()) {
            part.end = end;
            end = part.start;
          }
        });
    var all = new ArrayList<Run>(runs.length + others.size());
    Integer next = others.isEmpty() ? null : others.firstKey();
    for (int i = 0; i < runs.length; i++) {
      if (next == null || next >= from[i + 1]) {
        all.add(runs[i]);
        continue;
      }
      List<Bin> before = Arrays.asList(runs[i].bins);
      var bins = new ArrayList<Bin>(2 * MAX_RUN);
      int kept = 0;
      for (var other : others.subMap(from[i], from[i + 1]).entrySet()) {
        bins.addAll(before.subList(kept, other.getKey() - from[i]));
        bins.addAll(other.getValue());
        kept = other.getKey() - from[i] + 1;
      }
      bins.addAll(before.subList(kept, before.size()));
      all.addAll(runs(bins, prefix.length));
      next = others.ceilingKey(from[i + 1]);
    }
    var changed = new Bins(version + 1, prefix, all);
    int size = changed.size();
    boolean same =
        size < 2
            || common(changed.bin(1).start, changed.bin(size - 1).start).length == prefix.length;
    return same ? changed : new Bins(version + 1, changed.all());
  }
}
