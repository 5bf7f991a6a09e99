package io.pluresdb.crdt.store;

import io.pluresdb.crdt.store.Staging.DocumentKey;
import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.Set;

/** Which documents the last commits touched. */
final class RecentCommits {
  /** Older commits are forgotten beyond this many documents. */
  static final int MAX_DOCUMENTS = 8_192;

  private record Commit(long arrivals, Set<DocumentKey> documents) {}

  private final ArrayDeque<Commit> commits = new ArrayDeque<>();
  private int documents;

  /** Everything after these arrivals is remembered. */
  private long since;

  RecentCommits(long arrivals) {
    since = arrivals;
  }

  /** Takes a commit in; {@code touched} must not change any more. */
  void add(long arrivals, Set<DocumentKey> touched) {
    commits.add(new Commit(arrivals, touched));
    documents += touched.size();
    while (documents > MAX_DOCUMENTS) {
      Commit oldest = commits.remove();
      documents -= oldest.documents.size();
      since = oldest.arrivals;
    }
  }

  /** Whether a document is certainly as it was when the log had that many arrivals. */
  boolean isUntouched(DocumentKey id, long arrivals) {
    if (arrivals < since) {
      return false;
    }
    for (Iterator<Commit> newest = commits.descendingIterator(); newest.hasNext(); ) {
      Commit commit = newest.next();
      if (commit.arrivals <= arrivals) {
        return true;
      }
      if (commit.documents.contains(id)) {
        return false;
      }
    }
    return true;
  }
}
