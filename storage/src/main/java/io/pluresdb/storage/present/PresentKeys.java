package io.pluresdb.storage.present;

import io.pluresdb.crdt.codec.SipHash;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Says of most keys that are not in a table that they are not, without asking RocksDB: a document
 * is read before it is put, and most of those are new. To find nothing, RocksDB looks into the
 * filter of every write buffer and nearly every file; here it is a few words of memory.
 *
 * <p>Begins once reads that found nothing are many, and as many as a quarter of the rows: then the
 * keys of the table are read by a thread of their own, while commits go on. Nothing of it is on
 * disk. When the filter is full, a larger one is laid beside it for the keys that follow. A key
 * that is deleted still passes; where those are most, the table is read again.
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

  /** Keys that filters are made for, to one row that is there, before it is read again. */
  static final int MOST_DELETED = 8;

  private static final int SEED_BYTES = 16;

  /** The table whose keys they are. */
  interface Table {
    /**
     * Hands every key to {@code keys} that there is at a moment when no commit is under way.
     *
     * @throws RuntimeException when the table cannot be read, or was closed
     */
    void read(Consumer<byte[]> keys);

    /** Number of rows, roughly. */
    long estimatedRows();
  }

  /** Of all filters: a key is hashed once. */
  private final SipHash hash;

  private final Table table;
  private final int minMisses;
  private final AtomicLong memory;
  private final AtomicInteger misses = new AtomicInteger();

  /** Have all keys together, the newest last; none while they were not read. */
  private volatile List<KeyFilter> complete = List.of();

  /** Will have all of them; null while they are not being read. */
  private volatile @Nullable KeyFilter made;

  /** Keys for which the newest filter has room. */
  private final AtomicInteger room = new AtomicInteger();

  // Guarded by this.
  private boolean ended;
  private long taken;
  private long capacity;

  /**
   * @param minMisses reads that found nothing before the keys are read
   * @param memory what the filters take that share {@link #MAX_BYTES}
   */
  PresentKeys(Table table, int minMisses, AtomicLong memory) {
    byte[] seed = new byte[SEED_BYTES];
    new SecureRandom().nextBytes(seed);
    this.hash = new SipHash(seed);
    this.table = table;
    this.minMisses = minMisses;
    this.memory = memory;
  }

  /** Whether the table may hold the key; any thread. */
  boolean mayContain(byte[] key) {
    List<KeyFilter> filters = complete;
    return filters.isEmpty() || mayContain(filters, hash.of(key));
  }

  private static boolean mayContain(List<KeyFilter> filters, long hash) {
    for (int i = filters.size() - 1; i >= 0; i--) {
      if (filters.get(i).mayContain(hash)) {
        return true;
      }
    }
    return false;
  }

  /** Told of every read that found nothing; any thread. */
  void missed() {
    if (complete.isEmpty() && made == null && misses.incrementAndGet() >= minMisses) {
      begin();
    }
  }

  /** Told of the keys that a commit puts, before it does and while no other commit is under way. */
  void put(List<byte[]> keys) {
    KeyFilter other = made;
    List<KeyFilter> filters = complete;
    if (other == null && filters.isEmpty()) {
      return;
    }
    int fresh = 0;
    for (byte[] key : keys) {
      long hashed = hash.of(key);
      if (other != null) {
        other.add(hashed);
      }
      if (!filters.isEmpty() && !mayContain(filters, hashed)) {
        filters.getLast().add(hashed);
        fresh++;
      }
    }
    if (room.addAndGet(-fresh) < 0) {
      grow();
    }
  }

  private synchronized void begin() {
    if (ended || made != null) {
      return;
    }
    long rows = table.estimatedRows();
    if (complete.isEmpty() && misses.get() < rows / 4) {
      return;
    }
    int size = size(2 * rows);
    if (take(size)) {
      var filter = new KeyFilter(size);
      made = filter;
      Thread.ofPlatform().name("present-keys").daemon().start(() -> read(filter, size));
    }
  }

  private synchronized void grow() {
    if (ended || made != null) {
      return;
    }
    if (capacity > MOST_DELETED * table.estimatedRows() + MIN_CAPACITY) {
      begin();
      return;
    }
    int size = size(2 * capacity);
    if (take(size)) {
      var filters = new ArrayList<>(complete);
      filters.add(new KeyFilter(size));
      taken += KeyFilter.bytes(size);
      capacity += size;
      room.set(size);
      complete = List.copyOf(filters);
    }
  }

  private static int size(long keys) {
    return Math.clamp(keys, MIN_CAPACITY, Integer.MAX_VALUE / 2);
  }

  /** Takes the memory of a filter; does without from now on where too little is left. */
  private boolean take(int size) {
    long bytes = KeyFilter.bytes(size);
    if (memory.addAndGet(bytes) <= MAX_BYTES) {
      return true;
    }
    memory.addAndGet(-bytes);
    forget();
    return false;
  }

  private void read(KeyFilter filter, int size) {
    var found = new AtomicInteger();
    boolean whole = false;
    try {
      table.read(
          key -> {
            filter.add(hash.of(key));
            found.setPlain(found.getPlain() + 1);
          });
      whole = true;
    } catch (RuntimeException e) {
      // Closed, or a damaged file: whoever needs what is in it is told.
      forget();
    }
    long bytes = KeyFilter.bytes(size);
    synchronized (this) {
      if (whole && !ended) {
        memory.addAndGet(-taken);
        taken = bytes;
        capacity = size;
        room.set(size - found.getPlain());
        complete = List.of(filter);
      } else {
        memory.addAndGet(-bytes);
      }
      made = null;
    }
  }

  /** Does without from now on. */
  synchronized void forget() {
    ended = true;
    complete = List.of();
    memory.addAndGet(-taken);
    taken = 0;
  }

  /** Number of filters that have all keys together; 0 while they were not read. */
  int filters() {
    return complete.size();
  }
}
