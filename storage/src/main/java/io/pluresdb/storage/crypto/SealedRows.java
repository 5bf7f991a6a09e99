package io.pluresdb.storage.crypto;

import io.pluresdb.crdt.store.Storage.Batch;
import io.pluresdb.crdt.store.Storage.Cursor;
import io.pluresdb.crdt.store.Storage.Snapshot;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.storage.crypto.Bins.Bin;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** What the rows of an encrypted storage look like on disk: docs/protocol/disk.md. */
final class SealedRows {
  static final byte[] HEADER_KEY = {0};
  static final byte[] VERSION_KEY = {2};
  static final byte[] NOTHING = {};
  private static final byte BIN_ROW = 1;
  private static final byte DATA_ROW = 3;

  private SealedRows() {}

  /** A row of a bin, opened; null instead of a value that is large. */
  record Row(byte[] key, byte @Nullable [] value, byte[] at) {}

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

  /** What ties a value to its place; a row of a hidden table has its key inside. */
  static byte[] context(Table table, byte[] key) {
    byte[] context = new byte[1 + key.length];
    context[0] = number(table);
    System.arraycopy(key, 0, context, 1, key.length);
    return context;
  }

  private static byte[] rowContext(Table table) {
    return new byte[] {number(table), DATA_ROW};
  }

  private static byte[] idKey(byte kind, long bin) {
    return ByteBuffer.allocate(1 + Long.BYTES).put(kind).putLong(bin).array();
  }

  /** The bins of a table as they were committed. */
  static Bins readBins(Snapshot snapshot, Sealer sealer, Table table) throws SealException {
    long version = readVersion(snapshot, sealer, table);
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

  /** The version of those bins. */
  static long readVersion(Snapshot snapshot, Sealer sealer, Table table) throws SealException {
    byte[] row = snapshot.get(table, VERSION_KEY);
    if (row == null) {
      throw new SealException("the bins of " + table + " are missing");
    }
    return ByteBuffer.wrap(sealer.open(context(table, VERSION_KEY), row)).getLong();
  }

  static void writeBin(Batch batch, Sealer sealer, Table table, Bin bin) {
    byte[] key = idKey(BIN_ROW, bin.id());
    byte[] number = ByteBuffer.allocate(Integer.BYTES).putInt(bin.key()).array();
    batch.put(table, key, sealer.seal(context(table, key), number, bin.start()));
  }

  static void deleteBin(Batch batch, Table table, Bin bin) {
    batch.delete(table, idKey(BIN_ROW, bin.id()));
  }

  static void writeVersion(Batch batch, Sealer sealer, Table table, long version) {
    byte[] number = ByteBuffer.allocate(Long.BYTES).putLong(version).array();
    batch.put(table, VERSION_KEY, sealer.seal(context(table, VERSION_KEY), NOTHING, number));
  }

  /** Where a row of a bin stands. */
  static byte[] place(Sealer sealer, Table table, Bin bin, byte[] key) {
    byte[] place = new byte[1 + Long.BYTES + Sealer.NAME_BYTES];
    ByteBuffer.wrap(place).put(DATA_ROW).putLong(bin.id());
    try {
      sealer.hide(bin.key(), number(table), key, place, 1 + Long.BYTES);
    } catch (SealException e) {
      throw damaged(table, e);
    }
    return place;
  }

  /** The rows of a bin, as they are on disk. */
  static Cursor rowsOf(Snapshot snapshot, Table table, Bin bin) {
    byte[] to = bin.id() == -1 ? new byte[] {DATA_ROW + 1} : idKey(DATA_ROW, bin.id() + 1);
    return snapshot.scan(table, idKey(DATA_ROW, bin.id()), to);
  }

  /** What is stored for a row. */
  static byte[] seal(Sealer sealer, Table table, byte[] key, byte[] value) {
    return isHidden(table)
        ? sealer.sealRow(rowContext(table), key, value)
        : sealer.seal(context(table, key), NOTHING, value);
  }

  /** Opens a row of a hidden table. */
  static Row row(Sealer sealer, Table table, byte[] at, byte[] sealed) {
    try {
      Sealer.KeyAndValue row = sealer.openRow(rowContext(table), sealed);
      return new Row(row.key(), row.value(), at);
    } catch (SealException e) {
      throw damaged(table, e);
    }
  }

  /** The value of a row, which must have this key. */
  static byte[] open(Sealer sealer, Table table, byte[] key, byte[] sealed) {
    try {
      return isHidden(table)
          ? sealer.openValue(rowContext(table), key, sealed)
          : sealer.open(context(table, key), sealed);
    } catch (SealException e) {
      throw damaged(table, e);
    }
  }

  static StorageException.Failed damaged(Table table, Exception cause) {
    return new StorageException.Failed(
        "a row of " + table + " is not as it was written: " + cause.getMessage(), cause);
  }
}
