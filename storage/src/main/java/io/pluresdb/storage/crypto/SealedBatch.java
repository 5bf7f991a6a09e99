package io.pluresdb.storage.crypto;

import io.pluresdb.crdt.store.Storage.Batch;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.storage.crypto.Bins.Bin;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * Rows on their way to an encrypted storage. Where there is a thread to spare, they are sealed
 * there while more are put; who commits seals what is left.
 */
final class SealedBatch implements Batch {
  /** Rows that are sealed together, or fewer of more bytes. */
  static final int CHUNK_ROWS = 16;

  private static final int CHUNK_BYTES = 8 << 10;

  /** How long a chunk that is being sealed is waited for; then it is sealed again. */
  private static final long MAX_WAIT_NANOS = TimeUnit.MICROSECONDS.toNanos(100);

  /** A row that is put or, with no value, deleted. */
  static final class Write {
    final byte[] key;
    final byte @Nullable [] value;

    /** The bin it is written to; null in a table that is not hidden. */
    @Nullable Bin bin;

    // What is on disk of it.
    private byte[] at;
    private byte @Nullable [] sealed;

    private @Nullable Chunk chunk;
    private int slot;

    private Write(byte[] key, byte @Nullable [] value) {
      this.key = key;
      this.value = value;
      this.at = key;
    }

    private long binId() {
      return bin == null ? 0 : bin.id();
    }

    /** The bin it was in when it was sealed ahead; null where it was not, or not yet. */
    @Nullable Bin foundBin() {
      Sealed ahead = chunk == null ? null : chunk.sealed;
      return ahead == null || ahead.bins.length == 0 ? null : ahead.bins[slot];
    }
  }

  /** Rows of one table that are sealed at once. */
  private static final class Chunk {
    final Table table;
    final List<Write> writes = new ArrayList<>(CHUNK_ROWS);
    private int bytes;
    private volatile @Nullable Sealed sealed;

    Chunk(Table table) {
      this.table = table;
    }

    boolean isFull() {
      return writes.size() >= CHUNK_ROWS || bytes >= CHUNK_BYTES;
    }

    void add(Write write) {
      write.chunk = this;
      write.slot = writes.size();
      writes.add(write);
      bytes += write.value == null ? 0 : write.value.length;
    }
  }

  /**
   * What will be on disk of the rows of a chunk.
   *
   * @param key number of the data key
   * @param bins theirs, as last committed; empty in a table that is not hidden
   * @param places where they stand in those bins
   * @param values null for what is deleted
   */
  private record Sealed(int key, Bin[] bins, byte[][] places, byte[] @Nullable [] values) {}

  private final EncryptedStorage owner;
  private final @Nullable Executor beside;
  private final EnumMap<Table, List<Write>> writes = new EnumMap<>(Table.class);
  private final EnumMap<Table, Chunk> open = new EnumMap<>(Table.class);
  private int size;
  private boolean closed;

  private final ConcurrentLinkedQueue<Chunk> unsealed = new ConcurrentLinkedQueue<>();
  private final AtomicBoolean sealing = new AtomicBoolean();

  /**
   * An empty batch.
   *
   * @param beside where rows are sealed ahead; null for nowhere
   */
  SealedBatch(EncryptedStorage owner, @Nullable Executor beside) {
    this.owner = owner;
    this.beside = beside;
  }

  boolean isOf(EncryptedStorage storage) {
    return owner == storage;
  }

  @Override
  public void put(Table table, byte[] key, byte[] value) {
    add(table, new Write(key, value));
  }

  @Override
  public void delete(Table table, byte[] key) {
    add(table, new Write(key, null));
  }

  private void add(Table table, Write write) {
    requireOpen();
    size++;
    writes.computeIfAbsent(table, any -> new ArrayList<>()).add(write);
    if (beside == null) {
      return;
    }
    Chunk chunk = open.computeIfAbsent(table, Chunk::new);
    chunk.add(write);
    if (chunk.isFull()) {
      open.remove(table);
      unsealed.add(chunk);
      if (sealing.compareAndSet(false, true)) {
        beside.execute(this::sealBeside);
      }
    }
  }

  private void sealBeside() {
    do {
      owner.withSealer(this::sealRest);
      sealing.set(false);
    } while (!unsealed.isEmpty() && sealing.compareAndSet(false, true));
  }

  private void sealRest(Sealer sealer) {
    for (Chunk chunk = unsealed.poll(); chunk != null; chunk = unsealed.poll()) {
      chunk.sealed = seal(chunk, sealer);
    }
  }

  private Sealed seal(Chunk chunk, Sealer sealer) {
    int rows = chunk.writes.size();
    Bins table = owner.bins(chunk.table);
    var bins = new Bin[table == null ? 0 : rows];
    byte[][] places = new byte[bins.length][];
    byte[][] values = new byte[rows][];
    for (int i = 0; i < rows; i++) {
      Write write = chunk.writes.get(i);
      if (table != null) {
        bins[i] = table.of(write.key);
        places[i] = SealedRows.place(sealer, chunk.table, bins[i], write.key);
      }
      if (write.value != null) {
        values[i] = SealedRows.seal(sealer, chunk.table, write.key, write.value);
      }
    }
    return new Sealed(sealer.key(), bins, places, values);
  }

  /** What is put, by table, in order. */
  Map<Table, List<Write>> writes() {
    requireOpen();
    return writes;
  }

  /** Writes the rows to {@code out} as they are on disk; those of hidden tables have their bins. */
  void seal(Sealer sealer, Batch out) {
    sealRest(sealer);
    writes.forEach(
        (table, rows) -> {
          rows.forEach(row -> place(table, row, sealer));
          if (SealedRows.isHidden(table)) {
            for (long turn : byBin(rows)) {
              write(table, rows.get((int) turn), out);
            }
          } else {
            rows.forEach(row -> write(table, row, out));
          }
        });
  }

  private static void write(Table table, Write row, Batch out) {
    if (row.sealed == null) {
      out.delete(table, row.at);
    } else {
      out.put(table, row.at, row.sealed);
    }
  }

  /**
   * The indices of the rows, in the low halves, as they are put: rows of a bin are neighbours on
   * disk and put faster one after another, and so are bins in the order of their ids, of which the
   * first half does; a row put twice keeps its turns.
   */
  private static long[] byBin(List<Write> rows) {
    long[] order = new long[rows.size()];
    for (int i = 0; i < order.length; i++) {
      // As it is compared on disk: unsigned.
      long id = rows.get(i).binId() ^ Long.MIN_VALUE;
      order[i] = id >>> Integer.SIZE << Integer.SIZE | i;
    }
    Arrays.sort(order);
    return order;
  }

  private void place(Table table, Write write, Sealer sealer) {
    Chunk chunk = write.chunk;
    Sealed ahead = chunk == null || !chunk.isFull() ? null : sealed(chunk, sealer);
    if (write.value != null) {
      write.sealed =
          ahead == null
              ? SealedRows.seal(sealer, table, write.key, write.value)
              : ahead.values[write.slot];
    }
    Bin bin = write.bin;
    if (bin != null) {
      write.at =
          ahead != null && ahead.bins[write.slot] == bin
              ? ahead.places[write.slot]
              : SealedRows.place(sealer, table, bin, write.key);
    }
  }

  /** A chunk that was handed over, sealed with the key of {@code sealer}. */
  private Sealed sealed(Chunk chunk, Sealer sealer) {
    Sealed sealed = chunk.sealed;
    for (long begun = System.nanoTime();
        sealed == null && System.nanoTime() - begun < MAX_WAIT_NANOS;
        sealed = chunk.sealed) {
      Thread.onSpinWait();
    }
    if (sealed == null || sealed.key != sealer.key()) {
      // Whoever does it may not be running, or another data key has become the newest since.
      sealed = seal(chunk, sealer);
      chunk.sealed = sealed;
    }
    return sealed;
  }

  @Override
  public int size() {
    requireOpen();
    return size;
  }

  @Override
  public void close() {
    closed = true;
    unsealed.clear();
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the batch is closed");
    }
  }
}
