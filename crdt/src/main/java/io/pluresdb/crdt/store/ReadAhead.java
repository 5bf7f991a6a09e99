package io.pluresdb.crdt.store;

import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.store.Staging.DocumentKey;
import io.pluresdb.crdt.store.Staging.StagedDocument;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The documents a transaction touches, read before it queues, on the thread of whoever submits it:
 * reading them was a fifth of the replica loop's time.
 *
 * <p>A document is taken from here only when no commit touched it since; the replica remembers its
 * last commits for that. Used once, by the replica's thread, after it was made.
 */
public final class ReadAhead {
  /** Further documents of a transaction are read when it is staged. */
  static final int MAX_DOCUMENTS = 64;

  /** Arrivals of the commit that had ended when reading began. */
  final long since;

  private final Map<DocumentKey, StagedDocument> documents = new HashMap<>();

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
    return ahead;
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
