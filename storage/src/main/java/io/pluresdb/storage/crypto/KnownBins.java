package io.pluresdb.storage.crypto;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * The keys in the bins of a table that were cut last, so that they need not be opened to be cut
 * again. Must be told of every row that is written, and cleared when a commit fails.
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
  private static final long KEY_OVERHEAD_BYTES = 64;

  /** Keys that were put and are not sorted in, after which they are. */
  private static final int MAX_UNSORTED = 64;

  /** The keys of a bin. */
  static final class Known {
    final TreeSet<byte[]> keys = new TreeSet<>(Arrays::compareUnsigned);

    /**
     * Keys put since, oldest first, some of them perhaps not for the first time. Most bins are
     * forgotten before anybody asks for their keys, and those that came at random are far apart in
     * memory: sorting each in at once took an eighth of the loop's time.
     */
    private final ArrayList<byte[]> unsorted = new ArrayList<>();

    private byte @Nullable [] newest;
    private int run;
    private long bytes;

    /** Whether its newest rows came in ascending order, each behind the one before. */
    boolean isRun() {
      return run >= MIN_RUN;
    }

    private void put(byte[] key) {
      unsorted.add(key);
      bytes += weight(key);
      if (unsorted.size() >= MAX_UNSORTED) {
        sort();
      }
    }

    private void sort() {
      for (byte[] key : unsorted) {
        byte[] before = keys.lower(key);
        if (keys.add(key)) {
          run = before != null && Arrays.equals(before, newest) ? run + 1 : 0;
          newest = key;
        } else {
          bytes -= weight(key);
        }
      }
      unsorted.clear();
    }

    private void remove(byte[] key) {
      sort();
      if (keys.remove(key)) {
        bytes -= weight(key);
      }
    }
  }

  private final AtomicInteger remembering;
  private final Map<Long, Known> bins = new LinkedHashMap<>(16, 0.75f, true);
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
  @Nullable Known of(long bin) {
    Known known = bins.get(bin);
    if (known != null) {
      bytes -= known.bytes;
      known.sort();
      bytes += known.bytes;
    }
    return known;
  }

  /** Learns all keys of a bin. */
  void learn(long bin, Collection<byte[]> keys) {
    forget(bin);
    var known = new Known();
    keys.forEach(known::put);
    known.sort();
    known.run = 0;
    if (bins.isEmpty()) {
      remembering.incrementAndGet();
    }
    bins.put(bin, known);
    bytes += known.bytes;
    long share = Math.min(MAX_BYTES, MAX_SHARED_BYTES / Math.max(1, remembering.get()));
    var oldest = bins.values().iterator();
    while (bytes > share && bins.size() > 1) {
      bytes -= oldest.next().bytes;
      oldest.remove();
    }
  }

  /** A row of a bin is written, or deleted. */
  void written(long bin, byte[] key, boolean present) {
    Known known = bins.get(bin);
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

  void forget(long bin) {
    Known known = bins.remove(bin);
    if (known != null) {
      bytes -= known.bytes;
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
    bins.clear();
    bytes = 0;
  }
}
