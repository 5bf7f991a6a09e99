package io.pluresdb.crdt.store;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.doc.Content;
import io.pluresdb.crdt.doc.Contest;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.doc.DocumentView;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.value.CanonicalJson;
import io.pluresdb.crdt.value.Leaf;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Documents as readers see them, from a storage; any thread. */
public final class DocumentReader {
  private DocumentReader() {}

  /** The document as of the newest commit, or null when it does not exist. */
  public static @Nullable NodeRecord read(Storage storage, byte[] id) {
    byte[] row = storage.get(Table.STATE, id);
    if (row == null) {
      return null;
    }
    DocumentState state = DocumentState.read(row);
    if (!state.hasSequences()) {
      return NodeRecord.of(id, state, Content.Source.NONE);
    }
    // The row and those of its sequences must be of one commit.
    try (var snapshot = storage.snapshot()) {
      byte[] same = snapshot.get(Table.STATE, id);
      return same == null ? null : read(snapshot, id, same);
    }
  }

  /** The document whose row in a snapshot is {@code row}, or null when it does not exist. */
  public static @Nullable NodeRecord read(Storage.Snapshot snapshot, byte[] id, byte[] row) {
    return NodeRecord.of(id, DocumentState.read(row), OpenSequences.in(snapshot, id));
  }

  /**
   * A put that makes a document again where it is not, with its embedding, texts, lists and sets;
   * null when it does not exist. What competes in it, and the past of its texts, stay behind.
   */
  public static Edit.@Nullable Put again(Storage.Snapshot snapshot, byte[] id, byte[] row) {
    DocumentState state = DocumentState.read(row);
    if (!state.exists()) {
      return null;
    }
    DocumentView view = DocumentView.of(state, OpenSequences.in(snapshot, id));
    List<Leaf> leaves = view.leaves().isEmpty() ? CanonicalJson.leaves(view.json()) : view.leaves();
    return new Edit.Put(id, leaves, NodeRecord.rawEmbedding(state), view.typed());
  }

  /**
   * The contests of a document.
   *
   * @throws CoreException when it does not exist
   */
  public static List<Contest> contests(Storage.Snapshot snapshot, byte[] key, String id) {
    byte[] row = snapshot.get(Table.STATE, key);
    DocumentState state = row == null ? new DocumentState() : DocumentState.read(row);
    if (!state.exists()) {
      throw CoreException.notFound(id);
    }
    return Contest.of(state, OpenSequences.in(snapshot, key));
  }
}
