package io.pluresdb.storage.search;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.store.CommitView;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.EdgeIndex;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.storage.embedding.EmbedText;
import io.pluresdb.storage.index.DerivedIndex;
import io.pluresdb.storage.index.DocumentQuery;
import io.pluresdb.storage.index.FieldIndex;
import io.pluresdb.storage.index.FieldIndexes;
import io.pluresdb.storage.index.Filter;
import io.pluresdb.storage.index.Finder;
import io.pluresdb.storage.index.IndexDefinition;
import io.pluresdb.storage.text.TextIndex;
import io.pluresdb.storage.text.TextQuery;
import io.pluresdb.storage.vector.VectorIndex;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The searches of a database. Safe from any thread.
 *
 * <p>Whatever was acknowledged before a search began is seen by it. Indexes are made when they are
 * first needed and follow the arrival log from then on.
 */
public final class SearchIndexes implements Searches, AutoCloseable {
  /** Documents of each leg of a search that has both, at least. */
  private static final int MIN_LEG = 100;

  /** How many times the documents wanted each leg of a search that has both gives. */
  private static final int LEG_FACTOR = 4;

  private final Storage storage;
  private final @Nullable Path folder;
  private final FieldIndexes fields;
  private final Follower follower;
  private final Dimensions dimensions;
  private volatile @Nullable TextIndex text;
  private volatile @Nullable VectorIndex vectors;
  private final @Nullable Embedding embedding;
  private final @Nullable MissingEmbeddings missing;
  private final Follower embeddings;
  private boolean closed; // Guarded by this.

  /**
   * What makes embeddings.
   *
   * @param fields dotted names of the fields whose text is embedded; empty for all
   * @param documents whether documents get the embeddings they lack, or searches alone use it
   */
  public record Embedding(EmbedText embedder, List<String> fields, boolean documents) {}

  private SearchIndexes(
      Storage storage, CrdtStore store, @Nullable Path folder, @Nullable Embedding embedding) {
    this.storage = storage;
    this.folder = folder;
    this.fields = new FieldIndexes(storage);
    this.follower = new Follower(storage, store);
    this.dimensions = new Dimensions(storage);
    this.embedding = embedding;
    // On a thread of its own: a model may be slow.
    this.embeddings = new Follower(storage, store);
    fields.all().forEach(follower::add);
    if (embedding == null || !embedding.documents) {
      missing = null;
    } else {
      missing = new MissingEmbeddings(storage, store, embedding.embedder, embedding.fields);
      embeddings.add(missing);
    }
    if (TextIndex.isKnown(storage)) {
      text();
    }
    if (VectorIndex.isKnown(storage)) {
      vectors();
    }
  }

  /** The vector index, made when it is first asked for. */
  private synchronized VectorIndex vectors() {
    VectorIndex index = vectors;
    if (index == null) {
      requireOpen();
      index = VectorIndex.open(storage, folder == null ? null : folder.resolve("vectors"));
      vectors = index;
      follower.add(index);
    }
    return index;
  }

  /** The text index, made when it is first asked for. */
  private synchronized TextIndex text() {
    TextIndex index = text;
    if (index == null) {
      requireOpen();
      index = TextIndex.open(storage, folder == null ? null : folder.resolve("text"));
      text = index;
      follower.add(index);
    }
    return index;
  }

  private void requireOpen() {
    if (closed) {
      throw new CoreException(CoreException.Kind.CLOSED, "the database has been closed");
    }
  }

  /**
   * Opens the indexes that there are.
   *
   * @param storage that {@code store} writes to; it must outlive this
   * @param folder where indexes keep what is not in the storage; made when needed. Null beside a
   *     storage that is encrypted: indexes of words and vectors are in memory then, and made anew
   *     when they are first needed after a start
   */
  public static SearchIndexes open(Storage storage, CrdtStore store, @Nullable Path folder) {
    return open(storage, store, folder, null);
  }

  /**
   * As the other, with something that makes embeddings.
   *
   * @param embedding null for nothing; the caller closes it
   */
  public static SearchIndexes open(
      Storage storage, CrdtStore store, @Nullable Path folder, @Nullable Embedding embedding) {
    return new SearchIndexes(storage, store, folder, embedding);
  }

  /**
   * Whether a row of {@link Storage.Table#INDEX} names files, and is worth nothing without them.
   */
  public static boolean namesFiles(byte[] key) {
    return TextIndex.namesFiles(key) || VectorIndex.namesFiles(key);
  }

  @Override
  public @Nullable EmbeddingStats embeddingStats() {
    return missing == null ? null : missing.stats(arrivals(), embeddings.failure(missing));
  }

  @Override
  public float[] embed(String text) {
    if (embedding == null) {
      throw new CoreException(
          CoreException.Kind.FEATURE_DISABLED,
          "nothing here makes embeddings of texts: set embedding.model or embedding.url, or give an"
              + " embedding");
    }
    return embedding.embedder.embed(List.of(text)).getFirst();
  }

  @Override
  public boolean declare(IndexDefinition definition) {
    FieldIndex index = fields.declare(definition);
    if (index == null) {
      return false;
    }
    follower.add(index);
    return true;
  }

  /** The indexes on fields. */
  public List<IndexDefinition> definitions() {
    return fields.all().stream().map(FieldIndex::definition).toList();
  }

  @Override
  public boolean drop(IndexDefinition definition) {
    FieldIndex index = fields.find(definition);
    if (index == null) {
      return false;
    }
    follower.remove(index);
    fields.drop(index);
    return true;
  }

  @Override
  public List<IndexStatus> status() {
    var all = new ArrayList<IndexStatus>();
    for (FieldIndex index : fields.all()) {
      all.add(status("fields", index.definition().fields(), index));
    }
    TextIndex words = text;
    if (words != null) {
      all.add(status("text", List.of(), words));
    }
    VectorIndex near = vectors;
    if (near != null) {
      var dimensions = near.dimensions().stream().map(String::valueOf).toList();
      all.add(status("vectors", dimensions, near));
    }
    return all;
  }

  private IndexStatus status(String kind, List<String> of, DerivedIndex index) {
    RuntimeException failure = follower.failure(index);
    return new IndexStatus(
        kind, of, index.arrivals(), failure == null ? "" : String.valueOf(failure.getMessage()));
  }

  @Override
  public CrdtStore.Documents find(DocumentQuery query) {
    return Finder.find(CommitView.of(storage), fields.all(), query);
  }

  @Override
  public EdgeIndex.Page edges(
      String id,
      EdgeIndex.Direction direction,
      @Nullable String relation,
      @Nullable String after,
      int limit) {
    try (var snapshot = storage.snapshot()) {
      return EdgeIndex.of(snapshot, id, direction, relation, after, limit);
    }
  }

  @Override
  public List<Hit> search(Request request) {
    boolean both = request.text() != null && request.embedding().length > 0;
    int wanted = both ? Math.max(MIN_LEG, LEG_FACTOR * request.limit()) : request.limit();
    List<Hit> byText = List.of();
    List<Hit> byVector = List.of();
    TextQuery words = request.text();
    if (words != null) {
      TextIndex index = text();
      follower.await(index, arrivals(), request.waitMillis());
      try (CommitView view = CommitView.of(storage)) {
        byText = Fuser.ofText(index.search(view, words, request.filter(), wanted));
      }
    }
    if (request.embedding().length > 0) {
      VectorIndex index = vectors();
      follower.await(index, arrivals(), request.waitMillis());
      try (CommitView view = CommitView.of(storage)) {
        byVector = Fuser.ofVector(near(index, view, request, wanted));
      }
    }
    if (!both) {
      return words != null ? byText : byVector;
    }
    return Fuser.fuse(byText, byVector, request.fusion(), request.limit());
  }

  private List<VectorIndex.Hit> near(
      VectorIndex index, CommitView view, Request request, int wanted) {
    Filter filter = request.filter();
    boolean all = filter.tests().isEmpty();
    return index.search(
        view,
        request.embedding(),
        wanted,
        request.threshold(),
        all ? null : document -> filter.accepts(document.data()),
        () -> Finder.ids(view, fields.all(), filter));
  }

  @Override
  public String instructions() {
    return VectorIndex.instructions();
  }

  @Override
  public void prepareDimensions() {
    dimensions.prepare();
  }

  @Override
  public void requireDimensions(List<Edit> edits) {
    dimensions.require(edits);
  }

  @Override
  public List<String> mixedDimensions(int limit) {
    return dimensions.mixed(limit);
  }

  @Override
  public void await(long millis) {
    long arrivals = arrivals();
    for (DerivedIndex index : all()) {
      follower.await(index, arrivals, millis);
    }
  }

  /** Makes on disk what the indexes hold, as happens by itself from time to time. */
  void saveAll() {
    follower.saveAll();
  }

  private List<DerivedIndex> all() {
    var all = new ArrayList<DerivedIndex>(fields.all());
    TextIndex words = text;
    if (words != null) {
      all.add(words);
    }
    VectorIndex near = vectors;
    if (near != null) {
      all.add(near);
    }
    return all;
  }

  private long arrivals() {
    try (CommitView view = CommitView.of(storage)) {
      return view.arrivals();
    }
  }

  @Override
  public List<String> differences(int limit, long millis) {
    await(millis);
    var found = new ArrayList<String>();
    try (CommitView view = CommitView.of(storage)) {
      for (FieldIndex index : fields.all()) {
        found.addAll(index.differences(view, limit));
      }
      TextIndex words = text;
      // One that goes on meanwhile cannot be compared with one commit.
      if (words != null && words.arrivals() == view.arrivals()) {
        found.addAll(words.differences(view, limit));
      }
      VectorIndex near = vectors;
      if (near != null && near.arrivals() == view.arrivals()) {
        found.addAll(near.differences(view, limit));
      }
    }
    return found;
  }

  @Override
  public void close() {
    synchronized (this) {
      closed = true;
    }
    if (missing != null) {
      missing.stop();
    }
    embeddings.close();
    follower.close();
    all().forEach(DerivedIndex::close);
  }
}
