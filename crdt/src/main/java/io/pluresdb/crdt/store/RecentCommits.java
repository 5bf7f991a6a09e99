package io.pluresdb.crdt.store;

import io.pluresdb.crdt.store.Staging.DocumentKey;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Iterator;

/** Which documents the last commits touched. */
final class RecentCommits {
  /** Older commits are forgotten beyond this many documents. */
  static final int MAX_DOCUMENTS = 8_192;

  /**
   * The hashes of documents: a set that may claim to hold one it does not, and never the reverse.
   * Ids themselves would live for some commits, and every collection would copy them.
   */
  private static final class Commit {
    final long arrivals;
    final int documents;

    /** By hash, or the next place that is free; 0 for none. A power of two. */
    private final int[] hashes;

    Commit(long arrivals, Collection<DocumentKey> touched) {
      this.arrivals = arrivals;
      this.documents = touched.size();
      this.hashes = new int[Integer.highestOneBit(Math.max(1, touched.size())) << 2];
      for (DocumentKey id : touched) {
        hashes[find(hash(id))] = hash(id);
      }
    }

    boolean mayHold(DocumentKey id) {
      return hashes[find(hash(id))] != 0;
    }

    private static int hash(DocumentKey id) {
      return id.hashCode() == 0 ? 1 : id.hashCode();
    }

    private int find(int hash) {
      int at = (hash ^ hash >>> 16) & (hashes.length - 1);
      while (hashes[at] != 0 && hashes[at] != hash) {
        at = (at + 1) & (hashes.length - 1);
      }
      return at;
    }
  }

  private final ArrayDeque<Commit> commits = new ArrayDeque<>();
  private int documents;

  /** Everything after these arrivals is remembered. */
  private long since;

  RecentCommits(long arrivals) {
    since = arrivals;
  }

  /** Takes a commit in. */
  void add(long arrivals, Collection<DocumentKey> touched) {
    commits.add(new Commit(arrivals, touched));
    documents += touched.size();
    while (documents > MAX_DOCUMENTS) {
      Commit oldest = commits.remove();
      documents -= oldest.documents;
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
      if (commit.mayHold(id)) {
        return false;
      }
    }
    return true;
  }
}
