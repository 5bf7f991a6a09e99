package io.pluresdb.crdt.store;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.doc.Content;
import io.pluresdb.crdt.doc.Contest;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.doc.DocumentView;
import io.pluresdb.crdt.op.Register;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.value.CanonicalJson;
import io.pluresdb.crdt.value.Leaf;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeMap;
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
   * Edits that make a document again where it is not, with its embedding, texts, lists and sets;
   * none when it does not exist. What competes in it, and the past of its texts, stay behind.
   */
  public static List<Edit> again(Storage.Snapshot snapshot, byte[] id, byte[] row) {
    DocumentState state = DocumentState.read(row);
    if (!state.exists()) {
      return List.of();
    }
    DocumentView view = DocumentView.of(state, OpenSequences.in(snapshot, id));
    var typed = new TreeMap<byte[], byte[]>(Arrays::compareUnsigned);
    view.typed().forEach(register -> typed.put(Register.path(register), register));
    var edits = new ArrayList<Edit>();
    var plain = new ArrayList<Leaf>();
    for (Leaf leaf : view.leaves()) {
      byte[] register = typed.get(leaf.path());
      if (register == null) {
        plain.add(leaf);
      } else {
        edits.add(typed(id, register, leaf));
      }
    }
    if (plain.isEmpty()) {
      plain.addAll(CanonicalJson.leaves(CanonicalJson.join(List.of())));
    }
    edits.addFirst(new Edit.Put(id, plain, NodeRecord.rawEmbedding(state)));
    return edits;
  }

  private static Edit typed(byte[] id, byte[] register, Leaf leaf) {
    return switch (register[0]) {
      case Register.TEXT ->
          new Edit.TextSplice(id, leaf.path(), 0, 0, CanonicalJson.text(leaf.value()));
      case Register.LIST ->
          new Edit.ListInsert(id, leaf.path(), 0, CanonicalJson.elements(leaf.value()));
      case Register.SET -> new Edit.SetAdd(id, leaf.path(), CanonicalJson.elements(leaf.value()));
      default -> throw new IllegalStateException("register of space " + register[0]);
    };
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
