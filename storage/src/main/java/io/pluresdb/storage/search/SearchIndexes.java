package io.pluresdb.storage.search;

import io.pluresdb.crdt.store.CommitView;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.storage.index.DocumentQuery;
import io.pluresdb.storage.index.FieldIndex;
import io.pluresdb.storage.index.FieldIndexes;
import io.pluresdb.storage.index.Finder;
import io.pluresdb.storage.index.IndexDefinition;
import java.util.ArrayList;
import java.util.List;

/**
 * The searches of a database. Safe from any thread.
 *
 * <p>Whatever was acknowledged before a search began is seen by it. Indexes are made when they are
 * first needed and follow the arrival log from then on.
 */
public final class SearchIndexes implements Searches, AutoCloseable {
  private final Storage storage;
  private final FieldIndexes fields;
  private final Follower follower;

  private SearchIndexes(Storage storage, CrdtStore store) {
    this.storage = storage;
    this.fields = new FieldIndexes(storage);
    this.follower = new Follower(storage, store);
    fields.all().forEach(follower::add);
  }

  /**
   * Opens the indexes that there are.
   *
   * @param storage that {@code store} writes to; it must outlive this
   */
  public static SearchIndexes open(Storage storage, CrdtStore store) {
    return new SearchIndexes(storage, store);
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
      RuntimeException failure = follower.failure(index);
      all.add(
          new IndexStatus(
              "fields",
              index.definition().fields(),
              index.arrivals(),
              failure == null ? "" : String.valueOf(failure.getMessage())));
    }
    return all;
  }

  @Override
  public CrdtStore.Documents find(DocumentQuery query) {
    return Finder.find(CommitView.of(storage), fields.all(), query);
  }

  @Override
  public void await(long millis) {
    long arrivals = arrivals();
    for (FieldIndex index : fields.all()) {
      follower.await(index, arrivals, millis);
    }
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
        if (index.arrivals() == view.arrivals()) {
          found.addAll(index.differences(view, limit));
        }
      }
    }
    return found;
  }

  @Override
  public void close() {
    follower.close();
    fields.all().forEach(FieldIndex::close);
  }
}
