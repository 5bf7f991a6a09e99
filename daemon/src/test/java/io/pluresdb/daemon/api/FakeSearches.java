package io.pluresdb.daemon.api;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.doc.Edge;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.EdgeIndex;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.storage.index.DocumentQuery;
import io.pluresdb.storage.index.IndexDefinition;
import io.pluresdb.storage.search.Searches;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Searches over a {@link FakeStore} by looking at every document; it does not sort. */
final class FakeSearches implements Searches {
  private final FakeStore store;
  private final List<IndexDefinition> declared = new ArrayList<>();

  FakeSearches(FakeStore store) {
    this.store = store;
  }

  @Override
  public boolean declare(IndexDefinition definition) {
    return !declared.contains(definition) && declared.add(definition);
  }

  @Override
  public boolean drop(IndexDefinition definition) {
    return declared.remove(definition);
  }

  @Override
  public List<IndexStatus> status() {
    return declared.stream().map(d -> new IndexStatus("fields", d.fields(), 7, "")).toList();
  }

  @Override
  public CrdtStore.Documents find(DocumentQuery query) {
    var found = new ArrayList<NodeRecord>();
    try (CrdtStore.Documents all = store.list(query.prefix(), query.after())) {
      while (all.hasNext()) {
        NodeRecord document = all.next();
        if (query.filter().accepts(document.data())) {
          found.add(document);
        }
      }
    }
    Iterator<NodeRecord> documents = found.iterator();
    return new CrdtStore.Documents() {
      @Override
      public boolean hasNext() {
        return documents.hasNext();
      }

      @Override
      public NodeRecord next() {
        return documents.next();
      }

      @Override
      public void close() {}
    };
  }

  @Override
  public List<Hit> search(Request request) {
    var hits = new ArrayList<Hit>();
    float[] embedding = request.embedding();
    if (embedding.length > 0) {
      for (CrdtStore.Hit hit :
          store.vectorSearch(embedding, request.limit(), request.threshold())) {
        var leg = new Leg(hits.size() + 1, hit.score());
        hits.add(new Hit(hit.document(), hit.score(), null, leg, List.of()));
      }
    }
    return hits;
  }

  @Override
  public EdgeIndex.Page edges(
      String id,
      EdgeIndex.Direction direction,
      @Nullable String relation,
      @Nullable String after,
      int limit) {
    return new EdgeIndex.Page(
        List.of(new EdgeIndex.Found("edge:1", Edge.checked(id, "knows", "b"))), null);
  }

  @Override
  public @Nullable EmbeddingStats embeddingStats() {
    return null;
  }

  @Override
  public float[] embed(String text) {
    throw new CoreException(CoreException.Kind.FEATURE_DISABLED, "nothing makes embeddings");
  }

  @Override
  public String instructions() {
    return "none";
  }

  @Override
  public void prepareDimensions() {}

  @Override
  public void requireDimensions(List<Edit> edits) {}

  @Override
  public List<String> mixedDimensions(int limit) {
    return List.of();
  }

  @Override
  public void await(long millis) {}

  @Override
  public List<String> differences(int limit, long millis) {
    return List.of();
  }
}
