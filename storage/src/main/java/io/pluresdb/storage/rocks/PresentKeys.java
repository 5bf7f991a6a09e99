package io.pluresdb.storage.rocks;

import java.security.SecureRandom;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Says of most keys that are not in a table that they are not, without asking RocksDB: a document
 * is read before it is put, and most of those are new. To find nothing, RocksDB looks into the
 * filter of every write buffer and nearly every file; here it is one word of memory.
 *
 * <p>Begins once reads that found nothing are many, and as many as a quarter of the rows: then the
 * keys of the table are read by a thread of their own, while commits go on. Nothing of it is on
 * disk. A table that grows is read again when it has twice the rows.
 */
final class PresentKeys {
  /** Reads that found nothing before the keys are read. */
  static final int MIN_MISSES = 10_000;

  /** Least number of keys a filter is made for. */
  static final int MIN_CAPACITY = 1 << 16;

  /** Memory of all filters of a process; a table for which too little is left does without. */
  static final long MAX_BYTES = 32L << 20;

  /** What the filters of this process take. */
  static final AtomicLong PROCESS = new AtomicLong();

  private static final int SEED_BYTES = 16;

  /** The table whose keys they are. */
  interface Table {
    /**
     * Runs {@code begun} while no commit is under way, and hands every key there is then to {@code
     * keys}.
     *
     * @throws RuntimeException when the table cannot be read, or was closed
     */
    void read(Runnable begun, Consumer<byte[]> keys);

    /** Number of rows, roughly. */
    long estimatedRows();
  }

  private final Table table;
  private final int minMisses;
  private final AtomicLong memory;
  private final AtomicInteger misses = new AtomicInteger();

  /** Has all keys; null while there is none. */
  private volatile @Nullable KeyFilter complete;

  /** What is put is added to these: the complete one and the one that is being made. */
  private volatile List<KeyFilter> all = List.of();

  private volatile boolean reading;

  // Guarded by this.
  private boolean ended;
  private long taken;

  /** Keys for which the complete filter has room. */
  private final AtomicInteger room = new AtomicInteger();

  /**
   * @param minMisses reads that found nothing before the keys are read
   * @param memory what the filters take that share {@link #MAX_BYTES}
   */
  PresentKeys(Table table, int minMisses, AtomicLong memory) {
    this.table = table;
    this.minMisses = minMisses;
    this.memory = memory;
  }

  /** Whether the table may hold the key; any thread. */
  boolean mayContain(byte[] key) {
    KeyFilter filter = complete;
    return filter == null || filter.mayContain(key);
  }

  /** Told of every read that found nothing; any thread. */
  void missed() {
    if (complete == null && !reading && misses.incrementAndGet() >= minMisses) {
      begin();
    }
  }

  /** Told of the keys that a commit puts, before it does and while no other commit is under way. */
  void put(List<byte[]> keys) {
    List<KeyFilter> filters = all;
    if (filters.isEmpty()) {
      return;
    }
    int fresh = 0;
    for (byte[] key : keys) {
      fresh += filters.getFirst().add(key) ? 1 : 0;
    }
    if (filters.size() > 1) {
      keys.forEach(filters.getLast()::add);
    }
    if (room.addAndGet(-fresh) < 0 && complete != null && !reading) {
      begin();
    }
  }

  private synchronized void begin() {
    if (ended || reading) {
      return;
    }
    long rows = table.estimatedRows();
    if (complete == null && misses.get() < rows / 4) {
      return;
    }
    int capacity = Math.clamp(2 * rows, MIN_CAPACITY, Integer.MAX_VALUE / 2);
    long bytes = KeyFilter.bytes(capacity);
    if (memory.addAndGet(bytes) > MAX_BYTES) {
      memory.addAndGet(-bytes);
      forget();
      return;
    }
    byte[] seed = new byte[SEED_BYTES];
    new SecureRandom().nextBytes(seed);
    reading = true;
    var filter = new KeyFilter(capacity, seed);
    Thread.ofPlatform().name("present-keys").daemon().start(() -> read(filter, capacity, bytes));
  }

  private void read(KeyFilter filter, int capacity, long bytes) {
    var before = complete;
    var found = new AtomicInteger();
    boolean whole = false;
    try {
      table.read(
          () -> all = before == null ? List.of(filter) : List.of(before, filter),
          key -> {
            filter.add(key);
            found.setPlain(found.getPlain() + 1);
          });
      whole = true;
    } catch (RuntimeException e) {
      // Closed, or a damaged file: whoever needs what is in it is told.
      forget();
    }
    synchronized (this) {
      if (whole && !ended) {
        memory.addAndGet(-taken);
        taken = bytes;
        room.set(capacity - found.getPlain());
        complete = filter;
        all = List.of(filter);
      } else {
        memory.addAndGet(-bytes);
      }
      reading = false;
    }
  }

  /** Does without from now on. */
  synchronized void forget() {
    ended = true;
    complete = null;
    all = List.of();
    memory.addAndGet(-taken);
    taken = 0;
  }

  /** Whether there is a filter that has all keys. */
  boolean isComplete() {
    return complete != null;
  }
}
