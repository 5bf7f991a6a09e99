package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.doc.Difference;
import io.pluresdb.crdt.doc.DocumentState;
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

  private final Map<DocumentKey, StagedDocument> documents = new HashMap<>();

  private @Nullable NewDocument newDocument;

  /**
   * The one document that a transaction puts, ready for the log, if nothing is known of it still.
   *
   * @param body of the change
   */
  record NewDocument(List<CrdtOperation> operations, byte[] body, Hash bodyHash) {
    /** Null when the transaction does something else, or too much. */
    static @Nullable NewDocument of(Transaction transaction) {
      if (transaction.edits().size() != 1
          || !(transaction.edits().getFirst() instanceof Edit.Put put)
          || !put.typed().isEmpty()) {
        return null;
      }
      List<CrdtOperation> operations = Difference.fresh(put.leaves(), put.embedding());
      if (operations.size() > ChangeBody.MAX_OPERATIONS) {
        return null;
      }
      byte[] body = ChangeBody.encode(NOBODY, List.of(new DocumentEdit(put.id(), operations)));
      return new NewDocument(operations, body, Hash.bulk(body, body.length));
    }
  }

  private ReadAhead(long since) {
    this.since = since;
  }

  /** Reads what {@code transaction} will need; any thread. */
  public static ReadAhead of(Replica replica, Transaction transaction) {
    var ahead = new ReadAhead(replica.view().arrivals());
    for (Edit edit : transaction.edits()) {
      if (ahead.documents.size() == MAX_DOCUMENTS) {
        break;
      }
      ahead.documents.computeIfAbsent(
          new DocumentKey(edit.id()), id -> read(replica.storage(), id));
    }
    boolean allNew = ahead.documents.values().stream().allMatch(StagedDocument::isUnknown);
    ahead.newDocument = allNew ? NewDocument.of(transaction) : null;
    return ahead;
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

  /** Hands the document over, or null when it was not read. */
  @Nullable StagedDocument take(DocumentKey id) {
    return documents.remove(id);
  }
}
