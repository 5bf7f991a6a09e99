package io.pluresdb.crdt.store;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.EnumMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentNavigableMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A storage in memory that also models the disk under it: which commits would survive power loss,
 * what a restored backup holds, and a disk that is full or fails.
 *
 * <p>Each key holds a chain of versions, newest first, each marked with the number of the commit
 * that wrote it. A snapshot is a commit number: taking one copies nothing. A version is dropped as
 * soon as neither a snapshot nor the disk model (the state as last synced) can ask for it.
 *
 * <p>One thread commits, any number read. Chains are immutable: a reader that holds a chain's head
 * sees every version that was needed when it took it, so readers take no lock. Deterministic: no
 * clock, no randomness, no identity hashes.
 */
public final class MemoryStorage implements Storage {

  /** How the next write is made to go wrong. */
  public enum Fault {
    /** The disk has no room: nothing is written, the write after it may succeed. */
    FULL,
    /** The write fails before it reaches the disk; the storage refuses every later write. */
    FAILED,
    /**
     * The write reaches the operating system and the sync fails: readers never see it, it may
     * survive {@link #crash} all the same, and the storage refuses every later write.
     */
    SYNC_FAILED
  }

  private static final byte[] LOWEST = {};

  /** One value of a key; null is a deletion. */
  private record Version(long commit, byte @Nullable [] value, @Nullable Version older) {}

  private record Touched(long commit, Table table, byte[] key) {}

  private final Map<Table, ConcurrentNavigableMap<byte[], Version>> tables =
      new EnumMap<>(Table.class);

  /** Serialises writers, power loss and backups; readers never take it. */
  private final ReentrantLock writing = new ReentrantLock();

  /** Guards {@link #pinned}, and that a snapshot pins the commit it read. */
  private final ReentrantLock pinning = new ReentrantLock();

  /** Commit number to the number of open snapshots of it. */
  private final TreeMap<Long, Integer> pinned = new TreeMap<>();

  /** Keys whose chain holds more than one live version, in commit order. */
  private final Deque<Touched> touched = new ArrayDeque<>();

  /** The newest commit readers see. */
  private volatile long committed;

  /** The newest commit that power loss leaves. */
  private long synced;

  /** The newest commit that reached the operating system; above committed after a failed sync. */
  private long written;

  private @Nullable Fault nextCommit;
  private @Nullable Fault nextSync;
  private boolean failed;
  private volatile boolean closed;

  /** Creates an empty storage. */
  public MemoryStorage() {
    for (Table table : Table.values()) {
      tables.put(table, new ConcurrentSkipListMap<>(Arrays::compareUnsigned));
    }
  }

  @Override
  public Batch newBatch() {
    requireOpen();
    return new MemoryBatch(this);
  }

  @Override
  public void commit(Batch batch, Durability durability) {
    if (!(batch instanceof MemoryBatch mine) || mine.owner != this) {
      throw new IllegalArgumentException("the batch was made by another storage");
    }
    mine.requireOpen();
    writing.lock();
    try {
      requireWritable();
      Fault fault = nextCommit;
      nextCommit = null;
      if (fault == null && durability == Durability.SYNCED) {
        fault = nextSync;
        nextSync = null;
      }
      if (fault == Fault.FULL || fault == Fault.FAILED) {
        throw fail(fault);
      }
      long commit = committed + 1;
      for (Write write : mine.writes) {
        apply(commit, write);
      }
      written = commit;
      if (fault != null) {
        throw fail(fault);
      }
      if (durability == Durability.SYNCED) {
        synced = commit;
      }
      committed = commit;
      prune();
    } finally {
      writing.unlock();
    }
  }

  @Override
  public void sync() {
    writing.lock();
    try {
      requireWritable();
      Fault fault = nextSync;
      nextSync = null;
      if (fault != null) {
        throw fail(fault);
      }
      synced = written;
      prune();
    } finally {
      writing.unlock();
    }
  }

  @Override
  public byte @Nullable [] get(Table table, byte[] key) {
    requireOpen();
    // Head before commit number: the chain then holds the newest version of that commit or before.
    Version head = table(table).get(key);
    return valueAt(head, committed);
  }

  @Override
  public Snapshot snapshot() {
    requireOpen();
    pinning.lock();
    try {
      long commit = committed;
      pinned.merge(commit, 1, Integer::sum);
      return new MemorySnapshot(commit);
    } finally {
      pinning.unlock();
    }
  }

  @Override
  public long bytesOnDisk() {
    return 0;
  }

  /** Closes the storage; what it held can still be copied or lose its power. */
  @Override
  public void close() {
    closed = true;
  }

  /** Makes the next {@link #commit}, and only it, fail as {@code fault} says. */
  public void failNextCommit(Fault fault) {
    writing.lock();
    try {
      nextCommit = fault;
    } finally {
      writing.unlock();
    }
  }

  /**
   * Makes the next sync fail as {@code fault} says: that of {@link #sync} or of a {@link
   * Durability#SYNCED} commit, whichever comes first.
   */
  public void failNextSync(Fault fault) {
    writing.lock();
    try {
      nextSync = fault;
    } finally {
      writing.unlock();
    }
  }

  /** Number of commits that power loss could take: those after the last sync. */
  public int unsyncedCommits() {
    writing.lock();
    try {
      return Math.toIntExact(written - synced);
    } finally {
      writing.unlock();
    }
  }

  /** Returns the disk after power loss with every unsynced commit gone, and closes this storage. */
  public MemoryStorage crash() {
    return crash(0);
  }

  /**
   * Returns the disk after power loss and closes this storage.
   *
   * @param survivors how many of the {@link #unsyncedCommits}, oldest first, the operating system
   *     had written on its own: 0 to all of them. A log is written in order, so they are a prefix
   */
  public MemoryStorage crash(int survivors) {
    writing.lock();
    try {
      if (survivors < 0 || survivors > written - synced) {
        throw new IllegalArgumentException(
            "survivors must be 0 to " + (written - synced) + ", but is " + survivors);
      }
      closed = true;
      return copyAt(synced + survivors);
    } finally {
      writing.unlock();
    }
  }

  /** Returns an independent storage holding the newest commit, as a restored backup would. */
  public MemoryStorage copy() {
    writing.lock();
    try {
      return copyAt(committed);
    } finally {
      writing.unlock();
    }
  }

  /** Number of versions held over all keys, deletions included: what pruning is judged by. */
  long versions() {
    long count = 0;
    for (var rows : tables.values()) {
      for (Version head : rows.values()) {
        for (Version version = head; version != null; version = version.older) {
          count++;
        }
      }
    }
    return count;
  }

  private MemoryStorage copyAt(long commit) {
    MemoryStorage copy = new MemoryStorage();
    tables.forEach(
        (table, rows) ->
            rows.forEach(
                (key, head) -> {
                  byte[] value = valueAt(head, commit);
                  if (value != null) {
                    copy.table(table).put(key, new Version(0, value, null));
                  }
                }));
    return copy;
  }

  private void apply(long commit, Write write) {
    var rows = table(write.table);
    Version head = rows.get(write.key);
    if (head != null && head.commit == commit) {
      head = head.older; // written twice in one batch: the later write stands
    }
    if (head == null && write.value == null) {
      rows.remove(write.key);
      return;
    }
    rows.put(write.key, new Version(commit, write.value, head));
    if (head != null) {
      touched.add(new Touched(commit, write.table, write.key));
    }
  }

  /** Drops what no reader and no crash can ask for any more; the writing lock is held. */
  private void prune() {
    long oldest = oldestNeeded();
    for (Touched next = touched.peek();
        next != null && next.commit <= oldest;
        next = touched.peek()) {
      touched.remove();
      var rows = table(next.table);
      Version head = rows.get(next.key);
      if (head == null) {
        continue;
      }
      if (head.commit <= oldest && head.value == null) {
        rows.remove(next.key);
      } else {
        rows.put(next.key, trim(head, oldest));
      }
    }
  }

  /** Returns the chain without what is older than the newest version {@code oldest} needs. */
  private static Version trim(Version head, long oldest) {
    Deque<Version> newer = new ArrayDeque<>();
    Version last = head;
    while (last.commit > oldest && last.older != null) {
      newer.push(last);
      last = last.older;
    }
    if (last.older == null) {
      return head;
    }
    Version trimmed = new Version(last.commit, last.value, null);
    for (Version version : newer) {
      trimmed = new Version(version.commit, version.value, trimmed);
    }
    return trimmed;
  }

  private long oldestNeeded() {
    pinning.lock();
    try {
      long oldest = Math.min(synced, committed);
      return pinned.isEmpty() ? oldest : Math.min(oldest, pinned.firstKey());
    } finally {
      pinning.unlock();
    }
  }

  private void unpin(long commit) {
    pinning.lock();
    try {
      pinned.computeIfPresent(commit, (number, count) -> count == 1 ? null : count - 1);
    } finally {
      pinning.unlock();
    }
  }

  private static byte @Nullable [] valueAt(@Nullable Version head, long commit) {
    for (Version version = head; version != null; version = version.older) {
      if (version.commit <= commit) {
        return version.value;
      }
    }
    return null;
  }

  private ConcurrentNavigableMap<byte[], Version> table(Table table) {
    var rows = tables.get(table);
    if (rows == null) {
      throw new IllegalStateException("no table " + table);
    }
    return rows;
  }

  private StorageException fail(Fault fault) {
    return switch (fault) {
      case FULL -> new StorageException.Full("the disk is full (injected)", cause("ENOSPC"));
      case FAILED, SYNC_FAILED -> {
        failed = true;
        yield new StorageException.Failed("writing failed (injected)", cause("EIO"));
      }
    };
  }

  private static Throwable cause(String error) {
    return new java.io.IOException(error);
  }

  private void requireWritable() {
    requireOpen();
    if (failed) {
      throw new StorageException.Failed(
          "an earlier write failed: this storage takes no more", cause("EIO"));
    }
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the storage is closed");
    }
  }

  private record Write(Table table, byte[] key, byte @Nullable [] value) {}

  private static final class MemoryBatch implements Batch {
    private final MemoryStorage owner;
    private final List<Write> writes = new ArrayList<>();
    private boolean released;

    MemoryBatch(MemoryStorage owner) {
      this.owner = owner;
    }

    @Override
    public void put(Table table, byte[] key, byte[] value) {
      requireOpen();
      writes.add(new Write(table, key, value));
    }

    @Override
    public void delete(Table table, byte[] key) {
      requireOpen();
      writes.add(new Write(table, key, null));
    }

    @Override
    public int size() {
      return writes.size();
    }

    @Override
    public void close() {
      released = true;
      writes.clear();
    }

    private void requireOpen() {
      if (released) {
        throw new IllegalStateException("the batch is closed");
      }
    }
  }

  private final class MemorySnapshot implements Snapshot {
    private final long commit;
    private boolean released;

    MemorySnapshot(long commit) {
      this.commit = commit;
    }

    @Override
    public byte @Nullable [] get(Table table, byte[] key) {
      requireSnapshotOpen();
      return valueAt(table(table).get(key), commit);
    }

    @Override
    public Cursor scan(Table table, byte[] from, byte @Nullable [] to) {
      return new MemoryCursor(this, range(table, from, to));
    }

    @Override
    public Cursor scanBackwards(Table table, byte[] from, byte @Nullable [] to) {
      return new MemoryCursor(this, range(table, from, to).descendingMap());
    }

    @Override
    public void close() {
      if (!released) {
        released = true;
        unpin(commit);
      }
    }

    private NavigableMap<byte[], Version> range(Table table, byte[] from, byte @Nullable [] to) {
      requireSnapshotOpen();
      var rows = table(table);
      if (to == null) {
        return rows.tailMap(from, true);
      }
      return Arrays.compareUnsigned(from, to) >= 0
          ? rows.subMap(LOWEST, true, LOWEST, false)
          : rows.subMap(from, true, to, false);
    }

    private void requireSnapshotOpen() {
      requireOpen();
      if (released) {
        throw new IllegalStateException("the snapshot is closed");
      }
    }
  }

  private static final class MemoryCursor implements Cursor {
    private final MemorySnapshot snapshot;
    private final Iterator<Map.Entry<byte[], Version>> rows;
    private byte @Nullable [] key;
    private byte @Nullable [] value;
    private boolean released;

    MemoryCursor(MemorySnapshot snapshot, NavigableMap<byte[], Version> rows) {
      this.snapshot = snapshot;
      this.rows = rows.entrySet().iterator();
    }

    @Override
    public boolean next() {
      if (released) {
        throw new IllegalStateException("the cursor is closed");
      }
      snapshot.requireSnapshotOpen();
      while (rows.hasNext()) {
        Map.Entry<byte[], Version> row = rows.next();
        value = valueAt(row.getValue(), snapshot.commit);
        if (value != null) {
          key = row.getKey();
          return true;
        }
      }
      key = null;
      value = null;
      return false;
    }

    @Override
    public byte[] key() {
      return onRow(key);
    }

    @Override
    public byte[] value() {
      return onRow(value);
    }

    @Override
    public void close() {
      released = true;
    }

    private static byte[] onRow(byte @Nullable [] part) {
      if (part == null) {
        throw new IllegalStateException("the cursor is on no row: next() has not returned true");
      }
      return part;
    }
  }
}
