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

  /** Keys put one after another in ascending order, from which on more of them are expected. */
  static final int MIN_RUN = 16;

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
    private byte @Nullable [] newest;
    private int run;
    private long bytes;

    private Known(Collection<byte[]> keys) {
      this.keys = new ArrayList<>(keys);
      this.keys.sort(ORDER);
      this.sorted = keys.size();
      keys.forEach(key -> bytes += weight(key));
    }

    /** All keys, ascending. */
    List<byte[]> keys() {
      return Collections.unmodifiableList(keys);
    }

    boolean contains(byte[] key) {
      return indexOf(key) >= 0;
    }

    /** Whether its newest rows came in ascending order, each behind the one before. */
    boolean isRun() {
      return run >= MIN_RUN;
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
      var fresh = new ArrayList<byte[]>();
      for (byte[] key : keys.subList(sorted, keys.size())) {
        if (!contains(key)) {
          fresh.add(key);
        }
      }
      var all = new ArrayList<byte[]>(sorted + fresh.size());
      all.addAll(keys.subList(0, sorted));
      all.addAll(fresh);
      all.sort(ORDER);
      keys = new ArrayList<>(all.size());
      bytes = 0;
      byte[] before = null;
      for (byte[] key : all) {
        if (!Arrays.equals(key, before)) {
          keys.add(key);
          bytes += weight(key);
        }
        before = key;
      }
      sorted = keys.size();
      if (!fresh.isEmpty()) {
        run = runOf(fresh);
        newest = fresh.getLast();
      }
    }

    /** How many of the newest keys each lie directly behind the one that came before. */
    private int runOf(List<byte[]> fresh) {
      int at = indexOf(fresh.getLast());
      int length = 0;
      for (byte[] earlier : fresh.subList(0, fresh.size() - 1).reversed()) {
        if (Arrays.equals(earlier, keys.get(at))) {
          continue; // Put twice.
        }
        if (at == 0 || !Arrays.equals(earlier, keys.get(at - 1))) {
          return length;
        }
        at--;
        length++;
      }
      return at > 0 && Arrays.equals(newest, keys.get(at - 1)) ? length + run + 1 : length;
    }

    private void remove(byte[] key) {
      sort();
      int at = indexOf(key);
      if (at >= 0) {
        keys.remove(at);
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
