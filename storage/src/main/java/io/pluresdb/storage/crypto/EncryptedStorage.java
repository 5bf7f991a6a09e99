package io.pluresdb.storage.crypto;

import static io.pluresdb.storage.crypto.SealedRows.HEADER_KEY;
import static io.pluresdb.storage.crypto.SealedRows.NOTHING;
import static io.pluresdb.storage.crypto.SealedRows.VERSION_KEY;
import static io.pluresdb.storage.crypto.SealedRows.context;
import static io.pluresdb.storage.crypto.SealedRows.damaged;
import static io.pluresdb.storage.crypto.SealedRows.deleteBin;
import static io.pluresdb.storage.crypto.SealedRows.isHidden;
import static io.pluresdb.storage.crypto.SealedRows.place;
import static io.pluresdb.storage.crypto.SealedRows.readBins;
import static io.pluresdb.storage.crypto.SealedRows.readVersion;
import static io.pluresdb.storage.crypto.SealedRows.row;
import static io.pluresdb.storage.crypto.SealedRows.rowsOf;
import static io.pluresdb.storage.crypto.SealedRows.writeBin;
import static io.pluresdb.storage.crypto.SealedRows.writeVersion;

import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.storage.crypto.Bins.Bin;
import io.pluresdb.storage.crypto.HiddenTable.View;
import io.pluresdb.storage.crypto.SealedRows.Row;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.Executor;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.random.RandomGenerator;
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

  private static final int LAYOUT = 1;
  private static final int SALT_BYTES = 32;
  private static final int MAX_IDLE_SEALERS = 16;

  private final Storage inner;
  private final SealingKeys keys;
  private final RandomGenerator random;
  private final @Nullable Executor beside;
  private final Map<Table, HiddenTable> hidden = new EnumMap<>(Table.class);
  private final ConcurrentLinkedDeque<Sealer> idle = new ConcurrentLinkedDeque<>();

  /**
   * One commit at a time: the replica's, those of rows of INDEX, and those that seal anew. In turn,
   * so that the last do not hold up the first.
   */
  private final ReentrantLock committing = new ReentrantLock(true);

  private volatile boolean closed;

  private EncryptedStorage(
      Storage inner, SealingKeys keys, RandomGenerator random, @Nullable Executor beside) {
    this.beside = beside;
    this.inner = inner;
    this.keys = keys;
    this.random = random;
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
    return open(inner, keyring, random, null);
  }

  /**
   * As the other one.
   *
   * @param beside where rows of a commit are sealed while more of them are put; {@code random} must
   *     be safe from there
   */
  public static EncryptedStorage open(
      Storage inner, Keyring keyring, RandomGenerator random, @Nullable Executor beside) {
    byte[] header = inner.get(Table.STATE, HEADER_KEY);
    return header == null
        ? create(inner, keyring, random, beside)
        : load(inner, header, keyring, random, beside);
  }

  private static EncryptedStorage create(
      Storage inner, Keyring keyring, RandomGenerator random, @Nullable Executor beside) {
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
    var storage = new EncryptedStorage(inner, new SealingKeys(keyring, salt), random, beside);
    try (Batch batch = inner.newBatch();
        Sealer sealer = new Sealer(storage.keys)) {
      sealer.begin(random);
      for (Table table : Table.values()) {
        if (isHidden(table)) {
          var first = new Bins(1, List.of(new Bin(NOTHING, random.nextLong(), sealer.key())));
          storage.hidden.put(table, new HiddenTable(table, first, random));
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
      Storage inner,
      byte[] header,
      Keyring keyring,
      RandomGenerator random,
      @Nullable Executor beside) {
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
    var storage = new EncryptedStorage(inner, new SealingKeys(keyring, salt), random, beside);
    try (Sealer sealer = new Sealer(storage.keys)) {
      sealer.open(salt, proof);
      try (var snapshot = inner.snapshot()) {
        for (Table table : Table.values()) {
          if (isHidden(table)) {
            storage.hidden.put(
                table, new HiddenTable(table, readBins(snapshot, sealer, table), random));
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

  private byte[] opened(Table table, byte[] key, byte[] sealed) {
    Sealer sealer = borrow();
    try {
      return SealedRows.open(sealer, table, key, sealed);
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

  /** Lets {@code work} seal with a nonce of its own. */
  void withSealer(Consumer<Sealer> work) {
    Sealer sealer = borrow();
    try {
      sealer.begin(random);
      work.accept(sealer);
    } finally {
      giveBack(sealer);
    }
  }

  /** The bins of a table as last committed; null when it is not hidden. */
  @Nullable Bins bins(Table table) {
    HiddenTable known = hidden.get(table);
    return known == null ? null : known.view().current;
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
    return new SealedBatch(this, beside);
  }

  @Override
  public void commit(Batch batch, Durability durability) {
    if (!(batch instanceof SealedBatch mine) || !mine.isOf(this)) {
      throw new IllegalArgumentException("the batch was made by another storage");
    }
    committing.lock();
    Sealer sealer = borrow();
    boolean done = false;
    try (Batch out = inner.newBatch()) {
      sealer.begin(random);
      var changed = new EnumMap<Table, Bins>(Table.class);
      mine.writes()
          .forEach(
              (table, rows) -> {
                HiddenTable bins = hidden.get(table);
                Bins next = bins == null ? null : bins.makeRoom(rows, inner, sealer, out);
                if (next != null) {
                  changed.put(table, next);
                }
              });
      mine.seal(sealer, out);
      commit(out, durability, changed);
      done = true;
    } finally {
      if (!done) {
        hidden.values().forEach(HiddenTable::forget);
      }
      giveBack(sealer);
      committing.unlock();
    }
  }

  /** Commits, and shows other bins to readers as one with the rows in them. */
  private void commit(Batch out, Durability durability, Map<Table, Bins> changed) {
    changed.forEach((table, next) -> hidden(table).announce(next));
    boolean done = false;
    try {
      inner.commit(out, durability);
      done = true;
    } finally {
      for (Table table : changed.keySet()) {
        hidden(table).settle(done);
      }
    }
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
        View view = bins.view();
        Bin bin = view.current.of(key);
        byte[] sealed = inner.get(table, place(sealer, table, bin, key));
        Bin next = view.next == null ? bin : view.next.of(key);
        if (sealed == null && next.id() != bin.id()) {
          sealed = inner.get(table, place(sealer, table, next, key));
        }
        if (sealed != null) {
          return SealedRows.open(sealer, table, key, sealed);
        }
        if (bins.view() == view) {
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
    hidden.forEach((table, bins) -> before.put(table, bins.view()));
    Snapshot snapshot = inner.snapshot();
    try {
      var bins = new EnumMap<Table, Bins>(Table.class);
      for (Table table : hidden.keySet()) {
        View first = before.get(table);
        View now = hidden(table).view();
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
      long version = readVersion(snapshot, sealer, table);
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
      hidden.values().forEach(HiddenTable::forget);
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
            out.put(table, cursor.key(), SealedRows.seal(sealer, table, cursor.key(), value));
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
      Bins bins = table.view().current;
      int index = bins.findOtherThan(sealer.key());
      if (index < 0) {
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
              SealedRows.seal(sealer, table.table, row.key(), value == null ? NOTHING : value));
          rows++;
        }
      }
      deleteBin(out, table.table, old);
      writeBin(out, sealer, table.table, moved);
      var replaced = new TreeMap<Integer, List<Bin>>();
      replaced.put(index, List.of(moved));
      Bins next = bins.replace(replaced);
      writeVersion(out, sealer, table.table, next.version());
      changed.put(table.table, next);
      table.forget(old);
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
