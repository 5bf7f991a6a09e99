package io.pluresdb.storage.search;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.store.CommitView;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.value.CanonicalJson;
import io.pluresdb.crdt.value.Leaf;
import io.pluresdb.crdt.value.Path;
import java.util.Arrays;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;

/**
 * The dimension of each collection, which is the documents with the same {@code type}: that of the
 * first embedding found in it, or the first that is written.
 */
final class Dimensions {
  /** Collections that are remembered; further ones are not checked. */
  private static final int MAX_COLLECTIONS = 10_000;

  private static final byte[] TYPE = Path.parse("type");

  private final Storage storage;
  private final ConcurrentMap<String, Integer> known = new ConcurrentHashMap<>();
  private boolean read; // Guarded by this.

  Dimensions(Storage storage) {
    this.storage = storage;
  }

  /** What a document's {@code type} says, as JSON; empty for none. */
  private static String collection(byte[] json) {
    for (Leaf leaf : CanonicalJson.leaves(json)) {
      if (Arrays.equals(leaf.path(), TYPE)) {
        return new String(leaf.value(), java.nio.charset.StandardCharsets.UTF_8);
      }
    }
    return "";
  }

  /** Refuses another dimension than the collection's. */
  void require(byte[] json, int dimension) {
    readAll();
    String collection = collection(json);
    Integer there =
        known.size() < MAX_COLLECTIONS
            ? known.putIfAbsent(collection, dimension)
            : known.get(collection);
    if (there != null && there != dimension) {
      throw CoreException.invalid(
          "embedding of "
              + (collection.isEmpty() ? "a document without type" : "type " + collection)
              + " must have "
              + there
              + " numbers, as those there, but has "
              + dimension);
    }
  }

  private synchronized void readAll() {
    if (read) {
      return;
    }
    try (CommitView view = CommitView.of(storage);
        var rows = view.snapshot().scan(Table.STATE, new byte[0], null)) {
      while (rows.next() && known.size() < MAX_COLLECTIONS) {
        NodeRecord document = view.document(rows.key(), rows.value());
        float[] embedding = document == null ? null : document.embedding();
        if (document != null && embedding != null) {
          known.putIfAbsent(collection(document.data()), embedding.length);
        }
      }
    }
    read = true;
  }
}
