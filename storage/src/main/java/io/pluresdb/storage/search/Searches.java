package io.pluresdb.storage.search;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.EdgeIndex;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.storage.index.DocumentQuery;
import io.pluresdb.storage.index.Filter;
import io.pluresdb.storage.index.IndexDefinition;
import io.pluresdb.storage.text.Highlight;
import io.pluresdb.storage.text.TextQuery;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The searches of a database. Safe from any thread.
 *
 * <p>Whatever was acknowledged before a search began is seen by it.
 */
public interface Searches {
  /**
   * How far an index is.
   *
   * @param kind {@code fields}, {@code text} or {@code vectors}
   * @param fields what it is of
   * @param arrivals changes that are in it; -1 before it was made
   * @param error why it does not follow, empty while it does
   */
  record IndexStatus(String kind, List<String> fields, long arrivals, String error) {}

  /**
   * How the making of embeddings goes on, since the start.
   *
   * @param model what makes them
   * @param dimension of the newest; 0 before the first
   * @param behind changes that arrived and were not looked at yet
   * @param embedded documents that got an embedding
   * @param calls of the model, for several documents each
   * @param callMillis how long they took together
   * @param error why it does not go on, empty while it does; it is tried again
   */
  record EmbeddingStats(
      String model,
      int dimension,
      long behind,
      long embedded,
      long calls,
      long callMillis,
      String error) {}

  /** How the making of embeddings goes on; null where none are made. */
  @Nullable EmbeddingStats embeddingStats();

  /**
   * The embedding of a text, to search with.
   *
   * @throws CoreException when nothing here makes embeddings
   * @throws io.pluresdb.storage.embedding.EmbeddingException when it cannot be made now
   */
  float[] embed(String text);

  /** Whether vector instructions of the processor are used: {@code simd} or {@code none}. */
  String instructions();

  /** Whether {@link #requireDimensions} has anything to say about an edit. */
  static boolean concernsDimension(Edit edit) {
    return Dimensions.concerns(edit);
  }

  /** Finds out the dimension of each collection, which reads all documents the first time. */
  void prepareDimensions();

  /**
   * Refuses edits that would give a document an embedding, or a {@code type}, so that its dimension
   * is not that of its collection: the documents with the same {@code type}, or those without one.
   * What other devices write is not asked.
   *
   * @throws CoreException when one has another
   */
  void requireDimensions(List<Edit> edits);

  /**
   * Collections in which embeddings have several dimensions, as other devices may have written
   * them; a sentence each, at most {@code limit}.
   */
  List<String> mixedDimensions(int limit);

  /** Declares a secondary index, which is made in the background; false when there is one. */
  boolean declare(IndexDefinition definition);

  /** Forgets a secondary index; false when there was none. */
  boolean drop(IndexDefinition definition);

  List<IndexStatus> status();

  /** The documents of a query, all of one moment; close the answer. */
  CrdtStore.Documents find(DocumentQuery query);

  /**
   * The edges of a document whose ends both exist, as of the newest commit.
   *
   * @see EdgeIndex#of
   */
  EdgeIndex.Page edges(
      String id,
      EdgeIndex.Direction direction,
      @Nullable String relation,
      @Nullable String after,
      int limit);

  /** How the two legs of a search are put together. */
  sealed interface Fusion {
    /** By the places in both (Cormack, Clarke and Buettcher, SIGIR 2009). */
    record ReciprocalRank() implements Fusion {}

    /**
     * By the scores: {@code alpha} of the cosine and the rest of the text's, which is divided by
     * the greatest.
     */
    record Weighted(double alpha) implements Fusion {
      public Weighted {
        if (!(alpha >= 0 && alpha <= 1)) {
          throw CoreException.invalid("alpha must be 0 to 1, but is " + alpha);
        }
      }
    }
  }

  /**
   * What is looked for: words, a vector or both.
   *
   * @param text null for none
   * @param embedding empty for none
   * @param filter what documents must hold besides
   * @param limit most documents, 1 to {@link #MAX_HITS}; so many are given if there are so many
   * @param threshold least cosine, 0 to 1
   * @param waitMillis how long the indexes may take to follow what was written before
   */
  record Request(
      @Nullable TextQuery text,
      float[] embedding,
      Filter filter,
      int limit,
      double threshold,
      Fusion fusion,
      long waitMillis) {
    public Request {
      if (text == null && embedding.length == 0) {
        throw CoreException.invalid("a search needs a query, an embedding or both");
      }
      if (limit < 1 || limit > MAX_HITS) {
        throw CoreException.invalid("limit must be 1 to " + MAX_HITS + ", but is " + limit);
      }
      if (!(threshold >= 0 && threshold <= 1)) {
        throw CoreException.invalid("threshold must be 0 to 1, but is " + threshold);
      }
    }
  }

  /** Most documents of a search. */
  int MAX_HITS = 10_000;

  /** How long a search waits for an index unless said otherwise. */
  long DEFAULT_WAIT_MILLIS = 30_000;

  /**
   * What one leg says of a document.
   *
   * @param rank from 1
   * @param score BM25 of the text, max(0, cosine) of the vector
   */
  record Leg(int rank, double score) {}

  /**
   * A document that was found.
   *
   * @param score of the only leg, or of both put together
   * @param text null when the words were not found in it
   * @param vector null when it has no vector, or one too different
   */
  record Hit(
      NodeRecord document,
      double score,
      @Nullable Leg text,
      @Nullable Leg vector,
      List<Highlight> highlights) {}

  /**
   * The best documents, best first.
   *
   * @throws IndexBehindException when an index does not follow within the time
   */
  List<Hit> search(Request request);

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
