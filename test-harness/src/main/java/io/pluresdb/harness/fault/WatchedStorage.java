package io.pluresdb.harness.fault;

import io.pluresdb.crdt.store.MemoryStorage;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.harness.check.Chains;
import io.pluresdb.harness.check.Written;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * A storage in memory whose writes are watched and can go wrong: a disk that is full, power loss
 * around a commit, and the defects a storage can have.
 */
public final class WatchedStorage implements Storage {
  private static final byte[] RELAXED = "relaxed".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] REPLICA = "replica".getBytes(StandardCharsets.US_ASCII);

  /** Where the power goes. */
  public enum Point {
    BEFORE_COMMIT,
    AFTER_COMMIT
  }

  private final MemoryStorage inner;
  private final Chains chains;
  private final Defect defect;
  private @Nullable Point powerLoss;
  private boolean full;

  /** Whether the mark of unsynced changes was handed in, also where it is lost on the way. */
  private boolean relaxedMarked;

  private @Nullable Place damaged;
  private final Runnable onRefused;

  /**
   * Watches a storage.
   *
   * @param onRefused told of every commit that a full disk refuses
   */
  public WatchedStorage(MemoryStorage inner, Chains chains, Defect defect, Runnable onRefused) {
    this.inner = inner;
    this.chains = chains;
    this.defect = defect;
    this.onRefused = onRefused;
    relaxedMarked = inner.get(Table.META, RELAXED) != null;
  }

  /** Whether the next start gives the actor up, so that the anchor need not go along. */
  public boolean isRelaxedMarked() {
    return relaxedMarked;
  }

  public MemoryStorage inner() {
    return inner;
  }

  public Chains chains() {
    return chains;
  }

  /** The power goes at the next commit. */
  public void losePower(Point point) {
    powerLoss = point;
  }

  /** Whether commits are refused. */
  public void full(boolean now) {
    full = now;
  }

  private record Place(Table table, byte[] key) {
    boolean is(Table other, byte[] otherKey) {
      return table == other && Arrays.equals(key, otherKey);
    }
  }

  /** Changes a bit of some stored row of the log or a document; false when there is none. */
  public boolean flipBit(RandomGenerator random) {
    Table table = random.nextBoolean() ? Table.STATE : Table.LOG;
    var rows = new ArrayList<Write>();
    try (var snapshot = inner.snapshot();
        var cursor = snapshot.scan(table, new byte[0], null)) {
      while (cursor.next()) {
        rows.add(new Write(table, cursor.key(), cursor.value()));
      }
    }
    if (rows.isEmpty()) {
      return false;
    }
    Write row = rows.get(random.nextInt(rows.size()));
    byte[] value = row.value;
    if (defect == Defect.NO_CHECKSUMS && value != null && value.length > 0) {
      byte[] flipped = value.clone();
      flipped[random.nextInt(flipped.length)] ^= (byte) (1 << random.nextInt(8));
      write(List.of(new Write(table, row.key, flipped)), Durability.SYNCED);
    } else {
      damaged = new Place(table, row.key);
    }
    return true;
  }

  /** Whether a stored row fails its checksum. */
  public boolean isDamaged() {
    return damaged != null;
  }

  private void check(Table table, byte[] key) {
    if (damaged != null && damaged.is(table, key)) {
      throw new StorageException.Failed(
          "a stored row fails its checksum (simulated)", new IOException("checksum"));
    }
  }

  private record Write(Table table, byte[] key, byte @Nullable [] value) {}

  private static final class WatchedBatch implements Batch {
    private final List<Write> writes = new ArrayList<>();

    @Override
    public void put(Table table, byte[] key, byte[] value) {
      writes.add(new Write(table, key, value));
    }

    @Override
    public void delete(Table table, byte[] key) {
      writes.add(new Write(table, key, null));
    }

    @Override
    public int size() {
      return writes.size();
    }

    @Override
    public void close() {}
  }

  @Override
  public Batch newBatch() {
    return new WatchedBatch();
  }

  @Override
  public void commit(Batch batch, Durability durability) {
    var writes = ((WatchedBatch) batch).writes;
    Point point = powerLoss;
    powerLoss = null;
    if (point == Point.BEFORE_COMMIT) {
      throw new PowerLoss();
    }
    if (full) {
      onRefused.run();
      if (defect == Defect.SILENT_FULL_DISK) {
        return;
      }
      throw new StorageException.Full("the disk is full (simulated)", new IOException("ENOSPC"));
    }
    var rows = new ArrayList<Written>(writes.size());
    for (Write write : writes) {
      boolean removed = write.table == Table.LOG && write.value == null;
      byte[] before = removed ? inner.get(Table.LOG, write.key) : null;
      if (write.table == Table.META && Arrays.equals(write.key, RELAXED)) {
        relaxedMarked = write.value != null;
      }
      rows.add(new Written(write.table, write.key, write.value, before));
    }
    boolean synced = durability == Durability.SYNCED && defect != Defect.SYNC_IS_A_LIE;
    if (defect == Defect.TORN_BATCH && writes.size() > 1) {
      int half = writes.size() / 2;
      write(writes.subList(0, half), Durability.BUFFERED);
      write(writes.subList(half, writes.size()), synced ? Durability.SYNCED : Durability.BUFFERED);
    } else {
      write(writes, synced ? Durability.SYNCED : Durability.BUFFERED);
    }
    chains.committed(rows);
    if (synced) {
      chains.synced();
    }
    if (point == Point.AFTER_COMMIT) {
      throw new PowerLoss();
    }
  }

  private void write(List<Write> writes, Durability durability) {
    try (Batch out = inner.newBatch()) {
      for (Write write : writes) {
        byte[] value = write.value;
        if (damaged != null && damaged.is(write.table, write.key)) {
          damaged = null;
        }
        if (value == null) {
          out.delete(write.table, write.key);
        } else if (!isForgotten(write)) {
          out.put(write.table, write.key, isClock(write) ? withoutClock(value) : value);
        }
      }
      inner.commit(out, durability);
    }
  }

  private boolean isForgotten(Write write) {
    return defect == Defect.NO_RELAXED_MARK
        && write.table == Table.META
        && Arrays.equals(write.key, RELAXED);
  }

  private boolean isClock(Write write) {
    return defect == Defect.FORGETFUL_CLOCK
        && write.table == Table.META
        && Arrays.equals(write.key, REPLICA);
  }

  /** The clock is the last eight bytes of the row. */
  private static byte[] withoutClock(byte[] value) {
    byte[] forgotten = value.clone();
    Arrays.fill(forgotten, value.length - 8, value.length, (byte) 0);
    return forgotten;
  }

  @Override
  public void sync() {
    if (defect == Defect.SYNC_IS_A_LIE) {
      return;
    }
    inner.sync();
    chains.synced();
  }

  @Override
  public byte @Nullable [] get(Table table, byte[] key) {
    check(table, key);
    return inner.get(table, key);
  }

  @Override
  public Snapshot snapshot() {
    return damaged == null ? inner.snapshot() : new CheckedSnapshot(inner.snapshot());
  }

  /** A snapshot of a disk with a damaged row. */
  private final class CheckedSnapshot implements Snapshot {
    private final Snapshot snapshot;

    CheckedSnapshot(Snapshot snapshot) {
      this.snapshot = snapshot;
    }

    @Override
    public byte @Nullable [] get(Table table, byte[] key) {
      check(table, key);
      return snapshot.get(table, key);
    }

    @Override
    public Cursor scan(Table table, byte[] from, byte @Nullable [] to) {
      return new CheckedCursor(table, snapshot.scan(table, from, to));
    }

    @Override
    public Cursor scanBackwards(Table table, byte[] from, byte @Nullable [] to) {
      return new CheckedCursor(table, snapshot.scanBackwards(table, from, to));
    }

    @Override
    public void close() {
      snapshot.close();
    }
  }

  private final class CheckedCursor implements Cursor {
    private final Table table;
    private final Cursor cursor;

    CheckedCursor(Table table, Cursor cursor) {
      this.table = table;
      this.cursor = cursor;
    }

    @Override
    public boolean next() {
      boolean there = cursor.next();
      if (there) {
        check(table, cursor.key());
      }
      return there;
    }

    @Override
    public byte[] key() {
      return cursor.key();
    }

    @Override
    public byte[] value() {
      return cursor.value();
    }

    @Override
    public void close() {
      cursor.close();
    }
  }

  @Override
  public long bytesOnDisk() {
    return 0;
  }

  @Override
  public void close() {
    inner.close();
  }
}
