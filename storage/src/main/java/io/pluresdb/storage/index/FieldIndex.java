package io.pluresdb.storage.index;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.store.CommitView;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The documents in the order of some of their fields, as rows beside the documents.
 *
 * <p>Entries and the place they have reached are committed together, in the log of the storage: a
 * crash that takes a commit of documents takes the entries made from it too, so the index is behind
 * the documents or equal, and never ahead.
 *
 * <pre>
 * 01 number u16                  -> arrivals varint        the place; none while it is being made
 * 02 number u16 id               -> count varint, blocks   the entries of a document
 * 03 number u16 entry id         -> nothing                entry: a sort key for each field
 * </pre>
 */
public final class FieldIndex implements DerivedIndex {
  private static final int PLACE = 1;
  private static final int ENTRIES_OF = 2;
  private static final int ENTRY = 3;

  /** Documents of one commit. */
  private static final int STEP = 512;

  private static final byte[] NOTHING_MORE = {};

  private final Storage storage;
  private final int number;
  private final IndexDefinition definition;
  private final FieldValues fields;
  private volatile long arrivals;

  FieldIndex(Storage storage, int number, IndexDefinition definition) {
    this.storage = storage;
    this.number = number;
    this.definition = definition;
    this.fields = new FieldValues(definition.paths());
    byte[] place = storage.get(Table.INDEX, key(PLACE));
    this.arrivals = place == null ? DerivedIndex.NOTHING : new ByteReader(place).varint();
  }

  public IndexDefinition definition() {
    return definition;
  }

  int number() {
    return number;
  }

  private byte[] key(int kind, byte[]... parts) {
    var out = new ByteWriter(64).u8(kind).u8(number >>> 8).u8(number);
    for (byte[] part : parts) {
      out.bytes(part);
    }
    return out.toByteArray();
  }

  /** Bytes before an entry in its row's key. */
  private static final int ENTRY_AT = 3;

  /** The document of an entry's row. */
  byte[] idOf(byte[] rowKey) {
    int at = ENTRY_AT;
    for (int i = 0; i < definition.fields().size(); i++) {
      at = SortKey.end(rowKey, at);
    }
    return Arrays.copyOfRange(rowKey, at, rowKey.length);
  }

  /** How far it had come in a commit. */
  long placeIn(Storage.Snapshot snapshot) {
    byte[] place = snapshot.get(Table.INDEX, key(PLACE));
    return place == null ? DerivedIndex.NOTHING : new ByteReader(place).varint();
  }

  /** The key of the first row whose entry begins with {@code entry} or comes after. */
  byte[] entryKey(byte[] entry) {
    return key(ENTRY, entry);
  }

  @Override
  public String name() {
    return "index " + definition;
  }

  @Override
  public long arrivals() {
    return arrivals;
  }

  @Override
  public void rebuild(CommitView view) {
    arrivals = DerivedIndex.NOTHING;
    clear();
    try (var rows = view.snapshot().scan(Table.STATE, NOTHING_MORE, null)) {
      Storage.Batch batch = storage.newBatch();
      try {
        for (int i = 1; rows.next(); i++) {
          put(batch, rows.key(), entries(view, rows.key(), rows.value()));
          if (i % STEP == 0) {
            storage.commit(batch, Durability.BUFFERED);
            batch.close();
            batch = storage.newBatch();
          }
        }
        place(batch, view.arrivals());
        storage.commit(batch, Durability.BUFFERED);
      } finally {
        batch.close();
      }
    }
    arrivals = view.arrivals();
  }

  /** Removes all rows. */
  void clear() {
    try (var batch = storage.newBatch()) {
      batch.delete(Table.INDEX, key(PLACE));
      storage.commit(batch, Durability.BUFFERED);
    }
    for (int kind : new int[] {ENTRIES_OF, ENTRY}) {
      byte[] end = key(kind);
      end = new byte[] {end[0], end[1], end[2], (byte) 0xff, (byte) 0xff, (byte) 0xff};
      try (var snapshot = storage.snapshot();
          var rows = snapshot.scan(Table.INDEX, key(kind), end)) {
        boolean more = true;
        while (more) {
          try (var batch = storage.newBatch()) {
            while (batch.size() < STEP && (more = rows.next())) {
              batch.delete(Table.INDEX, rows.key());
            }
            storage.commit(batch, Durability.BUFFERED);
          }
        }
      }
    }
  }

  @Override
  public void apply(CommitView view, List<byte[]> ids, long next) {
    for (int from = 0; from < ids.size() || from == 0; from += STEP) {
      int to = Math.min(ids.size(), from + STEP);
      try (var batch = storage.newBatch()) {
        for (byte[] id : ids.subList(from, to)) {
          byte[] row = view.row(id);
          List<byte[]> now = row == null ? List.of() : entries(view, id, row);
          byte[] stored = storage.get(Table.INDEX, key(ENTRIES_OF, id));
          List<byte[]> before = stored == null ? List.of() : blocks(stored);
          if (same(before, now)) {
            continue;
          }
          for (byte[] entry : before) {
            batch.delete(Table.INDEX, key(ENTRY, entry, id));
          }
          if (now.isEmpty()) {
            batch.delete(Table.INDEX, key(ENTRIES_OF, id));
          }
          put(batch, id, now);
        }
        if (to == ids.size()) {
          place(batch, next);
        }
        storage.commit(batch, Durability.BUFFERED);
      }
    }
    arrivals = next;
  }

  private static boolean same(List<byte[]> a, List<byte[]> b) {
    if (a.size() != b.size()) {
      return false;
    }
    for (int i = 0; i < a.size(); i++) {
      if (!Arrays.equals(a.get(i), b.get(i))) {
        return false;
      }
    }
    return true;
  }

  private void put(Storage.Batch batch, byte[] id, List<byte[]> entries) {
    if (entries.isEmpty()) {
      return;
    }
    var list = new ByteWriter(64).varint(entries.size());
    for (byte[] entry : entries) {
      batch.put(Table.INDEX, key(ENTRY, entry, id), NOTHING_MORE);
      list.block(entry);
    }
    batch.put(Table.INDEX, key(ENTRIES_OF, id), list.toByteArray());
  }

  private static List<byte[]> blocks(byte[] row) {
    var in = new ByteReader(row);
    var blocks = new ArrayList<byte[]>();
    for (int left = in.count("entries", row.length); left > 0; left--) {
      blocks.add(in.block("entry bytes", row.length));
    }
    return blocks;
  }

  private void place(Storage.Batch batch, long reached) {
    batch.put(Table.INDEX, key(PLACE), new ByteWriter(9).varint(reached).toByteArray());
  }

  private List<byte[]> entries(CommitView view, byte[] id, byte[] row) {
    return fields.read(view, id, row) ? definition.entries(fields.copies()) : List.of();
  }

  /**
   * What differs between the entries and the documents of one commit, at most one sentence for each
   * document; nothing when they agree, or the index had not reached that commit.
   */
  public List<String> differences(CommitView view, int limit) {
    var found = new ArrayList<String>();
    long entries = 0;
    var snapshot = view.snapshot();
    var values = new FieldValues(definition.paths());
    if (placeIn(snapshot) != view.arrivals()) {
      return List.of();
    }
    try (var rows = snapshot.scan(Table.STATE, NOTHING_MORE, null)) {
      while (rows.next() && found.size() < limit) {
        byte[] id = rows.key();
        List<byte[]> expected =
            values.read(view, id, rows.value()) ? definition.entries(values.copies()) : List.of();
        byte[] stored = snapshot.get(Table.INDEX, key(ENTRIES_OF, id));
        boolean agree = same(stored == null ? List.of() : blocks(stored), expected);
        for (byte[] entry : expected) {
          agree &= snapshot.get(Table.INDEX, key(ENTRY, entry, id)) != null;
        }
        entries += expected.size();
        if (!agree) {
          found.add(
              name()
                  + " does not hold document "
                  + new String(id, java.nio.charset.StandardCharsets.UTF_8)
                  + " as it is");
        }
      }
    }
    if (found.isEmpty()) {
      long stored = 0;
      byte[] end = entryKey(new byte[] {(byte) 0xff});
      try (var rows = snapshot.scan(Table.INDEX, entryKey(NOTHING_MORE), end)) {
        while (rows.next()) {
          stored++;
        }
      }
      if (stored != entries) {
        found.add(name() + " has " + stored + " entries, but the documents have " + entries);
      }
    }
    return found;
  }

  @Override
  public void save(boolean atOnce) {
    // Each step is in the storage's own log.
  }

  @Override
  public void close() {
    // Its rows are the storage's.
  }
}
