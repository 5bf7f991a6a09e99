package io.pluresdb.storage.index;

import io.pluresdb.crdt.store.CommitView;
import java.util.List;

/**
 * What is computed from the documents and follows the arrival log: behind after a crash, never
 * ahead. One thread at a time changes it.
 */
public interface DerivedIndex extends AutoCloseable {
  /** Said of an index that must be made from all documents. */
  long NOTHING = -1;

  /** What people call it. */
  String name();

  /** Everything that arrived up to here is in it; {@link #NOTHING} before it was made. */
  long arrivals();

  /** Makes it anew of all documents of a commit. */
  void rebuild(CommitView view);

  /**
   * Takes in what documents are now.
   *
   * @param ids of documents that may have changed, each once
   * @param next where the index is afterwards
   */
  void apply(CommitView view, List<byte[]> ids, long next);

  /**
   * Makes on disk what it holds, where it does not do so with each step.
   *
   * @param atOnce also when the last time is not long ago
   */
  void save(boolean atOnce);

  @Override
  void close();
}
