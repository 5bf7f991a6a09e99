package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.doc.Difference;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.doc.NewRow;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.DocumentEdit;
import io.pluresdb.crdt.store.Staging.DocumentKey;
import io.pluresdb.crdt.store.Staging.StagedDocument;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The documents a transaction touches, read before it queues, on the thread of whoever submits it:
 * reading them was a fifth of the replica loop's time. A document that is new is encoded and hashed
 * there, too.
 *
 * <p>A document is taken from here only when no commit touched it since; the replica remembers its
 * last commits for that. Used once, by the replica's thread, after it was made.
 */
public final class ReadAhead {
  /** Further documents of a transaction are read when it is staged. */
  static final int MAX_DOCUMENTS = 64;

  /** The author of operations that name no other, and so not their author either. */
  private static final ActorId NOBODY = new ActorId(0, 0);

  /** Arrivals of the commit that had ended when reading began. */
  final long since;

  private final Map<DocumentKey, StagedDocument> documents;
  private final @Nullable NewDocument newDocument;

  /**
   * The one document that a transaction puts, ready for the log, if nothing is known of it still.
   *
   * @param body of the change
   * @param row of the document
   */
  record NewDocument(
      DocumentKey id, List<DocumentEdit> edits, byte[] body, Hash bodyHash, NewRow row) {
    /** Null when the transaction does something else, or too much. */
    static @Nullable NewDocument of(Transaction transaction, DocumentKey id) {
      if (!(transaction.edits().getFirst() instanceof Edit.Put put) || !put.typed().isEmpty()) {
        return null;
      }
      List<CrdtOperation> operations = Difference.fresh(put.leaves(), put.embedding());
      NewRow row = NewRow.of(operations);
      if (row == null || operations.size() > ChangeBody.MAX_OPERATIONS) {
        return null;
      }
      var edits = List.of(new DocumentEdit(id.bytes, operations));
      byte[] body = ChangeBody.encode(NOBODY, edits);
      return new NewDocument(id, edits, body, Hash.bulk(body, body.length), row);
    }
  }

  private ReadAhead(
      long since, Map<DocumentKey, StagedDocument> documents, @Nullable NewDocument newDocument) {
    this.since = since;
    this.documents = documents;
    this.newDocument = newDocument;
  }

  /** Reads what {@code transaction} will need; any thread. */
  public static ReadAhead of(Replica replica, Transaction transaction) {
    long since = replica.view().arrivals();
    if (transaction.edits().size() == 1) {
      var id = new DocumentKey(transaction.edits().getFirst().id());
      StagedDocument document = read(replica.storage(), id);
      return new ReadAhead(
          since,
          Map.of(id, document),
          document.isUnknown() ? NewDocument.of(transaction, id) : null);
    }
    var documents = new HashMap<DocumentKey, StagedDocument>();
    for (Edit edit : transaction.edits()) {
      if (documents.size() == MAX_DOCUMENTS) {
        break;
      }
      documents.computeIfAbsent(new DocumentKey(edit.id()), id -> read(replica.storage(), id));
    }
    return new ReadAhead(since, documents, null);
  }

  /** What to write if nothing is known of the document yet, or null when that is to be found. */
  @Nullable NewDocument newDocument() {
    return newDocument;
  }

  static StagedDocument read(Storage storage, DocumentKey id) {
    byte[] row = storage.get(Table.STATE, id.bytes);
    if (row == null) {
      return new StagedDocument(new DocumentState(), null, false);
    }
    DocumentState state = DocumentState.read(row);
    return new StagedDocument(state, row, state.exists());
  }

  /** The document, or null when it was not read; to be copied before it changes. */
  @Nullable StagedDocument document(DocumentKey id) {
    return documents.get(id);
  }
}
