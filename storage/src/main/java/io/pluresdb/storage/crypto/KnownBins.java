package io.pluresdb.storage.crypto;

import io.pluresdb.storage.crypto.Bins.Bin;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * The keys in the bins of a table that were cut or counted last, so that they need not be opened to
 * be cut again. Must be told of every row that is written, and cleared when a commit fails.
 *
 * <p>Not thread-safe.
 */
final class KnownBins {
  /**
   * Memory of all keys of a table, as {@link #weight} counts; what was not cut lately goes first.
   */
  static final long MAX_BYTES = 4 << 20;

  /**
   * What the tables that remember any share: each forgets down to an equal share when it learns
   * more. Those that took their shares when there were fewer keep them meanwhile, so n tables take
   * up to this times 1 + ln(n / 4).
   */
  static final long MAX_SHARED_BYTES = 16 << 20;

  /** How many tables of the process remember any. */
  static final AtomicInteger PROCESS = new AtomicInteger();

  /** Neighbouring keys, each put after the one before it, behind which more are expected. */
  static final int MIN_RUN = 8;

  /** What a key takes beside its bytes. */
  private static final long KEY_OVERHEAD_BYTES = 32;

  static final Comparator<byte[]> ORDER = Arrays::compareUnsigned;

  /** The keys of a bin. */
  static final class Known {
    /**
     * Ascending up to {@link #sorted}; behind it those put since, oldest first, some of them not
     * for the first time. They are sorted in when somebody asks: most bins are forgotten before,
     * and keys that came at random are far apart in memory.
     */
    private List<byte[]> keys;

    private int sorted;
    private List<Integer> runEnds = List.of();
    private long bytes;

    private Known(Collection<byte[]> keys) {
      this.keys = new ArrayList<>(keys);
      this.keys.sort(ORDER);
      this.sorted = keys.size();
      this.bytes = weight(keys);
    }

    /** All keys, ascending. */
    List<byte[]> keys() {
      return Collections.unmodifiableList(keys);
    }

    boolean contains(byte[] key) {
      return indexOf(key) >= 0;
    }

    /**
     * Indices of the last key of each run, ascending: {@link #MIN_RUN} neighbours or more that all
     * were put since the keys were asked for before, each after the one that it lies behind.
     */
    List<Integer> runEnds() {
      return runEnds;
    }

    /** Of those that are sorted. */
    private int indexOf(byte[] key) {
      boolean behind = sorted == 0 || ORDER.compare(key, keys.get(sorted - 1)) > 0;
      return behind ? -1 : Collections.binarySearch(keys.subList(0, sorted), key, ORDER);
    }

    private void put(byte[] key) {
      keys.add(key);
      bytes += weight(key);
    }

    private void sort() {
      if (sorted == keys.size()) {
        return;
      }
      var fresh = new ArrayList<Put>();
      for (int i = sorted; i < keys.size(); i++) {
        if (!contains(keys.get(i))) {
          fresh.add(new Put(keys.get(i), i));
        }
      }
      fresh.sort(Comparator.comparing(Put::key, ORDER)); // Stable: a key's first turn comes first.
      merge(keys.subList(0, sorted), fresh);
      sorted = keys.size();
      bytes = weight(keys);
    }

    /** A key that was put, and when: a larger number is later. */
    private record Put(byte[] key, int turn) {}

    /** Both ascend; {@code fresh} may have a key several times, and none of {@code old}. */
    private void merge(List<byte[]> old, List<Put> fresh) {
      var all = new ArrayList<byte[]>(old.size() + fresh.size());
      var ends = new ArrayList<Integer>();
      int at = 0;
      int run = 0;
      int turn = -1;
      for (Put put : fresh) {
        int from = at;
        while (at < old.size() && ORDER.compare(old.get(at), put.key) < 0) {
          all.add(old.get(at++));
        }
        if (at == from && run > 0 && Arrays.equals(all.getLast(), put.key)) {
          continue;
        }
        boolean follows = at == from && put.turn > turn;
        if (!follows) {
          endRun(ends, run, all.size() - 1 - (at - from));
          run = 0;
        }
        run++;
        turn = put.turn;
        all.add(put.key);
      }
      endRun(ends, run, all.size() - 1);
      all.addAll(old.subList(at, old.size()));
      keys = all;
      runEnds = ends;
    }

    private static void endRun(List<Integer> ends, int run, int last) {
      if (run >= MIN_RUN) {
        ends.add(last);
      }
    }

    private void remove(byte[] key) {
      sort();
      int at = indexOf(key);
      if (at >= 0) {
        keys.remove(at);
        runEnds = List.of();
        sorted--;
        bytes -= weight(key);
      }
    }
  }

  private final AtomicInteger remembering;
  private final LinkedHashSet<Bin> bins = new LinkedHashSet<>();
  private long bytes;

  /**
   * Nothing is known yet.
   *
   * @param remembering counts the tables that share their memory
   */
  KnownBins(AtomicInteger remembering) {
    this.remembering = remembering;
  }

  private static long weight(Collection<byte[]> keys) {
    return keys.stream().mapToLong(KnownBins::weight).sum();
  }

  private static long weight(byte[] key) {
    return key.length + KEY_OVERHEAD_BYTES;
  }

  /** The keys of a bin as written so far, or null when they are not known. */
  @Nullable Known of(Bin bin) {
    Known known = bin.known;
    if (known != null) {
      bytes -= known.bytes;
      known.sort();
      bytes += known.bytes;
      bins.addLast(bin);
    }
    return known;
  }

  /** Learns all keys of a bin. */
  void learn(Bin bin, Collection<byte[]> keys) {
    forget(bin);
    var known = new Known(keys);
    if (bins.isEmpty()) {
      remembering.incrementAndGet();
    }
    bin.known = known;
    bins.addLast(bin);
    bytes += known.bytes;
    long share = Math.min(MAX_BYTES, MAX_SHARED_BYTES / Math.max(1, remembering.get()));
    while (bytes > share && bins.size() > 1) {
      forget(bins.getFirst());
    }
  }

  /** A row of a bin is written, or deleted. */
  void written(Bin bin, byte[] key, boolean present) {
    Known known = bin.known;
    if (known == null) {
      return;
    }
    bytes -= known.bytes;
    if (present) {
      known.put(key);
    } else {
      known.remove(key);
    }
    bytes += known.bytes;
  }

  void forget(Bin bin) {
    Known known = bin.known;
    if (known != null) {
      bytes -= known.bytes;
      bin.known = null;
      bins.remove(bin);
      if (bins.isEmpty()) {
        remembering.decrementAndGet();
      }
    }
  }

  /** Forgets all; also before a table is let go, which otherwise keeps its share. */
  void clear() {
    if (!bins.isEmpty()) {
      remembering.decrementAndGet();
    }
    bins.forEach(bin -> bin.known = null);
    bins.clear();
    bytes = 0;
  }
}
