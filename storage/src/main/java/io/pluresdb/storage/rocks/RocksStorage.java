package io.pluresdb.storage.rocks;

import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.storage.file.DurableFiles;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantLock;
import java.util.concurrent.locks.StampedLock;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.rocksdb.Checkpoint;
import org.rocksdb.ColumnFamilyDescriptor;
import org.rocksdb.ColumnFamilyHandle;
import org.rocksdb.DBOptions;
import org.rocksdb.LiveFileMetaData;
import org.rocksdb.Options;
import org.rocksdb.ReadOptions;
import org.rocksdb.RocksDB;
import org.rocksdb.RocksDBException;
import org.rocksdb.RocksIterator;
import org.rocksdb.Slice;
import org.rocksdb.WriteBatch;
import org.rocksdb.WriteOptions;

/**
 * A storage on RocksDB: one directory, one column family for each table, one write-ahead log.
 *
 * <p>A commit is one native write batch and so one log record: after a crash it is there whole or
 * not at all. A {@link Durability#SYNCED} commit also makes every {@link Durability#BUFFERED} one
 * before it durable, because they share the log. Opening refuses a log that is damaged before its
 * end ({@code STORAGE_WAL_CORRUPT_ENTRY}); a scan that meets a damaged file throws rather than
 * ends. The layout on disk is docs/protocol/disk.md.
 *
 * <p>Any number of threads read while one commits. Native memory is reached under a shared lock or
 * a part's own monitor, so closing while others read gives them an {@link IllegalStateException}
 * and never a crash.
 */
public final class RocksStorage implements Storage {

  /** The version of the layout this code reads and writes. */
  public static final int FORMAT = 1;

  private static final byte[] FORMAT_KEY = ascii("format");

  private final Path directory;
  private final RocksTuning tuning;
  private final RocksDB database;
  private final Map<Table, ColumnFamilyHandle> families = new EnumMap<>(Table.class);
  private final Map<Table, Integer> familyIds = new EnumMap<>(Table.class);
  // A write that RocksDB makes wait holds up the flush that would free it when that flush is the
  // one which recovers from a full disk: both would wait for ever. So we wait ourselves.
  private final WriteOptions synced = new WriteOptions().setSync(true).setNoSlowdown(true);
  private final WriteOptions buffered = new WriteOptions().setSync(false).setNoSlowdown(true);
  private final ReadOptions newest = new ReadOptions();

  private final WriteStall stall;

  /** Held shared while native memory is reached, exclusively to close it. */
  private final StampedLock lifetime = new StampedLock();

  /** One commit at a time. */
  private final ReentrantLock writing = new ReentrantLock();

  /** Snapshots and cursors whose native memory must go before the database's. */
  private final Set<Part> open = ConcurrentHashMap.newKeySet();

  private final AtomicReference<@Nullable BatchEncoder> spare = new AtomicReference<>();
  private volatile StorageException.@Nullable Failed failure;
  private volatile boolean closed;

  /** Native memory with a life shorter than the database's. */
  private interface Part {
    void release();
  }

  private RocksStorage(
      Path directory, RocksTuning tuning, RocksDB database, List<ColumnFamilyHandle> handles) {
    this.directory = directory;
    this.tuning = tuning;
    this.database = database;
    this.stall = new WriteStall(directory, database, tuning.flushBytes(), () -> closed);
    Table[] tables = Table.values();
    for (int i = 0; i < tables.length; i++) {
      ColumnFamilyHandle family = handles.get(1 + i);
      families.put(tables[i], family);
      familyIds.put(tables[i], family.getID());
    }
  }

  /**
   * Opens the database in {@code directory}, or creates an empty one there.
   *
   * @throws StorageException.OpenFailed with {@code STORAGE_LOCKED} when it is open elsewhere,
   *     {@code STORAGE_NEWER_FORMAT} when a newer version wrote it, {@code
   *     STORAGE_WAL_CORRUPT_ENTRY} when acknowledged commits would be lost, {@code
   *     STORAGE_OPEN_FAILED} otherwise; the files stay as they are
   * @throws StorageException.Full when the disk has no room to open it
   */
  public static RocksStorage open(Path directory, RocksOptions options) {
    NativeLibrary.load(options.nativeDirectory());
    try {
      DurableFiles.makeFolders(directory);
    } catch (IOException cause) {
      throw new StorageException.OpenFailed(
          "STORAGE_OPEN_FAILED", directory + " cannot be created", cause);
    }
    RocksTuning tuning = new RocksTuning(options);
    RocksDB database = null;
    RocksStorage storage = null;
    try {
      if (Files.exists(directory.resolve("CURRENT"))) {
        refuseUnknownFamilies(directory);
        if (options.walRecovery() == RocksOptions.WalRecovery.REFUSE_DAMAGE) {
          refuseDamagedLog(directory);
        }
      } else {
        refuseRemains(directory);
      }
      List<ColumnFamilyDescriptor> descriptors = new ArrayList<>();
      descriptors.add(
          new ColumnFamilyDescriptor(RocksDB.DEFAULT_COLUMN_FAMILY, tuning.defaultFamily()));
      for (Table table : Table.values()) {
        descriptors.add(new ColumnFamilyDescriptor(ascii(table.name()), tuning.family(table)));
      }
      List<ColumnFamilyHandle> handles = new ArrayList<>();
      DBOptions settings = tuning.database();
      database = RocksDB.open(settings, directory.toString(), descriptors, handles);
      storage = new RocksStorage(directory, tuning, database, handles);
      storage.checkFormat();
      return storage;
    } catch (RocksDBException cause) {
      closeAfterFailure(storage, database, tuning);
      throw RocksErrors.onOpen(directory, cause);
    } catch (RuntimeException cause) {
      closeAfterFailure(storage, database, tuning);
      throw cause;
    }
  }

  @Override
  public Batch newBatch() {
    requireOpen();
    BatchEncoder encoder = spare.getAndSet(null);
    return new RocksBatch(this, encoder == null ? new BatchEncoder() : encoder);
  }

  @Override
  public void commit(Batch batch, Durability durability) {
    if (!(batch instanceof RocksBatch mine) || mine.owner != this) {
      throw new IllegalArgumentException("the batch was made by another storage");
    }
    BatchEncoder writes = mine.writes();
    if (writes.count() == 0 && durability == Durability.BUFFERED) {
      requireOpen();
      return;
    }
    byte[] bytes = writes.toByteArray();
    write(
        () -> {
          try (WriteBatch whole = new WriteBatch(bytes)) {
            database.write(durability == Durability.SYNCED ? synced : buffered, whole);
          }
        });
  }

  @Override
  public void sync() {
    // Beside a commit, which would otherwise wait for the disk.
    long stamp = lifetime.readLock();
    try {
      requireWritable();
      database.syncWal();
    } catch (RocksDBException cause) {
      throw remembered(cause);
    } finally {
      lifetime.unlockRead(stamp);
    }
  }

  @Override
  public byte @Nullable [] get(Table table, byte[] key) {
    long stamp = lifetime.readLock();
    try {
      requireOpen();
      return database.get(family(table), newest, key);
    } catch (RocksDBException cause) {
      throw RocksErrors.onRead(cause);
    } finally {
      lifetime.unlockRead(stamp);
    }
  }

  @Override
  public Snapshot snapshot() {
    long stamp = lifetime.readLock();
    try {
      requireOpen();
      RocksSnapshot snapshot = new RocksSnapshot(database.getSnapshot());
      open.add(snapshot);
      return snapshot;
    } finally {
      lifetime.unlockRead(stamp);
    }
  }

  @Override
  public long bytesOnDisk() {
    requireOpen();
    try (Stream<Path> files = Files.list(directory)) {
      return files.mapToLong(RocksStorage::sizeOrZero).sum();
    } catch (IOException cause) {
      throw new UncheckedIOException(cause);
    }
  }

  /**
   * Writes a consistent copy of the newest commit to {@code target}, which must not exist; files
   * are hard-linked where the file system allows, so it costs little on the same disk.
   *
   * @throws StorageException.Full when there is no room
   * @throws StorageException.Failed when the copy could not be written; this storage goes on
   */
  public void checkpoint(Path target) {
    long stamp = lifetime.readLock();
    try {
      requireOpen();
      stall.awaitEnd();
      try (Checkpoint checkpoint = Checkpoint.create(database)) {
        checkpoint.createCheckpoint(target.toString());
      }
    } catch (RocksDBException cause) {
      throw RocksErrors.onWrite(cause);
    } finally {
      lifetime.unlockRead(stamp);
    }
  }

  /**
   * Reads every table file and checks every block.
   *
   * @throws StorageException.Failed naming the file that is damaged or missing
   */
  public void verifyChecksums() {
    long stamp = lifetime.readLock();
    try {
      requireOpen();
      for (LiveFileMetaData file : database.getLiveFilesMetaData()) {
        // One that is gone can still be read while it is open.
        Path path = directory.resolve(file.fileName().substring(1));
        long bytes = sizeOrZero(path);
        if (bytes != file.size() && isLive(file)) {
          throw new StorageException.Failed(
              path
                  + (bytes == 0
                      ? " is missing"
                      : " has " + bytes + " bytes instead of " + file.size()),
              new NoSuchFileException(path.toString()));
        }
      }
      database.verifyChecksum();
    } catch (RocksDBException cause) {
      throw RocksErrors.onRead(cause);
    } finally {
      lifetime.unlockRead(stamp);
    }
  }

  private boolean isLive(LiveFileMetaData file) {
    return database.getLiveFilesMetaData().stream()
        .anyMatch(live -> live.fileName().equals(file.fileName()));
  }

  /** What the write-ahead log on disk holds; what is just being written may look truncated. */
  public WriteAheadLog.Report inspectLog() {
    requireOpen();
    return WriteAheadLog.inspect(directory);
  }

  /**
   * The greatest key of a table that lies behind the damage of a log, null when none does.
   *
   * @param report of the damaged log, of which this storage holds the prefix
   */
  public byte @Nullable [] greatestKeyBehind(WriteAheadLog.Report report, Table table) {
    return report.greatestKeys().get(familyId(table));
  }

  /**
   * What failed last while files were written and merged in the background, and was not overcome
   * since; null for nothing.
   */
  public @Nullable String backgroundFailure() {
    return tuning.backgroundErrors().newest();
  }

  /** Number of rows of a table, roughly. */
  public long estimatedRows(Table table) {
    long stamp = lifetime.readLock();
    try {
      requireOpen();
      return database.getLongProperty(family(table), "rocksdb.estimate-num-keys");
    } catch (RocksDBException cause) {
      throw RocksErrors.onRead(cause);
    } finally {
      lifetime.unlockRead(stamp);
    }
  }

  /** Rewrites every table without what was deleted or overwritten; readers and writers go on. */
  public void compact() {
    long stamp = lifetime.readLock();
    try {
      requireOpen();
      for (ColumnFamilyHandle family : families.values()) {
        stall.awaitEnd();
        database.compactRange(family);
      }
      // The format row too: while it is in no table file, the log from its first file on is kept.
      database.compactRange();
    } catch (RocksDBException cause) {
      throw RocksErrors.onWrite(cause);
    } finally {
      lifetime.unlockRead(stamp);
    }
  }

  @Override
  public void close() {
    closed = true;
    writing.lock();
    long stamp = lifetime.writeLock();
    try {
      if (!database.isOwningHandle()) {
        return;
      }
      open.forEach(Part::release);
      open.clear();
      families.values().forEach(ColumnFamilyHandle::close);
      synced.close();
      buffered.close();
      newest.close();
      database.close();
      tuning.close();
    } finally {
      lifetime.unlockWrite(stamp);
      writing.unlock();
    }
  }

  private interface Write {
    void run() throws RocksDBException;
  }

  private void write(Write write) {
    writing.lock();
    try {
      requireWritable();
      runWhenNotStalled(write);
    } catch (RocksDBException cause) {
      throw remembered(cause);
    } finally {
      writing.unlock();
    }
  }

  private void requireWritable() {
    requireOpen();
    StorageException.Failed earlier = failure;
    if (earlier != null) {
      throw new StorageException.Failed(
          "an earlier write failed: this storage takes no more", earlier);
    }
  }

  /** What came of a write, which ends all others unless it only lacked room. */
  private StorageException remembered(RocksDBException cause) {
    StorageException error = RocksErrors.onWrite(cause);
    if (error instanceof StorageException.Failed sticky) {
      failure = sticky;
    }
    return error;
  }

  private void runWhenNotStalled(Write write) throws RocksDBException {
    while (true) {
      try {
        write.run();
        return;
      } catch (RocksDBException cause) {
        if (!RocksErrors.isStalled(cause)) {
          throw cause;
        }
        stall.awaitEnd();
      }
    }
  }

  /** Refuses a newer format; marks an empty database with ours. */
  private void checkFormat() throws RocksDBException {
    byte[] row = database.get(FORMAT_KEY);
    if (row == null) {
      for (ColumnFamilyHandle family : families.values()) {
        try (RocksIterator rows = database.newIterator(family)) {
          rows.seekToFirst();
          rows.status();
          if (rows.isValid()) {
            throw new StorageException.OpenFailed(
                "STORAGE_OPEN_FAILED",
                directory + " holds rows but no format version: it is not a PluresDB database",
                new IllegalStateException("no format row"));
          }
        }
      }
      database.put(synced, FORMAT_KEY, ByteBuffer.allocate(Integer.BYTES).putInt(FORMAT).array());
      return;
    }
    int format = row.length == Integer.BYTES ? ByteBuffer.wrap(row).getInt() : -1;
    if (format != FORMAT) {
      throw RocksErrors.newer(
          "%s has storage format %d, this version reads up to %d: use a newer PluresDB"
              .formatted(directory, format, FORMAT),
          new IllegalStateException("format " + format));
    }
  }

  /** RocksDB takes some damage for the end of the log, and would drop what is behind it. */
  private static void refuseDamagedLog(Path directory) {
    WriteAheadLog.Damage damage = WriteAheadLog.inspect(directory).damage();
    if (damage != null && damage.isHarmful()) {
      throw RocksErrors.damagedLog(
          directory, damage.kind().code(), damage.toString(), new IOException("damaged"));
    }
  }

  /** Without this file RocksDB would make a new database over what is left of the old one. */
  private static void refuseRemains(Path directory) {
    try (Stream<Path> files = Files.list(directory)) {
      List<String> remains =
          files
              .filter(file -> sizeOrZero(file) > 0)
              .map(file -> String.valueOf(file.getFileName()))
              .filter(name -> name.endsWith(".sst") || name.matches("\\d+\\.log"))
              .sorted()
              .toList();
      if (!remains.isEmpty()) {
        throw new StorageException.OpenFailed(
            "STORAGE_OPEN_FAILED",
            directory + " holds " + remains.getFirst() + " but the file CURRENT is missing",
            new NoSuchFileException("CURRENT"));
      }
    } catch (IOException cause) {
      throw new StorageException.OpenFailed(
          "STORAGE_OPEN_FAILED", directory + " cannot be read: " + cause, cause);
    }
  }

  private static void refuseUnknownFamilies(Path directory) throws RocksDBException {
    Set<String> unknown = new TreeSet<>();
    try (Options plain = new Options()) {
      for (byte[] name : RocksDB.listColumnFamilies(plain, directory.toString())) {
        unknown.add(new String(name, StandardCharsets.UTF_8));
      }
    }
    unknown.remove(new String(RocksDB.DEFAULT_COLUMN_FAMILY, StandardCharsets.UTF_8));
    for (Table table : Table.values()) {
      unknown.remove(table.name());
    }
    if (!unknown.isEmpty()) {
      throw RocksErrors.newer(
          "%s has tables that storage format %d does not know, %s: use a newer PluresDB"
              .formatted(directory, FORMAT, unknown),
          new IllegalStateException("unknown tables " + unknown));
    }
  }

  private static void closeAfterFailure(
      @Nullable RocksStorage storage, @Nullable RocksDB database, RocksTuning tuning) {
    if (storage != null) {
      storage.close();
    } else if (database != null) {
      database.close();
      tuning.close();
    } else {
      tuning.close();
    }
  }

  private ColumnFamilyHandle family(Table table) {
    ColumnFamilyHandle family = families.get(table);
    if (family == null) {
      throw new IllegalStateException("no table " + table);
    }
    return family;
  }

  private int familyId(Table table) {
    Integer id = familyIds.get(table);
    if (id == null) {
      throw new IllegalStateException("no table " + table);
    }
    return id;
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the storage is closed");
    }
  }

  private static long sizeOrZero(Path file) {
    try {
      return Files.size(file);
    } catch (NoSuchFileException compacted) {
      return 0;
    } catch (IOException cause) {
      throw new UncheckedIOException(cause);
    }
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }

  private static final class RocksBatch implements Batch {
    private final RocksStorage owner;

    private @Nullable BatchEncoder writes;

    RocksBatch(RocksStorage owner, BatchEncoder writes) {
      this.owner = owner;
      this.writes = writes;
    }

    @Override
    public void put(Table table, byte[] key, byte[] value) {
      writes().put(owner.familyId(table), key, value);
    }

    @Override
    public void delete(Table table, byte[] key) {
      writes().delete(owner.familyId(table), key);
    }

    @Override
    public int size() {
      return writes().count();
    }

    @Override
    public void close() {
      BatchEncoder encoder = writes;
      if (encoder != null) {
        writes = null;
        encoder.clear();
        owner.spare.set(encoder);
      }
    }

    BatchEncoder writes() {
      BatchEncoder encoder = writes;
      if (encoder == null) {
        throw new IllegalStateException("the batch is closed");
      }
      return encoder;
    }
  }

  private final class RocksSnapshot implements Snapshot, Part {
    private final ReadOptions options;
    private final org.rocksdb.Snapshot fixed;
    private boolean released;

    RocksSnapshot(org.rocksdb.Snapshot fixed) {
      this.fixed = fixed;
      this.options = new ReadOptions().setSnapshot(fixed);
    }

    @Override
    public synchronized byte @Nullable [] get(Table table, byte[] key) {
      requireSnapshotOpen();
      try {
        return database.get(family(table), options, key);
      } catch (RocksDBException cause) {
        throw RocksErrors.onRead(cause);
      }
    }

    @Override
    public Cursor scan(Table table, byte[] from, byte @Nullable [] to) {
      return cursor(table, from, to, false);
    }

    @Override
    public Cursor scanBackwards(Table table, byte[] from, byte @Nullable [] to) {
      return cursor(table, from, to, true);
    }

    @Override
    public void close() {
      long stamp = lifetime.readLock();
      try {
        release();
        open.remove(this);
      } finally {
        lifetime.unlockRead(stamp);
      }
    }

    @Override
    public synchronized void release() {
      if (!released) {
        released = true;
        options.close();
        database.releaseSnapshot(fixed);
        fixed.close();
      }
    }

    private Cursor cursor(Table table, byte[] from, byte @Nullable [] to, boolean backwards) {
      long stamp = lifetime.readLock();
      try {
        synchronized (this) {
          requireSnapshotOpen();
          boolean empty = to != null && Arrays.compareUnsigned(from, to) >= 0;
          RocksCursor cursor = new RocksCursor(family(table), fixed, from, to, backwards, empty);
          open.add(cursor);
          return cursor;
        }
      } finally {
        lifetime.unlockRead(stamp);
      }
    }

    private void requireSnapshotOpen() {
      requireOpen();
      if (released) {
        throw new IllegalStateException("the snapshot is closed");
      }
    }
  }

  private final class RocksCursor implements Cursor, Part {
    private final ReadOptions options;
    private final Slice lower;
    private final @Nullable Slice upper;
    private final RocksIterator rows;
    private final boolean backwards;
    private State state;
    private boolean released;

    private enum State {
      UNPOSITIONED,
      ON_ROW,
      AT_END
    }

    RocksCursor(
        ColumnFamilyHandle family,
        org.rocksdb.Snapshot fixed,
        byte[] from,
        byte @Nullable [] to,
        boolean backwards,
        boolean empty) {
      this.lower = new Slice(from);
      this.upper = to == null ? null : new Slice(to);
      this.options = new ReadOptions().setSnapshot(fixed).setIterateLowerBound(lower);
      if (upper != null) {
        options.setIterateUpperBound(upper);
      }
      this.rows = database.newIterator(family, options);
      this.backwards = backwards;
      this.state = empty ? State.AT_END : State.UNPOSITIONED;
    }

    @Override
    public synchronized boolean next() {
      requireCursorOpen();
      switch (state) {
        case UNPOSITIONED -> {
          if (backwards) {
            rows.seekToLast();
          } else {
            rows.seekToFirst();
          }
        }
        case ON_ROW -> {
          if (backwards) {
            rows.prev();
          } else {
            rows.next();
          }
        }
        case AT_END -> {
          return false;
        }
      }
      if (rows.isValid()) {
        state = State.ON_ROW;
        return true;
      }
      state = State.AT_END;
      try {
        rows.status(); // without it a damaged file looks like the end
        return false;
      } catch (RocksDBException cause) {
        throw RocksErrors.onRead(cause);
      }
    }

    @Override
    public synchronized byte[] key() {
      requireRow();
      return rows.key();
    }

    @Override
    public synchronized byte[] value() {
      requireRow();
      return rows.value();
    }

    @Override
    public void close() {
      long stamp = lifetime.readLock();
      try {
        release();
        open.remove(this);
      } finally {
        lifetime.unlockRead(stamp);
      }
    }

    @Override
    public synchronized void release() {
      if (!released) {
        released = true;
        rows.close();
        options.close();
        lower.close();
        if (upper != null) {
          upper.close();
        }
      }
    }

    private void requireRow() {
      requireCursorOpen();
      if (state != State.ON_ROW) {
        throw new IllegalStateException("the cursor is on no row: next() has not returned true");
      }
    }

    private void requireCursorOpen() {
      requireOpen();
      if (released) {
        throw new IllegalStateException("the cursor is closed");
      }
    }
  }
}
