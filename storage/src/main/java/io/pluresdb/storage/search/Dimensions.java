package io.pluresdb.storage.search;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.store.CommitView;
import io.pluresdb.crdt.store.DocumentReader;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.value.CanonicalJson;
import io.pluresdb.crdt.value.Leaf;
import io.pluresdb.crdt.value.Path;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import org.jspecify.annotations.Nullable;

/**
 * The dimension of each collection, which is the documents with the same {@code type}: that of most
 * embeddings found in it, or of the first that is written.
 *
 * <p>It is asked before local writes. Other devices may write others at the same time, or before
 * they hear of each other: such embeddings are kept, and found by searches of their own dimension.
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

  /** Whether an edit may bring an embedding to a collection. */
  static boolean concerns(Edit edit) {
    return switch (edit) {
      case Edit.Put put -> embeddingBytes(put) > 0;
      case Edit.Patch(byte[] id, var patch) -> patch.touches(TYPE);
      // Made here, of the dimension that the model has.
      case Edit.Embed embed -> false;
      case Edit.Resolve(byte[] id, byte[] path, var leaves) ->
          Path.isWithin(TYPE, path) || Path.isWithin(path, TYPE);
      case Edit.Delete delete -> false;
      case Edit.Increment increment -> false;
      case Edit.Typed typed -> false;
    };
  }

  private static int embeddingBytes(Edit.Put put) {
    byte[] embedding = put.embedding();
    return embedding == null ? 0 : embedding.length;
  }

  /** What a document's {@code type} says, as JSON; empty for none. */
  private static String collection(List<Leaf> leaves) {
    for (Leaf leaf : leaves) {
      if (Arrays.equals(leaf.path(), TYPE)) {
        return new String(leaf.value(), StandardCharsets.UTF_8);
      }
    }
    return "";
  }

  private static String name(String collection) {
    return collection.isEmpty() ? "a document without type" : "type " + collection;
  }

  /**
   * A document as the edits before have left it.
   *
   * @param dimension of its embedding; 0 without one
   */
  private record Document(List<Leaf> leaves, int dimension) {
    static final Document NONE = new Document(List.of(), 0);
  }

  /**
   * Refuses another dimension than the collection's, in edits that see what those before them did.
   */
  void require(List<Edit> edits) {
    if (edits.stream().noneMatch(Dimensions::concerns)) {
      return;
    }
    var written = new HashMap<ByteBuffer, Document>();
    for (Edit edit : edits) {
      var id = ByteBuffer.wrap(edit.id());
      Document after = after(edit, written.get(id));
      if (after != null) {
        written.put(id, after);
        if (after.dimension > 0 && concerns(edit)) {
          require(collection(after.leaves), after.dimension);
        }
      }
    }
  }

  /**
   * What an edit makes of a document, as far as embeddings and types go.
   *
   * @param written what the edits before made of it; null while it is as stored. Only what concerns
   *     its dimension reads that
   */
  private @Nullable Document after(Edit edit, @Nullable Document written) {
    return switch (edit) {
      // One without an embedding takes the stored one away, unless it changes nothing at all.
      case Edit.Put put -> new Document(put.leaves(), embeddingBytes(put) / Float.BYTES);
      case Edit.Patch patch when written == null && !concerns(edit) -> null;
      case Edit.Patch(byte[] id, var patch) -> {
        Document before = before(edit, written);
        yield new Document(patch.apply(before.leaves), before.dimension);
      }
      case Edit.Resolve resolve when written == null && !concerns(edit) -> null;
      case Edit.Resolve(byte[] id, byte[] path, var chosen) -> {
        Document before = before(edit, written);
        var leaves = new TreeMap<byte[], Leaf>(Arrays::compareUnsigned);
        before.leaves.stream()
            .filter(leaf -> !Path.isWithin(leaf.path(), path) && !Path.isWithin(path, leaf.path()))
            .forEach(leaf -> leaves.put(leaf.path(), leaf));
        chosen.forEach(leaf -> leaves.put(leaf.path(), leaf));
        yield new Document(List.copyOf(leaves.values()), before.dimension);
      }
      case Edit.Delete delete -> Document.NONE;
      case Edit.Embed embed -> written;
      case Edit.Increment increment -> written;
      // A type that is typed itself, letter by letter, is not looked at.
      case Edit.Typed typed -> written;
    };
  }

  private Document before(Edit edit, @Nullable Document written) {
    if (written != null) {
      return written;
    }
    NodeRecord document = DocumentReader.read(storage, edit.id());
    if (document == null) {
      return Document.NONE;
    }
    float[] embedding = document.embedding();
    return new Document(
        CanonicalJson.leaves(document.data()), embedding == null ? 0 : embedding.length);
  }

  private void require(String collection, int dimension) {
    prepare();
    Integer there =
        known.size() < MAX_COLLECTIONS
            ? known.putIfAbsent(collection, dimension)
            : known.get(collection);
    if (there != null && there != dimension) {
      throw CoreException.invalid(
          "embedding of "
              + name(collection)
              + " must have "
              + there
              + " numbers, as those there, but has "
              + dimension);
    }
  }

  /** Reads all documents the first time. */
  synchronized void prepare() {
    if (!read) {
      counts().forEach((collection, counts) -> known.putIfAbsent(collection, most(counts)));
      read = true;
    }
  }

  /** The dimension of most; of equally many the smaller one. */
  private static int most(Map<Integer, Long> counts) {
    return counts.entrySet().stream()
        .max(
            Map.Entry.<Integer, Long>comparingByValue()
                .thenComparing(Map.Entry.<Integer, Long>comparingByKey().reversed()))
        .orElseThrow()
        .getKey();
  }

  /** How many embeddings of each dimension the collections have. */
  private Map<String, Map<Integer, Long>> counts() {
    var counts = new TreeMap<String, Map<Integer, Long>>();
    try (CommitView view = CommitView.of(storage);
        var rows = view.snapshot().scan(Table.STATE, new byte[0], null)) {
      while (rows.next()) {
        NodeRecord document = view.document(rows.key(), rows.value());
        float[] embedding = document == null ? null : document.embedding();
        if (document != null && embedding != null) {
          String collection = collection(CanonicalJson.leaves(document.data()));
          if (counts.size() < MAX_COLLECTIONS || counts.containsKey(collection)) {
            counts
                .computeIfAbsent(collection, name -> new TreeMap<>())
                .merge(embedding.length, 1L, Long::sum);
          }
        }
      }
    }
    return counts;
  }

  /** Collections with several, a sentence each. */
  List<String> mixed(int limit) {
    var sentences = new ArrayList<String>();
    counts()
        .forEach(
            (collection, counts) -> {
              if (counts.size() > 1 && sentences.size() < limit) {
                sentences.add(
                    "embeddings of " + name(collection) + " have several dimensions: " + counts);
              }
            });
    return sentences;
  }
}
