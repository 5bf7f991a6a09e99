package io.pluresdb.daemon.api;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.doc.Contest;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.History;
import io.pluresdb.crdt.store.Moment;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.store.RunOutcome;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.value.CanonicalJson;
import io.pluresdb.crdt.value.Leaf;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * A store in memory with the contract of {@link CrdtStore} as one replica sees it: no merging, one
 * actor. Commits happen on the caller's thread.
 */
public final class FakeStore implements CrdtStore {
  public static final ActorId ACTOR = new ActorId(0x0123456789abcdefL, 0x1122334455667788L);

  private record Stored(List<Leaf> leaves, float @Nullable [] embedding, long seq) {}

  private final NavigableMap<String, Stored> documents = new ConcurrentSkipListMap<>();
  private final List<List<String>> log = new ArrayList<>();
  private long truncatedBelow;
  private final List<Runnable> listeners = new CopyOnWriteArrayList<>();
  private final Map<String, List<NodeRecord.Conflict>> conflicts = new HashMap<>();
  private volatile @Nullable RuntimeException failure;
  private volatile Transaction.@Nullable Acknowledgement lastAcknowledgement;
  private volatile int transactions;
  private final AtomicInteger failuresLeft = new AtomicInteger();
  private final AtomicInteger reads = new AtomicInteger();

  /** Everything submitted from now on fails with {@code failure}; null mends it. */
  public void failWith(@Nullable RuntimeException newFailure) {
    failNext(newFailure == null ? 0 : Integer.MAX_VALUE, newFailure);
  }

  /** The next submissions fail with {@code failure}. */
  public void failNext(int submissions, @Nullable RuntimeException newFailure) {
    failuresLeft.set(submissions);
    failure = newFailure;
  }

  public int failuresLeft() {
    return failuresLeft.get();
  }

  public synchronized void conflict(String id, NodeRecord.Conflict conflict) {
    conflicts.computeIfAbsent(id, i -> new ArrayList<>()).add(conflict);
  }

  public Transaction.@Nullable Acknowledgement lastAcknowledgement() {
    return lastAcknowledgement;
  }

  /** How often a document was read. */
  public int reads() {
    return reads.get();
  }

  public int transactions() {
    return transactions;
  }

  public int listeners() {
    return listeners.size();
  }

  @Override
  public CompletableFuture<Receipt> submit(Transaction transaction) {
    RuntimeException failing = failure;
    if (failing != null && failuresLeft.get() > 0) {
      failuresLeft.decrementAndGet();
      return CompletableFuture.failedFuture(failing);
    }
    long arrival;
    try {
      arrival = commit(transaction);
    } catch (CoreException e) {
      return CompletableFuture.failedFuture(e);
    }
    lastAcknowledgement = transaction.acknowledgement();
    listeners.forEach(Runnable::run);
    return CompletableFuture.completedFuture(new Receipt(ACTOR, arrival, arrival));
  }

  @Override
  public CompletableFuture<Receipt> submitIf(List<Condition> conditions, Transaction transaction) {
    for (Condition condition : conditions) {
      if (!condition.expected().test(get(condition.id()))) {
        return CompletableFuture.failedFuture(
            new CoreException(
                CoreException.Kind.PRECONDITION_FAILED, condition.id() + " is not as expected"));
      }
    }
    return submit(transaction);
  }

  private synchronized long commit(Transaction transaction) {
    var changed = new TreeMap<String, Optional<Stored>>();
    long seq = 1L + log.size();
    for (Edit edit : transaction.edits()) {
      String id = new String(edit.id(), StandardCharsets.UTF_8);
      Stored before =
          changed.containsKey(id)
              ? changed.getOrDefault(id, Optional.empty()).orElse(null)
              : documents.get(id);
      changed.put(id, after(id, before, edit, seq));
    }
    changed.forEach(
        (id, stored) -> stored.ifPresentOrElse(s -> documents.put(id, s), () -> remove(id)));
    log.add(List.copyOf(changed.keySet()));
    transactions++;
    return seq;
  }

  private void remove(String id) {
    documents.remove(id);
  }

  private static Optional<Stored> after(String id, @Nullable Stored before, Edit edit, long seq) {
    if (edit instanceof Edit.Put put) {
      byte[] raw = put.embedding();
      float[] embedding = null;
      if (raw != null) {
        embedding = new float[raw.length / 4];
        ByteBuffer.wrap(raw).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(embedding);
      }
      return Optional.of(new Stored(put.leaves(), embedding, seq));
    }
    if (before == null) {
      throw CoreException.notFound(id);
    }
    return switch (edit) {
      case Edit.Put p -> throw new IllegalStateException("handled above");
      case Edit.Patch patch ->
          Optional.of(new Stored(patch.patch().apply(before.leaves), before.embedding, seq));
      case Edit.Resolve r -> throw new IllegalStateException("nothing competes here");
      case Edit.Delete d -> Optional.empty();
      case Edit.Increment increment -> {
        var leaves = new TreeMap<byte[], Leaf>(Arrays::compareUnsigned);
        before.leaves.forEach(leaf -> leaves.put(leaf.path(), leaf));
        Leaf old = leaves.get(increment.path());
        long sum =
            increment.amount()
                + (old == null
                    ? 0
                    : Long.parseLong(new String(old.value(), StandardCharsets.US_ASCII)));
        leaves.put(
            increment.path(),
            new Leaf(increment.path(), Long.toString(sum).getBytes(StandardCharsets.US_ASCII)));
        yield Optional.of(new Stored(List.copyOf(leaves.values()), before.embedding, seq));
      }
      case Edit.Embed embed ->
          throw new UnsupportedOperationException("embeddings are made over a real store");
      case Edit.Typed typed ->
          throw new UnsupportedOperationException("typed edits are tested on a real store");
    };
  }

  @Override
  public CompletableFuture<RunOutcome> apply(ChangeRun run) {
    throw new UnsupportedOperationException("no test applies remote changes here");
  }

  @Override
  public History history(String id, int limit, long before) {
    throw new UnsupportedOperationException("HistoryRoutesTest has a real store");
  }

  @Override
  public byte @Nullable [] deviceKey(ActorId actor) {
    throw new UnsupportedOperationException("HistoryRoutesTest has a real store");
  }

  @Override
  public Optional<NodeRecord> getAsOf(String id, Moment moment) {
    throw new UnsupportedOperationException("HistoryRoutesTest has a real store");
  }

  @Override
  public List<Contest> contests(String id) {
    throw new UnsupportedOperationException("HistoryRoutesTest has a real store");
  }

  @Override
  public Optional<NodeRecord> get(String id) {
    reads.incrementAndGet();
    Stored stored = documents.get(id);
    return stored == null ? Optional.empty() : Optional.of(record(id, stored));
  }

  private synchronized NodeRecord record(String id, Stored stored) {
    return new NodeRecord(
        id,
        CanonicalJson.join(stored.leaves),
        1_700_000_000_000L + stored.seq,
        new TreeMap<>(Map.of(ACTOR, stored.seq)),
        stored.embedding,
        List.copyOf(conflicts.getOrDefault(id, List.of())),
        List.of());
  }

  @Override
  public Documents list(String prefix, @Nullable String after) {
    var entries =
        documents
            .tailMap(after != null && after.compareTo(prefix) > 0 ? after : prefix, true)
            .entrySet()
            .stream()
            .filter(e -> !e.getKey().equals(after))
            .takeWhile(e -> e.getKey().startsWith(prefix))
            .iterator();
    return new Documents() {
      @Override
      public boolean hasNext() {
        return entries.hasNext();
      }

      @Override
      public NodeRecord next() {
        var entry = entries.next();
        return record(entry.getKey(), entry.getValue());
      }

      @Override
      public void close() {}
    };
  }

  /** Forgets the events up to a place. */
  synchronized void truncate(long upTo) {
    truncatedBelow = upTo;
  }

  @Override
  public synchronized Events events(String prefix, long since, int limit) {
    var events = new ArrayList<Event>();
    long next = Math.max(since, truncatedBelow);
    for (; next < log.size() && next - since < limit; next++) {
      for (String id : log.get((int) next)) {
        if (id.startsWith(prefix)) {
          events.add(new Event(next + 1, id, get(id).orElse(null)));
        }
      }
    }
    return new Events(events, next, since < truncatedBelow);
  }

  @Override
  public Subscription subscribe(Runnable listener) {
    listeners.add(listener);
    return () -> listeners.remove(listener);
  }

  @Override
  public List<Hit> vectorSearch(float[] embedding, int limit, double threshold) {
    return documents.entrySet().stream()
        .filter(e -> dimension(e.getValue()) == embedding.length)
        .map(e -> new Hit(record(e.getKey(), e.getValue()), cosine(e.getValue(), embedding)))
        .filter(hit -> hit.score() >= threshold)
        .sorted(Comparator.comparingDouble(Hit::score).reversed())
        .limit(limit)
        .toList();
  }

  private static int dimension(Stored stored) {
    return stored.embedding == null ? 0 : stored.embedding.length;
  }

  private static double cosine(Stored stored, float[] b) {
    float[] a = stored.embedding == null ? new float[b.length] : stored.embedding;
    double dot = 0;
    double aa = 0;
    double bb = 0;
    for (int i = 0; i < b.length; i++) {
      dot += a[i] * b[i];
      aa += a[i] * a[i];
      bb += b[i] * b[i];
    }
    return Math.max(0, dot / Math.sqrt(aa * bb));
  }

  @Override
  public synchronized Status status() {
    Frontier frontier =
        log.isEmpty()
            ? Frontier.EMPTY
            : Frontier.of(Map.of(ACTOR, new Frontier.Head(log.size(), Hash.ZERO)));
    return new Status(documents.size(), frontier, Hash.ZERO, log.size(), 0, 4_096);
  }

  @Override
  public void close() {}
}
