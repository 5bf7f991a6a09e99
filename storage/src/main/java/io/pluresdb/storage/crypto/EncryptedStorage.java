package io.pluresdb.storage.crypto;

import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.storage.crypto.Bins.Bin;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.random.RandomGenerator;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A storage that seals what it hands to another one, so that nothing of the documents can be read
 * there: neither values nor the ids in keys.
 *
 * <p>Every value is sealed. In tables whose keys hold ids or words, a row is found by a keyed hash
 * of its key within a bin: up to some 128 neighbouring keys, in no order that the disk shows. A
 * scan reads whole bins and sorts each in memory. The layout is docs/protocol/disk.md, the reasons
 * and what still shows are docs/design/encryption.md.
 */
public final class EncryptedStorage implements Storage {
  /** A row of a hidden table that holds more is read again when it is asked for. */
  static final int LARGE_VALUE_BYTES = 32 << 10;

  /** A bin is cut when it would hold more rows. */
  static final int MAX_BIN_ROWS = 128;

  /** Rows of each part when a bin is cut. */
  static final int CUT_ROWS = 64;

  /** Writes to a full bin before its rows are counted again. */
  private static final int MIN_ALLOWANCE = 48;

  private static final int LAYOUT = 1;
  private static final int SALT_BYTES = 32;
  private static final int MAX_IDLE_SEALERS = 16;

  private static final byte[] HEADER_KEY = {0};
  private static final byte BIN_ROW = 1;
  private static final byte[] VERSION_KEY = {2};
  private static final byte DATA_ROW = 3;
  private static final byte[] NOTHING = {};

  private final Storage inner;
  private final SealingKeys keys;
  private final RandomGenerator random;
  private final Map<Table, HiddenTable> hidden = new EnumMap<>(Table.class);
  private final ConcurrentLinkedDeque<Sealer> idle = new ConcurrentLinkedDeque<>();

  /**
   * One commit at a time: the replica's, those of rows of INDEX, and those that seal anew. In turn,
   * so that the last do not hold up the first.
   */
  private final ReentrantLock committing = new ReentrantLock(true);

  private volatile boolean closed;

  /** The bins of a table as committed, and as they will be after the commit that is under way. */
  private static final class View {
    final Bins current;
    final @Nullable Bins next;

    View(Bins current, @Nullable Bins next) {
      this.current = current;
      this.next = next;
    }
  }

  /** A table whose keys do not show. */
  private static final class HiddenTable {
    final Table table;
    volatile View view;

    /** Writes before the rows of a bin must be counted, by its id; guarded by committing. */
    final Map<Long, int[]> allowance = new HashMap<>();

    /** Guarded by committing. */
    final KnownBins known = new KnownBins(KnownBins.PROCESS);

    HiddenTable(Table table, Bins bins) {
      this.table = table;
      this.view = new View(bins, null);
    }
  }

  private static final class Write {
    final Table table;
    final byte[] key;
    final byte @Nullable [] value;

    /** The bin of a hidden row when the commit began, by its index. */
    int index;

    /** The bin it is written to. */
    @Nullable Bin bin;

    Write(Table table, byte[] key, byte @Nullable [] value) {
      this.table = table;
      this.key = key;
      this.value = value;
    }
  }

  /** A row of a bin, opened; null instead of a value that is large. */
  private record Row(byte[] key, byte @Nullable [] value, byte[] at) {}

  private EncryptedStorage(Storage inner, SealingKeys keys, RandomGenerator random) {
    this.inner = inner;
    this.keys = keys;
    this.random = random;
  }

  /** Whether rows of a table are hidden by name too, not only sealed. */
  static boolean isHidden(Table table) {
    return switch (table) {
      case STATE, BUCKET, SEQUENCE, STAND, SNAPSHOT, BASE, INDEX -> true;
      case META, LOG, ARRIVAL, FRONTIER, MEMBERS, FLOOR, VOID -> false;
    };
  }

  /** What stands for a table in what is authenticated; part of the format. */
  private static byte number(Table table) {
    return switch (table) {
      case META -> 1;
      case LOG -> 2;
      case STATE -> 3;
      case ARRIVAL -> 4;
      case FRONTIER -> 5;
      case MEMBERS -> 6;
      case BUCKET -> 7;
      case SEQUENCE -> 8;
      case FLOOR -> 9;
      case STAND -> 10;
      case SNAPSHOT -> 11;
      case VOID -> 12;
      case INDEX -> 13;
      case BASE -> 14;
    };
  }

  /** Whether a storage holds the rows of an encrypted one. */
  public static boolean isEncrypted(Storage storage) {
    byte[] header = storage.get(Table.STATE, HEADER_KEY);
    // A plain document may have the header's key as its id; no plain stand has this one.
    return header != null
        && header.length > 1 + SALT_BYTES
        && storage.get(Table.STAND, VERSION_KEY) != null;
  }

  /**
   * Opens the encrypted storage in {@code inner}, which it closes, or makes one in an empty
   * storage.
   *
   * @param random cryptographically strong; draws nonces, salts and ids of bins
   * @throws StorageException.OpenFailed {@code STORAGE_NOT_ENCRYPTED} when there are plain rows,
   *     {@code STORAGE_WRONG_KEY} when it was made with another data key, {@code
   *     STORAGE_NEWER_FORMAT}; {@code inner} stays open then
   */
  public static EncryptedStorage open(Storage inner, Keyring keyring, RandomGenerator random) {
    byte[] header = inner.get(Table.STATE, HEADER_KEY);
    return header == null ? create(inner, keyring, random) : load(inner, header, keyring, random);
  }

  private static EncryptedStorage create(Storage inner, Keyring keyring, RandomGenerator random) {
    try (var snapshot = inner.snapshot()) {
      for (Table table : Table.values()) {
        try (var rows = snapshot.scan(table, NOTHING, null)) {
          if (rows.next()) {
            throw openFailed("STORAGE_NOT_ENCRYPTED", "the database is not encrypted", "plain");
          }
        }
      }
    }
    byte[] salt = new byte[SALT_BYTES];
    random.nextBytes(salt);
    var storage = new EncryptedStorage(inner, new SealingKeys(keyring, salt), random);
    try (Batch batch = inner.newBatch();
        Sealer sealer = new Sealer(storage.keys)) {
      sealer.begin(random);
      for (Table table : Table.values()) {
        if (isHidden(table)) {
          var first = new Bins(1, List.of(new Bin(NOTHING, random.nextLong(), sealer.key())));
          storage.hidden.put(table, new HiddenTable(table, first));
          writeBin(batch, sealer, table, first.bin(0));
          writeVersion(batch, sealer, table, first.version());
        }
      }
      byte[] proof = sealer.seal(salt, NOTHING, NOTHING);
      batch.put(
          Table.STATE,
          HEADER_KEY,
          ByteBuffer.allocate(1 + SALT_BYTES + proof.length)
              .put((byte) LAYOUT)
              .put(salt)
              .put(proof)
              .array());
      inner.commit(batch, Durability.SYNCED);
    }
    return storage;
  }

  private static EncryptedStorage load(
      Storage inner, byte[] header, Keyring keyring, RandomGenerator random) {
    if (header[0] != LAYOUT) {
      throw openFailed(
          "STORAGE_NEWER_FORMAT",
          "the database has encryption layout "
              + header[0]
              + ", but this version reads "
              + LAYOUT
              + ": install a newer PluresDB",
          "layout");
    }
    if (header.length <= 1 + SALT_BYTES) {
      throw openFailed("STORAGE_OPEN_FAILED", "the header of encryption is too short", "header");
    }
    byte[] salt = Arrays.copyOfRange(header, 1, 1 + SALT_BYTES);
    byte[] proof = Arrays.copyOfRange(header, 1 + SALT_BYTES, header.length);
    var storage = new EncryptedStorage(inner, new SealingKeys(keyring, salt), random);
    try (Sealer sealer = new Sealer(storage.keys)) {
      sealer.open(salt, proof);
      try (var snapshot = inner.snapshot()) {
        for (Table table : Table.values()) {
          if (isHidden(table)) {
            storage.hidden.put(table, new HiddenTable(table, readBins(snapshot, sealer, table)));
          }
        }
      }
    } catch (SealException e) {
      throw openFailed(
          "STORAGE_WRONG_KEY",
          "the database was not encrypted with this key: " + e.getMessage(),
          "key");
    }
    return storage;
  }

  private static StorageException.OpenFailed openFailed(String code, String message, String what) {
    return new StorageException.OpenFailed(code, message, new IOException(what));
  }

  private static Bins readBins(Snapshot snapshot, Sealer sealer, Table table) throws SealException {
    byte[] row = snapshot.get(table, VERSION_KEY);
    if (row == null) {
      throw new SealException("the bins of " + table + " are missing");
    }
    long version = ByteBuffer.wrap(sealer.open(context(table, VERSION_KEY), row)).getLong();
    var bins = new ArrayList<Bin>();
    try (var rows = snapshot.scan(table, new byte[] {BIN_ROW}, VERSION_KEY)) {
      while (rows.next()) {
        byte[] opened = sealer.open(context(table, rows.key()), rows.value());
        bins.add(
            new Bin(
                Arrays.copyOfRange(opened, Integer.BYTES, opened.length),
                ByteBuffer.wrap(rows.key(), 1, Long.BYTES).getLong(),
                ByteBuffer.wrap(opened).getInt()));
      }
    }
    bins.sort((a, b) -> Arrays.compareUnsigned(a.start(), b.start()));
    if (bins.isEmpty() || bins.getFirst().start().length > 0) {
      throw new SealException("the first bin of " + table + " is missing");
    }
    return new Bins(version, bins);
  }

  private static void writeBin(Batch batch, Sealer sealer, Table table, Bin bin) {
    byte[] key = key(BIN_ROW, bin.id(), NOTHING);
    byte[] number = ByteBuffer.allocate(Integer.BYTES).putInt(bin.key()).array();
    batch.put(table, key, sealer.seal(context(table, key), number, bin.start()));
  }

  private static void writeVersion(Batch batch, Sealer sealer, Table table, long version) {
    byte[] number = ByteBuffer.allocate(Long.BYTES).putLong(version).array();
    batch.put(table, VERSION_KEY, sealer.seal(context(table, VERSION_KEY), NOTHING, number));
  }

  private static byte[] key(byte kind, long bin, byte[] name) {
    return ByteBuffer.allocate(1 + Long.BYTES + name.length)
        .put(kind)
        .putLong(bin)
        .put(name)
        .array();
  }

  /** What ties a value to its place; a row of a hidden table has its key inside. */
  private static byte[] context(Table table, byte[] key) {
    byte[] context = new byte[1 + key.length];
    context[0] = number(table);
    System.arraycopy(key, 0, context, 1, key.length);
    return context;
  }

  private static byte[] rowContext(Table table) {
    return new byte[] {number(table), DATA_ROW};
  }

  private static byte[] place(Sealer sealer, Table table, Bin bin, byte[] key) {
    try {
      return key(DATA_ROW, bin.id(), sealer.hide(bin.key(), number(table), key));
    } catch (SealException e) {
      throw damaged(table, e);
    }
  }

  private static byte[] keyHead(byte[] key) {
    return ByteBuffer.allocate(Integer.BYTES + key.length).putInt(key.length).put(key).array();
  }

  private static StorageException.Failed damaged(Table table, Exception cause) {
    return new StorageException.Failed(
        "a row of " + table + " is not as it was written: " + cause.getMessage(), cause);
  }

  private static Row row(Sealer sealer, Table table, byte[] at, byte[] sealed) {
    try {
      byte[] opened = sealer.open(rowContext(table), sealed);
      int length = opened.length < Integer.BYTES ? -1 : ByteBuffer.wrap(opened).getInt();
      if (length < 0 || length > opened.length - Integer.BYTES) {
        throw new SealException("its key is cut off");
      }
      int from = Integer.BYTES + length;
      return new Row(
          Arrays.copyOfRange(opened, Integer.BYTES, from),
          Arrays.copyOfRange(opened, from, opened.length),
          at);
    } catch (SealException e) {
      throw damaged(table, e);
    }
  }

  private static byte[] value(Sealer sealer, Table table, byte[] key, byte[] sealed) {
    Row row = row(sealer, table, key, sealed);
    byte[] value = row.value();
    if (value == null || !Arrays.equals(row.key(), key)) {
      throw damaged(table, new SealException("another row is in its place"));
    }
    return value;
  }

  private byte[] opened(Table table, byte[] key, byte[] sealed) {
    Sealer sealer = borrow();
    try {
      return isHidden(table)
          ? value(sealer, table, key, sealed)
          : sealer.open(context(table, key), sealed);
    } catch (SealException e) {
      throw damaged(table, e);
    } finally {
      giveBack(sealer);
    }
  }

  private Sealer borrow() {
    Sealer sealer = idle.pollFirst();
    return sealer == null ? new Sealer(keys) : sealer;
  }

  private void giveBack(Sealer sealer) {
    if (closed || idle.size() >= MAX_IDLE_SEALERS) {
      sealer.close();
    } else {
      idle.addFirst(sealer);
    }
  }

  private HiddenTable hidden(Table table) {
    HiddenTable known = hidden.get(table);
    if (known == null) {
      throw new IllegalStateException(table + " is not hidden");
    }
    return known;
  }

  @Override
  public Batch newBatch() {
    inner.newBatch().close(); // says so when it is closed
    return new SealedBatch(this);
  }

  @Override
  public void commit(Batch batch, Durability durability) {
    if (!(batch instanceof SealedBatch mine) || mine.owner != this) {
      throw new IllegalArgumentException("the batch was made by another storage");
    }
    List<Write> writes = mine.writes();
    committing.lock();
    Sealer sealer = borrow();
    boolean done = false;
    try (Batch out = inner.newBatch()) {
      sealer.begin(random);
      var changed = new EnumMap<Table, Bins>(Table.class);
      for (Table table : hidden.keySet()) {
        Bins next = makeRoom(hidden(table), writes, sealer, out);
        if (next != null) {
          changed.put(table, next);
        }
      }
      for (Write write : writes) {
        encode(write, sealer, out);
      }
      commit(out, durability, changed);
      done = true;
    } finally {
      if (!done) {
        hidden.values().forEach(table -> table.known.clear());
      }
      giveBack(sealer);
      committing.unlock();
    }
  }

  /** Commits, and shows other bins to readers as one with the rows in them. */
  private void commit(Batch out, Durability durability, Map<Table, Bins> changed) {
    changed.forEach(
        (table, next) -> hidden(table).view = new View(hidden(table).view.current, next));
    boolean done = false;
    try {
      inner.commit(out, durability);
      done = true;
    } finally {
      for (var change : changed.entrySet()) {
        HiddenTable table = hidden(change.getKey());
        table.view = new View(done ? change.getValue() : table.view.current, null);
      }
    }
  }

  private void encode(Write write, Sealer sealer, Batch out) {
    Table table = write.table;
    byte[] value = write.value;
    byte[] at = write.key;
    Bin bin = write.bin;
    if (bin != null) {
      at = place(sealer, table, bin, write.key);
      hidden(table).known.written(bin.id(), write.key, value != null);
    }
    if (value == null) {
      out.delete(table, at);
    } else if (bin != null) {
      out.put(table, at, sealer.seal(rowContext(table), keyHead(write.key), value));
    } else {
      out.put(table, at, sealer.seal(context(table, at), NOTHING, value));
    }
  }

  /**
   * Tells the writes to a table their bins, and cuts those that they would overfill; the bins
   * afterwards, or null for as before.
   */
  private @Nullable Bins makeRoom(HiddenTable table, List<Write> writes, Sealer sealer, Batch out) {
    Bins bins = table.view.current;
    var full = new TreeMap<Integer, List<byte[]>>();
    for (Write write : writes) {
      if (write.table == table.table) {
        write.index = bins.find(write.key);
        write.bin = bins.bin(write.index);
        if (write.value != null) {
          int[] left = table.allowance.computeIfAbsent(write.bin.id(), id -> new int[] {0});
          if (--left[0] < 0) {
            full.putIfAbsent(write.index, new ArrayList<>());
          }
        }
      }
    }
    if (full.isEmpty()) {
      return null;
    }
    for (Write write : writes) {
      if (write.table == table.table && write.value != null) {
        List<byte[]> coming = full.get(write.index);
        if (coming != null) {
          coming.add(write.key);
        }
      }
    }
    var cut = new TreeMap<Integer, List<Bin>>();
    try (var snapshot = inner.snapshot()) {
      for (var bin : full.entrySet()) {
        List<Bin> parts = cut(table, bins, bin.getKey(), bin.getValue(), snapshot, sealer, out);
        if (parts.size() > 1) {
          cut.put(bin.getKey(), parts);
        }
      }
    }
    if (cut.isEmpty()) {
      return null;
    }
    Bins next = bins.replace(cut);
    for (Write write : writes) {
      if (write.table == table.table && cut.containsKey(write.index)) {
        write.bin = next.bin(next.find(write.key));
      }
    }
    writeVersion(out, sealer, table.table, next.version());
    return next;
  }

  private List<Bin> cut(
      HiddenTable table,
      Bins bins,
      int index,
      List<byte[]> coming,
      Snapshot snapshot,
      Sealer sealer,
      Batch out) {
    Bin bin = bins.bin(index);
    KnownBins.Known known = table.known.of(bin.id());
    var fresh = new TreeSet<byte[]>(Arrays::compareUnsigned);
    if (known != null) {
      fresh.addAll(coming);
      fresh.removeAll(known.keys);
      if (known.keys.size() + fresh.size() <= MAX_BIN_ROWS) {
        allow(table, bin.id(), known.keys.size() + fresh.size());
        return List.of(bin);
      }
      List<NavigableSet<byte[]>> sections =
          known.isRun() && !fresh.isEmpty()
              ? around(known.keys, fresh)
              : List.of(union(known.keys, fresh));
      return share(
          table, bin, sections, known.keys, place -> snapshot.get(table.table, place), sealer, out);
    }
    var places = new TreeMap<byte[], byte[]>(Arrays::compareUnsigned);
    try (var rows = rowsOf(snapshot, table.table, bin)) {
      while (rows.next()) {
        places.put(rows.key(), rows.value());
      }
    }
    int count = places.size();
    for (byte[] key : coming) {
      byte[] place = place(sealer, table.table, bin, key);
      if (!places.containsKey(place) && fresh.add(key)) {
        count++;
      }
    }
    if (count <= MAX_BIN_ROWS) {
      allow(table, bin.id(), count);
      return List.of(bin);
    }
    var keys = new TreeSet<byte[]>(Arrays::compareUnsigned);
    places.forEach((at, value) -> keys.add(row(sealer, table.table, at, value).key()));
    return share(table, bin, List.of(union(keys, fresh)), keys, places::get, sealer, out);
  }

  private static NavigableSet<byte[]> union(Collection<byte[]> some, Collection<byte[]> others) {
    var union = new TreeSet<byte[]>(Arrays::compareUnsigned);
    union.addAll(some);
    union.addAll(others);
    return union;
  }

  /**
   * The rows before those that come, those that come and what lies among them, and the rows behind:
   * where rows come in ascending order, those behind are moved once and those before never.
   */
  private static List<NavigableSet<byte[]>> around(
      NavigableSet<byte[]> keys, NavigableSet<byte[]> fresh) {
    return Stream.of(
            keys.headSet(fresh.first(), false),
            union(keys.subSet(fresh.first(), true, fresh.last(), true), fresh),
            keys.tailSet(fresh.last(), false))
        .filter(section -> !section.isEmpty())
        .toList();
  }

  /**
   * Moves what does not stay in {@code bin}; values move as they are, sealed with their keys.
   *
   * @param sections what must not share a bin, ascending; the first row stays
   * @param stored the keys that are in the bin
   * @param rows gives its rows as they are on disk, by their places
   */
  private List<Bin> share(
      HiddenTable table,
      Bin bin,
      List<NavigableSet<byte[]>> sections,
      NavigableSet<byte[]> stored,
      Function<byte[], byte @Nullable []> rows,
      Sealer sealer,
      Batch out) {
    // Learning replaces what is known of the bin.
    var present = new TreeSet<byte[]>(stored);
    var parts = new ArrayList<Bin>();
    for (NavigableSet<byte[]> section : sections) {
      boolean whole = sections.size() > 1 && section.size() <= MAX_BIN_ROWS;
      int most = whole ? MAX_BIN_ROWS : CUT_ROWS;
      var rest = new ArrayList<>(section);
      for (int from = 0; from < rest.size(); from += most) {
        List<byte[]> keys = rest.subList(from, Math.min(rest.size(), from + most));
        parts.add(part(table, bin, parts.isEmpty(), keys, present, rows, sealer, out));
      }
    }
    return parts;
  }

  /** One part of a bin that is cut: the bin itself, or a new one that rows are moved to. */
  private Bin part(
      HiddenTable table,
      Bin bin,
      boolean stays,
      List<byte[]> keys,
      NavigableSet<byte[]> present,
      Function<byte[], byte @Nullable []> rows,
      Sealer sealer,
      Batch out) {
    Bin part = stays ? bin : new Bin(keys.getFirst(), random.nextLong(), bin.key());
    var here = new ArrayList<byte[]>(keys.size());
    for (byte[] key : keys) {
      if (present.contains(key)) {
        here.add(key);
      }
    }
    if (!stays) {
      writeBin(out, sealer, table.table, part);
      for (byte[] key : here) {
        byte[] from = place(sealer, table.table, bin, key);
        byte[] value = rows.apply(from);
        if (value == null) {
          throw damaged(table.table, new SealException("a row of a bin is gone"));
        }
        out.delete(table.table, from);
        out.put(table.table, place(sealer, table.table, part, key), value);
      }
    }
    table.known.learn(part.id(), here);
    allow(table, part.id(), keys.size());
    return part;
  }

  private static void allow(HiddenTable table, long bin, int rows) {
    table.allowance.put(bin, new int[] {Math.max(MIN_ALLOWANCE, MAX_BIN_ROWS - rows)});
  }

  private static Cursor rowsOf(Snapshot snapshot, Table table, Bin bin) {
    byte[] from = key(DATA_ROW, bin.id(), NOTHING);
    byte[] to = bin.id() == -1 ? new byte[] {DATA_ROW + 1} : key(DATA_ROW, bin.id() + 1, NOTHING);
    return snapshot.scan(table, from, to);
  }

  @Override
  public void sync() {
    inner.sync();
  }

  @Override
  public byte @Nullable [] get(Table table, byte[] key) {
    if (!isHidden(table)) {
      byte[] sealed = inner.get(table, key);
      return sealed == null ? null : opened(table, key, sealed);
    }
    HiddenTable bins = hidden(table);
    Sealer sealer = borrow();
    try {
      while (true) {
        View view = bins.view;
        Bin bin = view.current.of(key);
        byte[] sealed = inner.get(table, place(sealer, table, bin, key));
        Bin next = view.next == null ? bin : view.next.of(key);
        if (sealed == null && next.id() != bin.id()) {
          sealed = inner.get(table, place(sealer, table, next, key));
        }
        if (sealed != null) {
          return value(sealer, table, key, sealed);
        }
        if (bins.view == view) {
          return null;
        }
      }
    } finally {
      giveBack(sealer);
    }
  }

  @Override
  public Snapshot snapshot() {
    var before = new EnumMap<Table, View>(Table.class);
    hidden.forEach((table, bins) -> before.put(table, bins.view));
    Snapshot snapshot = inner.snapshot();
    try {
      var bins = new EnumMap<Table, Bins>(Table.class);
      for (Table table : hidden.keySet()) {
        View first = before.get(table);
        View now = hidden(table).view;
        boolean quiet = first != null && first == now && now.next == null;
        bins.put(table, quiet ? now.current : binsOf(snapshot, table, now));
      }
      return new OpenedSnapshot(snapshot, bins);
    } catch (RuntimeException e) {
      snapshot.close();
      throw e;
    }
  }

  /** The bins of a snapshot that was taken while they changed. */
  private Bins binsOf(Snapshot snapshot, Table table, View now) {
    Sealer sealer = borrow();
    try {
      byte[] row = snapshot.get(table, VERSION_KEY);
      if (row == null) {
        throw new SealException("the bins are missing");
      }
      long version = ByteBuffer.wrap(sealer.open(context(table, VERSION_KEY), row)).getLong();
      Bins next = now.next;
      if (now.current.version() == version) {
        return now.current;
      }
      return next != null && next.version() == version ? next : readBins(snapshot, sealer, table);
    } catch (SealException e) {
      throw damaged(table, e);
    } finally {
      giveBack(sealer);
    }
  }

  @Override
  public long bytesOnDisk() {
    return inner.bytesOnDisk();
  }

  @Override
  public void close() {
    closed = true;
    inner.close();
    committing.lock();
    try {
      hidden.values().forEach(table -> table.known.clear());
    } finally {
      committing.unlock();
    }
    for (Sealer sealer = idle.poll(); sealer != null; sealer = idle.poll()) {
      sealer.close();
    }
  }

  /** Seals with the newest data key what was sealed with another, a little at a time. */
  public Reencryption reencryption() {
    return new Reencryption();
  }

  /**
   * One pass over all rows; used by one thread. What was done stays done if it ends halfway: a pass
   * begun anew only reads it.
   */
  public final class Reencryption {
    private static final int STEP_ROWS = 256;
    private static final int STEP_BYTES = 1 << 20;

    private final ArrayDeque<Table> tables = new ArrayDeque<>(List.of(Table.values()));
    private byte[] from = NOTHING;
    private long rows;

    private Reencryption() {}

    /** Rows sealed anew so far. */
    public long rows() {
      return rows;
    }

    /** Does some more; false when there is nothing left. */
    public boolean step() {
      Table table = tables.peek();
      if (table == null) {
        return false;
      }
      committing.lock();
      Sealer sealer = borrow();
      try (Batch out = inner.newBatch();
          var snapshot = inner.snapshot()) {
        sealer.begin(random);
        var changed = new EnumMap<Table, Bins>(Table.class);
        boolean more =
            isHidden(table)
                ? moveBin(hidden(table), snapshot, sealer, out, changed)
                : sealRows(table, snapshot, sealer, out);
        if (out.size() > 0) {
          commit(out, Durability.BUFFERED, changed);
        }
        if (!more) {
          tables.remove();
          from = NOTHING;
          if (tables.isEmpty()) {
            sealHeader(sealer);
            inner.sync();
          }
        }
        return !tables.isEmpty();
      } catch (SealException e) {
        throw damaged(table, e);
      } finally {
        giveBack(sealer);
        committing.unlock();
      }
    }

    private boolean sealRows(Table table, Snapshot snapshot, Sealer sealer, Batch out)
        throws SealException {
      int bytes = 0;
      int seen = 0;
      try (var cursor = snapshot.scan(table, from, null)) {
        while (cursor.next()) {
          if (seen == STEP_ROWS || bytes > STEP_BYTES) {
            from = cursor.key();
            return true;
          }
          seen++;
          byte[] sealed = cursor.value();
          if (Sealer.keyOf(sealed) != sealer.key()) {
            byte[] context = context(table, cursor.key());
            byte[] value = sealer.open(context, sealed);
            out.put(table, cursor.key(), sealer.seal(context, NOTHING, value));
            rows++;
            bytes += sealed.length;
          }
        }
      }
      return false;
    }

    /** A bin is moved to another with all its rows; its number says which key hides them. */
    private boolean moveBin(
        HiddenTable table, Snapshot snapshot, Sealer sealer, Batch out, Map<Table, Bins> changed)
        throws SealException {
      Bins bins = table.view.current;
      int index = 0;
      while (index < bins.size() && bins.bin(index).key() == sealer.key()) {
        index++;
      }
      if (index == bins.size()) {
        writeVersion(out, sealer, table.table, bins.version());
        return false;
      }
      Bin old = bins.bin(index);
      Bin moved = new Bin(old.start(), random.nextLong(), sealer.key());
      try (var cursor = rowsOf(snapshot, table.table, old)) {
        while (cursor.next()) {
          Row row = row(sealer, table.table, cursor.key(), cursor.value());
          byte[] value = row.value();
          out.delete(table.table, cursor.key());
          out.put(
              table.table,
              place(sealer, table.table, moved, row.key()),
              sealer.seal(
                  rowContext(table.table), keyHead(row.key()), value == null ? NOTHING : value));
          rows++;
        }
      }
      out.delete(table.table, key(BIN_ROW, old.id(), NOTHING));
      writeBin(out, sealer, table.table, moved);
      var replaced = new TreeMap<Integer, List<Bin>>();
      replaced.put(index, List.of(moved));
      Bins next = bins.replace(replaced);
      writeVersion(out, sealer, table.table, next.version());
      changed.put(table.table, next);
      table.allowance.remove(old.id());
      table.known.forget(old.id());
      return true;
    }

    private void sealHeader(Sealer sealer) {
      byte[] header = inner.get(Table.STATE, HEADER_KEY);
      if (header == null) {
        throw damaged(Table.STATE, new SealException("the header is missing"));
      }
      byte[] salt = Arrays.copyOfRange(header, 1, 1 + SALT_BYTES);
      byte[] proof = sealer.seal(salt, NOTHING, NOTHING);
      try (Batch out = inner.newBatch()) {
        out.put(
            Table.STATE,
            HEADER_KEY,
            ByteBuffer.allocate(1 + SALT_BYTES + proof.length)
                .put(header, 0, 1 + SALT_BYTES)
                .put(proof)
                .array());
        inner.commit(out, Durability.SYNCED);
      }
    }
  }

  private static final class SealedBatch implements Batch {
    private final EncryptedStorage owner;
    private @Nullable List<Write> writes = new ArrayList<>();

    SealedBatch(EncryptedStorage owner) {
      this.owner = owner;
    }

    @Override
    public void put(Table table, byte[] key, byte[] value) {
      writes().add(new Write(table, key, value));
    }

    @Override
    public void delete(Table table, byte[] key) {
      writes().add(new Write(table, key, null));
    }

    @Override
    public int size() {
      return writes().size();
    }

    @Override
    public void close() {
      writes = null;
    }

    List<Write> writes() {
      List<Write> all = writes;
      if (all == null) {
        throw new IllegalStateException("the batch is closed");
      }
      return all;
    }
  }

  private final class OpenedSnapshot implements Snapshot {
    private final Snapshot sealed;
    private final Map<Table, Bins> bins;

    OpenedSnapshot(Snapshot sealed, Map<Table, Bins> bins) {
      this.sealed = sealed;
      this.bins = bins;
    }

    private Bins bins(Table table) {
      Bins known = bins.get(table);
      if (known == null) {
        throw new IllegalStateException(table + " is not hidden");
      }
      return known;
    }

    @Override
    public byte @Nullable [] get(Table table, byte[] key) {
      byte[] at = key;
      if (isHidden(table)) {
        Bins of = bins(table);
        Sealer sealer = borrow();
        try {
          at = place(sealer, table, of.bin(of.find(key)), key);
        } finally {
          giveBack(sealer);
        }
      }
      byte[] value = sealed.get(table, at);
      return value == null ? null : opened(table, key, value);
    }

    @Override
    public Cursor scan(Table table, byte[] from, byte @Nullable [] to) {
      return isHidden(table)
          ? new BinCursor(sealed, bins(table), table, from, to, false)
          : new OpenedCursor(table, sealed.scan(table, from, to));
    }

    @Override
    public Cursor scanBackwards(Table table, byte[] from, byte @Nullable [] to) {
      return isHidden(table)
          ? new BinCursor(sealed, bins(table), table, from, to, true)
          : new OpenedCursor(table, sealed.scanBackwards(table, from, to));
    }

    @Override
    public void close() {
      sealed.close();
    }
  }

  /** Rows of a table whose keys show. */
  private final class OpenedCursor implements Cursor {
    private final Table table;
    private final Cursor sealed;

    OpenedCursor(Table table, Cursor sealed) {
      this.table = table;
      this.sealed = sealed;
    }

    @Override
    public boolean next() {
      return sealed.next();
    }

    @Override
    public byte[] key() {
      return sealed.key();
    }

    @Override
    public byte[] value() {
      return opened(table, sealed.key(), sealed.value());
    }

    @Override
    public void close() {
      sealed.close();
    }
  }

  /** Rows of a hidden table: one bin after another, each read whole and sorted. */
  private final class BinCursor implements Cursor {
    private final Snapshot snapshot;
    private final Bins bins;
    private final Table table;
    private final byte[] from;
    private final byte @Nullable [] to;
    private final boolean backwards;
    private final int last;
    private int index;
    private Cursor sealed;
    private List<Row> rows = List.of();
    private int row = -1;
    private boolean begun;
    private boolean ended;
    private boolean released;

    BinCursor(
        Snapshot snapshot,
        Bins bins,
        Table table,
        byte[] from,
        byte @Nullable [] to,
        boolean backwards) {
      this.snapshot = snapshot;
      this.bins = bins;
      this.table = table;
      this.from = from;
      this.to = to;
      this.backwards = backwards;
      int lowest = bins.find(from);
      int highest = to == null ? bins.size() - 1 : Math.max(lowest, bins.find(to));
      this.index = backwards ? highest : lowest;
      this.last = backwards ? lowest : highest;
      this.sealed = rowsOf(snapshot, table, bins.bin(index));
    }

    @Override
    public boolean next() {
      if (released) {
        throw new IllegalStateException("the cursor is closed");
      }
      if (closed) {
        throw new IllegalStateException("the storage is closed");
      }
      row++;
      while (!ended && row >= rows.size()) {
        advance();
      }
      return !ended;
    }

    private void advance() {
      if (begun && index == last) {
        ended = true;
        return;
      }
      if (begun) {
        index += backwards ? -1 : 1;
        sealed = rowsOf(snapshot, table, bins.bin(index));
      }
      begun = true;
      rows = load();
      row = 0;
    }

    private List<Row> load() {
      var found = new ArrayList<Row>();
      Bin bin = bins.bin(index);
      byte[] end = bins.end(index);
      Sealer sealer = borrow();
      try (Cursor reading = sealed) {
        while (reading.next()) {
          Row opened = row(sealer, table, reading.key(), reading.value());
          byte[] key = opened.key();
          if (Arrays.compareUnsigned(key, bin.start()) < 0
              || (end != null && Arrays.compareUnsigned(key, end) >= 0)) {
            throw damaged(table, new SealException("it lies in another bin than its own"));
          }
          boolean wanted =
              Arrays.compareUnsigned(from, key) <= 0
                  && (to == null || Arrays.compareUnsigned(key, to) < 0);
          if (wanted) {
            byte[] value = opened.value();
            boolean large = value != null && value.length > LARGE_VALUE_BYTES;
            found.add(large ? new Row(key, null, opened.at()) : opened);
          }
        }
      } finally {
        giveBack(sealer);
      }
      found.sort(
          (a, b) ->
              backwards
                  ? Arrays.compareUnsigned(b.key(), a.key())
                  : Arrays.compareUnsigned(a.key(), b.key()));
      return found;
    }

    private Row current() {
      if (released) {
        throw new IllegalStateException("the cursor is closed");
      }
      if (ended || row < 0 || row >= rows.size()) {
        throw new IllegalStateException("the cursor is on no row: next() has not returned true");
      }
      return rows.get(row);
    }

    @Override
    public byte[] key() {
      return current().key();
    }

    @Override
    public byte[] value() {
      Row on = current();
      byte[] value = on.value();
      if (value != null) {
        return value;
      }
      byte[] again = snapshot.get(table, on.at());
      if (again == null) {
        throw damaged(table, new SealException("a row of a snapshot is gone"));
      }
      return opened(table, on.key(), again);
    }

    @Override
    public void close() {
      released = true;
      sealed.close();
    }
  }
}
