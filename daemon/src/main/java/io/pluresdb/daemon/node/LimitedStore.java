package io.pluresdb.daemon.node;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.doc.Contest;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.History;
import io.pluresdb.crdt.store.Moment;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.store.RunOutcome;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.storage.search.Searches;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A database as its applications write to it: what would take it over its {@link Quota} is refused
 * with {@code NODE_QUOTA_EXCEEDED}, and what would mix dimensions of embeddings in a collection.
 * Deleting and reading always work.
 *
 * <p>Writes that are under way are counted too, so documents never exceed the limit; of several at
 * once near it, one may be refused that would have had room.
 */
final class LimitedStore implements CrdtStore {
  private static final long MEASURE_NANOS = TimeUnit.SECONDS.toNanos(1);

  private final String name;
  private final CrdtStore store;
  private final Supplier<Quota> quota;
  private final LongSupplier bytes;
  private final Searches searches;
  private final AtomicLong underWay = new AtomicLong();
  private long measuredAtNanos = System.nanoTime() - MEASURE_NANOS; // Guarded by this.
  private long measured; // Guarded by this.

  /**
   * @param bytes what the database takes on disk
   */
  LimitedStore(
      String name, CrdtStore store, Supplier<Quota> quota, LongSupplier bytes, Searches searches) {
    this.name = name;
    this.store = store;
    this.quota = quota;
    this.bytes = bytes;
    this.searches = searches;
  }

  @Override
  public CompletableFuture<Receipt> submit(Transaction transaction) {
    return within(transaction, () -> store.submit(transaction));
  }

  @Override
  public CompletableFuture<Receipt> submitIf(List<Condition> conditions, Transaction transaction) {
    return within(transaction, () -> store.submitIf(conditions, transaction));
  }

  private CompletableFuture<Receipt> within(
      Transaction transaction, Supplier<CompletableFuture<Receipt>> submission) {
    searches.requireDimensions(transaction.edits());
    Quota limit = quota.get();
    if (limit.equals(Quota.NONE)
        || transaction.edits().stream().allMatch(Edit.Delete.class::isInstance)) {
      return submission.get();
    }
    if (limit.bytes() > 0 && measure() >= limit.bytes()) {
      return refused("takes " + measured() + " bytes on disk, and quota.bytes is " + limit.bytes());
    }
    long more = limit.documents() == 0 ? 0 : reserve(transaction, limit.documents());
    if (more < 0) {
      return refused(
          "holds "
              + store.status().documents()
              + " documents, and quota.documents is "
              + limit.documents());
    }
    if (more == 0) {
      return submission.get();
    }
    try {
      return submission.get().whenComplete((r, failure) -> underWay.addAndGet(-more));
    } catch (RuntimeException e) {
      underWay.addAndGet(-more);
      throw e;
    }
  }

  private CompletableFuture<Receipt> refused(String why) {
    return CompletableFuture.failedFuture(
        new NodeException(
            "NODE_QUOTA_EXCEEDED",
            "database \"" + name + "\" " + why,
            "delete documents, or raise the quota: pluresdb db quota " + name));
  }

  /** Counts the documents that a transaction makes as under way; -1 when they are too many. */
  private synchronized long reserve(Transaction transaction, long limit) {
    var put = new HashSet<String>();
    for (Edit edit : transaction.edits()) {
      if (edit instanceof Edit.Put(byte[] id, var _, var _, var _)) {
        put.add(new String(id, StandardCharsets.UTF_8));
      }
    }
    // In this order: a write that ends between the two is counted twice, never not at all.
    long ending = underWay.get();
    long room = limit - store.status().documents() - ending;
    if (put.size() > room) {
      put.removeIf(id -> store.get(id).isPresent());
    }
    if (!put.isEmpty() && put.size() > room) {
      return -1;
    }
    underWay.addAndGet(put.size());
    return put.size();
  }

  private synchronized long measure() {
    long now = System.nanoTime();
    if (now - measuredAtNanos >= MEASURE_NANOS) {
      measured = bytes.getAsLong();
      measuredAtNanos = now;
    }
    return measured;
  }

  private synchronized long measured() {
    return measured;
  }

  @Override
  public CompletableFuture<RunOutcome> apply(ChangeRun run) {
    return store.apply(run);
  }

  @Override
  public Optional<NodeRecord> get(String id) {
    return store.get(id);
  }

  @Override
  public Documents list(String prefix, @Nullable String after) {
    return store.list(prefix, after);
  }

  @Override
  public History history(String id, int limit, long before) {
    return store.history(id, limit, before);
  }

  @Override
  public byte @Nullable [] deviceKey(ActorId actor) {
    return store.deviceKey(actor);
  }

  @Override
  public Optional<NodeRecord> getAsOf(String id, Moment moment) {
    return store.getAsOf(id, moment);
  }

  @Override
  public List<Contest> contests(String id) {
    return store.contests(id);
  }

  @Override
  public Events events(String prefix, long since, int limit) {
    return store.events(prefix, since, limit);
  }

  @Override
  public Subscription subscribe(Runnable listener) {
    return store.subscribe(listener);
  }

  @Override
  public List<Hit> vectorSearch(float[] embedding, int limit, double threshold) {
    return store.vectorSearch(embedding, limit, threshold);
  }

  @Override
  public Status status() {
    return store.status();
  }

  @Override
  public void close() {
    store.close();
  }
}
