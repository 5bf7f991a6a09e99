package io.pluresdb.storage.search;

import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.storage.index.DocumentQuery;
import io.pluresdb.storage.index.IndexDefinition;
import java.util.List;

/**
 * The searches of a database. Safe from any thread.
 *
 * <p>Whatever was acknowledged before a search began is seen by it.
 */
public interface Searches {
  /**
   * How far an index is.
   *
   * @param kind {@code fields}
   * @param fields what it is of
   * @param arrivals changes that are in it; -1 before it was made
   * @param error why it does not follow, empty while it does
   */
  record IndexStatus(String kind, List<String> fields, long arrivals, String error) {}

  /** Declares a secondary index, which is made in the background; false when there is one. */
  boolean declare(IndexDefinition definition);

  /** Forgets a secondary index; false when there was none. */
  boolean drop(IndexDefinition definition);

  List<IndexStatus> status();

  /** The documents of a query, all of one moment; close the answer. */
  CrdtStore.Documents find(DocumentQuery query);

  /**
   * Waits until every index holds what has arrived by now.
   *
   * @throws IndexBehindException when one does not within the time
   */
  void await(long millis);

  /**
   * What differs between the indexes and the documents, once they have followed.
   *
   * @param limit most sentences
   * @throws IndexBehindException when they do not follow within the time
   */
  List<String> differences(int limit, long millis);
}
