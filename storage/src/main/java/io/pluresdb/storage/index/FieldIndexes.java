package io.pluresdb.storage.index;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.jspecify.annotations.Nullable;

/**
 * The secondary indexes of a storage: which there are is a row of it, so it survives with it.
 *
 * <pre>
 * 00 -> next number varint | count varint | (number varint, definition block) *
 * </pre>
 */
public final class FieldIndexes {
  private static final byte[] DEFINITIONS = {0};
  private static final int MAX_NUMBER = 0xffff;

  private final Storage storage;
  private final List<FieldIndex> indexes = new CopyOnWriteArrayList<>();
  private int nextNumber;

  public FieldIndexes(Storage storage) {
    this.storage = storage;
    byte[] row = storage.get(Table.INDEX, DEFINITIONS);
    if (row != null) {
      var in = new ByteReader(row);
      nextNumber = in.count("next number", MAX_NUMBER + 1);
      for (int left = in.count("indexes", IndexDefinition.MAX_INDEXES); left > 0; left--) {
        int number = in.count("number", MAX_NUMBER);
        String text = new String(in.block("definition", row.length), StandardCharsets.UTF_8);
        indexes.add(new FieldIndex(storage, number, IndexDefinition.parse(text)));
      }
      in.end();
    }
  }

  /** All of them, in the order in which they were declared. */
  public List<FieldIndex> all() {
    return List.copyOf(indexes);
  }

  /** Declares an index; null when it is there already. */
  public synchronized @Nullable FieldIndex declare(IndexDefinition definition) {
    if (find(definition) != null) {
      return null;
    }
    if (indexes.size() == IndexDefinition.MAX_INDEXES || nextNumber > MAX_NUMBER) {
      throw CoreException.invalid(
          "a database has at most " + IndexDefinition.MAX_INDEXES + " indexes: drop one first");
    }
    var index = new FieldIndex(storage, nextNumber, definition);
    nextNumber++;
    indexes.add(index);
    write();
    return index;
  }

  /** The index of those fields, or null. */
  public @Nullable FieldIndex find(IndexDefinition definition) {
    for (FieldIndex index : indexes) {
      if (index.definition().equals(definition)) {
        return index;
      }
    }
    return null;
  }

  /** Forgets an index, which nobody may change any more, and its rows. */
  public synchronized void drop(FieldIndex index) {
    indexes.remove(index);
    write();
    index.clear();
  }

  private void write() {
    var row = new ByteWriter().varint(nextNumber).varint(indexes.size());
    for (FieldIndex index : indexes) {
      row.varint(index.number());
      row.block(index.definition().toString().getBytes(StandardCharsets.UTF_8));
    }
    try (var batch = storage.newBatch()) {
      batch.put(Table.INDEX, DEFINITIONS, row.toByteArray());
      storage.commit(batch, Durability.SYNCED);
    }
  }
}
