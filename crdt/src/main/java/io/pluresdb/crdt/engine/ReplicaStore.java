package io.pluresdb.crdt.engine;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.doc.Contest;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.store.ChangeLog;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.DocumentHistory;
import io.pluresdb.crdt.store.DocumentReader;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.History;
import io.pluresdb.crdt.store.Moment;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.store.ReadAhead;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.RunOutcome;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.crdt.store.Transaction;
import java.nio.charset.StandardCharsets;
import java.util.AbstractList;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.PriorityQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A {@link CrdtStore}: one thread, the replica loop, owns the engine; it takes whatever has queued
 * and commits it together. Reads go to the storage directly.
 */
public final class ReplicaStore implements CrdtStore {
  /** Changes whose ids are read at once for events. */
  private static final int EVENT_STEP = 64;

  /** Events after which no further change is looked at: a change has up to a thousand. */
  private static final int ENOUGH_EVENTS = 256;

  private static final int EVENTS_PER_TURN = 2_048;
  private static final long TICK_MILLIS = 1_000;
  private static final long WINDOW_NANOS = 2_000_000;

  /** Writes of a commit from which it is synced while the next one is made. */
  private static final int MIN_SYNCED = 64;

  /** How long the thread that does it stays without work. */
  private static final int IDLE_SYNCING_SECONDS = 10;

  private final Replica replica;
  private final ReplicaEngine engine;
  private final Storage storage;
  private final LinkedBlockingQueue<Runnable> queue = new LinkedBlockingQueue<>();
  private final AtomicInteger queuedWrites = new AtomicInteger();
  private final AtomicLong queuedBytes = new AtomicLong();
  private final Thread loop;
  private final ThreadPoolExecutor syncing;
  private volatile int pending;
  private final Consumer<RuntimeException> failures;
  private final Object gate = new Object();
  private volatile boolean closing; // Written under gate.
  private boolean stopped;
  private boolean reported;
  private volatile @Nullable RuntimeException stoppedBy;
  private boolean storageOpen = true;

  private ReplicaStore(
      Replica replica,
      Environment environment,
      Consumer<String> events,
      Consumer<RuntimeException> failures) {
    this.failures = failures;
    this.replica = replica;
    this.storage = replica.storage();
    this.syncing =
        new ThreadPoolExecutor(
            0,
            1,
            IDLE_SYNCING_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            Thread.ofPlatform().name("replica-sync").factory());
    this.engine =
        new ReplicaEngine(
            replica,
            environment,
            events,
            new ReplicaEngine.Helpers(
                Thread::startVirtualThread,
                syncing,
                MIN_SYNCED,
                () -> queue.add(ReplicaStore::nothing)));
    this.loop = Thread.ofPlatform().name("replica-loop").unstarted(this::run);
  }

  /**
   * Starts the replica loop over an open replica; closing the store closes the replica and its
   * storage.
   *
   * @param events told in a sentence what a peer did wrong, for the debug log
   * @param failures told what stopped the database for good, for the error log
   */
  public static ReplicaStore start(
      Replica replica,
      Environment environment,
      Consumer<String> events,
      Consumer<RuntimeException> failures) {
    var store = new ReplicaStore(replica, environment, events, failures);
    store.loop.start();
    return store;
  }

  private void run() {
    var events = new ArrayList<Runnable>();
    long nextTick = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(TICK_MILLIS);
    boolean more = false;
    while (!stopped) {
      if (!more && queue.isEmpty()) {
        Runnable first = poll(nextTick - System.nanoTime());
        if (first != null) {
          events.add(first);
        }
      }
      boolean tick = System.nanoTime() - nextTick >= 0;
      if (tick) {
        nextTick = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(TICK_MILLIS);
      }
      try {
        more = turn(events, tick);
      } catch (RuntimeException e) {
        // A read error of the storage, or a defect: nothing more may be written on top of it.
        engine.fail(e);
        more = false;
      }
      RuntimeException broken = engine.broken();
      if (broken != null && !reported) {
        reported = true;
        stoppedBy = broken;
        failures.accept(broken);
      }
      events.clear();
    }
  }

  /**
   * Takes in what has queued, and what queues meanwhile, for at most {@link #WINDOW_NANOS}: the
   * more writers wait, the more of them share one sync and one signature, and a lone one never
   * waits.
   */
  private boolean turn(List<Runnable> events, boolean tick) {
    long end = System.nanoTime() + WINDOW_NANOS;
    do {
      queue.drainTo(events, EVENTS_PER_TURN);
      for (int i = 0; i < events.size(); i++) {
        try {
          events.set(i, ReplicaStore::nothing).run(); // What it held need not outlive it.
          if (engine.wantsTurn()) {
            engine.turn(false);
          }
        } catch (RuntimeException e) {
          // Those after it are run all the same: each has somebody who waits for an answer.
          engine.fail(e);
        }
      }
      events.clear();
    } while (!queue.isEmpty() && System.nanoTime() < end);
    if (tick) {
      engine.tick();
    }
    boolean more = engine.turn(queue.isEmpty());
    pending = engine.pending();
    return more;
  }

  private static void nothing() {}

  private @Nullable Runnable poll(long nanos) {
    try {
      return queue.poll(Math.max(0, nanos), TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      // Nobody may interrupt this thread; go on, so that nothing acknowledged is lost.
      return null;
    }
  }

  /** Runs {@code action} on the replica loop. */
  public void execute(Consumer<ReplicaEngine> action) {
    enqueue(() -> action.accept(engine));
  }

  /** Queues an event; false when the store is closed and it will never run. */
  private boolean enqueue(Runnable event) {
    synchronized (gate) {
      return !closing && queue.add(event);
    }
  }

  /** Runs {@code function} on the replica loop and hands back what it returns. */
  public <T extends @Nullable Object> CompletableFuture<T> call(
      Function<ReplicaEngine, T> function) {
    var future = new CompletableFuture<T>();
    boolean queued =
        enqueue(
            () -> {
              try {
                future.complete(function.apply(engine));
              } catch (RuntimeException e) {
                future.completeExceptionally(e);
              }
            });
    if (!queued) {
      future.completeExceptionally(closed());
    }
    return future;
  }

  private static CoreException closed() {
    return new CoreException(CoreException.Kind.CLOSED, "the database has been closed");
  }

  @Override
  public CompletableFuture<Receipt> submit(Transaction transaction) {
    return write(
        transaction.bytes(),
        callback -> {
          var ahead = ReadAhead.of(replica, transaction);
          return () -> engine.submit(transaction, ahead, callback);
        });
  }

  @Override
  public CompletableFuture<Receipt> submitIf(List<Condition> conditions, Transaction transaction) {
    if (conditions.size() > ChangeBody.MAX_EDITS) {
      throw CoreException.tooLarge(
          "there may be at most "
              + ChangeBody.MAX_EDITS
              + " conditions, but are "
              + conditions.size());
    }
    List<Condition> checked = List.copyOf(conditions);
    checked.forEach(condition -> Edit.checkedId(condition.id()));
    return write(transaction.bytes(), callback -> () -> submitIf(checked, transaction, callback));
  }

  /**
   * Queues a write.
   *
   * @param bytes of what it holds
   * @param write makes the event that hands it to the engine, on the caller's thread
   */
  private CompletableFuture<Receipt> write(
      long bytes, Function<ReplicaEngine.WriteCallback, Runnable> write) {
    int writes = queuedWrites.incrementAndGet();
    long waiting = queuedBytes.addAndGet(bytes);
    if (writes > MAX_QUEUED || (waiting > MAX_QUEUED_BYTES && waiting > bytes)) {
      dequeued(bytes);
      return CompletableFuture.failedFuture(
          new CoreException(
              CoreException.Kind.OVERLOADED,
              "more than "
                  + (writes > MAX_QUEUED
                      ? MAX_QUEUED + " writes wait"
                      : MAX_QUEUED_BYTES + " bytes of writes wait")
                  + ": try again when some are acknowledged"));
    }
    var future = new CompletableFuture<Receipt>();
    ReplicaEngine.WriteCallback callback =
        (receipt, failure) -> {
          dequeued(bytes);
          if (failure != null) {
            future.completeExceptionally(failure);
          } else if (receipt != null) {
            future.complete(receipt);
          }
        };
    try {
      requireOpen();
      if (!enqueue(write.apply(callback))) {
        throw closed();
      }
    } catch (CoreException | StorageException e) {
      callback.done(null, e);
    }
    return future;
  }

  private void dequeued(long bytes) {
    queuedWrites.decrementAndGet();
    queuedBytes.addAndGet(-bytes);
  }

  private void submitIf(
      List<Condition> conditions, Transaction transaction, ReplicaEngine.WriteCallback callback) {
    try {
      // What was staged before must be in the storage to be seen.
      engine.commitStaged();
      for (Condition condition : conditions) {
        if (!condition.expected().test(get(condition.id()))) {
          throw new CoreException(
              CoreException.Kind.PRECONDITION_FAILED,
              "document \"" + condition.id() + "\" is not as expected: it was changed meanwhile");
        }
      }
    } catch (CoreException | StorageException e) {
      callback.done(null, e);
      return;
    } catch (RuntimeException e) {
      callback.done(null, e);
      throw e;
    }
    engine.submit(transaction, callback);
  }

  @Override
  public CompletableFuture<RunOutcome> apply(ChangeRun run) {
    return call(
        e -> {
          long before = replica.view().frontier().seq(run.actor());
          RunOutcome outcome = e.apply(run);
          e.turn(false);
          if (outcome instanceof RunOutcome.Applied(int changes)
              && replica.view().frontier().seq(run.actor()) < before + changes) {
            RuntimeException broken = e.broken();
            throw broken != null
                ? broken
                : new StorageException.Full(
                    "the changes were not written: free space on the disk and apply them again",
                    new java.io.IOException("disk full"));
          }
          return outcome;
        });
  }

  @Override
  public Optional<NodeRecord> get(String id) {
    byte[] key = Edit.checkedId(id);
    requireOpen();
    replica.requireInScope(key);
    return Optional.ofNullable(DocumentReader.read(storage, key));
  }

  @Override
  public History history(String id, int limit, long before) {
    byte[] key = Edit.checkedId(id);
    requireOpen();
    replica.requireInScope(key);
    return new DocumentHistory(storage).page(key, limit, before);
  }

  @Override
  public Optional<NodeRecord> getAsOf(String id, Moment moment) {
    byte[] key = Edit.checkedId(id);
    requireOpen();
    replica.requireInScope(key);
    return new DocumentHistory(storage).asOf(key, moment);
  }

  @Override
  public byte @Nullable [] deviceKey(ActorId actor) {
    requireOpen();
    return new DocumentHistory(storage).deviceKey(actor);
  }

  @Override
  public List<Contest> contests(String id) {
    byte[] key = Edit.checkedId(id);
    requireOpen();
    replica.requireInScope(key);
    try (var snapshot = storage.snapshot()) {
      return DocumentReader.contests(snapshot, key, id);
    }
  }

  private void requireOpen() {
    if (closing) {
      throw closed();
    }
  }

  @Override
  public Documents list(String prefix, @Nullable String after) {
    requireOpen();
    byte[] from = prefix.getBytes(StandardCharsets.UTF_8);
    replica.requireInScope(from);
    byte[] to = successor(from);
    if (after != null) {
      byte[] next = after.getBytes(StandardCharsets.UTF_8);
      next = Arrays.copyOf(next, next.length + 1);
      if (Arrays.compareUnsigned(next, from) > 0) {
        from = next;
      }
    }
    return new Listing(storage.snapshot(), from, to);
  }

  /** The least key greater than every key that starts with {@code prefix}; null for no end. */
  private static byte @Nullable [] successor(byte[] prefix) {
    int end = prefix.length;
    while (end > 0 && prefix[end - 1] == (byte) 0xff) {
      end--;
    }
    if (end == 0) {
      return null;
    }
    byte[] successor = Arrays.copyOf(prefix, end);
    successor[end - 1]++;
    return successor;
  }

  private static final class Listing implements Documents {
    private final Storage.Snapshot snapshot;
    private final Storage.Cursor cursor;
    private @Nullable NodeRecord next;
    private boolean ended;

    Listing(Storage.Snapshot snapshot, byte[] from, byte @Nullable [] to) {
      this.snapshot = snapshot;
      this.cursor = snapshot.scan(Table.STATE, from, to);
    }

    @Override
    public boolean hasNext() {
      while (next == null && !ended) {
        ended = !cursor.next();
        if (!ended) {
          next = DocumentReader.read(snapshot, cursor.key(), cursor.value());
        }
      }
      return next != null;
    }

    @Override
    public NodeRecord next() {
      if (!hasNext() || next == null) {
        throw new NoSuchElementException();
      }
      NodeRecord record = next;
      next = null;
      return record;
    }

    @Override
    public void close() {
      cursor.close();
      snapshot.close();
    }
  }

  @Override
  public Events events(String prefix, long since, int limit) {
    requireOpen();
    byte[] start = prefix.getBytes(StandardCharsets.UTF_8);
    replica.requireInScope(start);
    var arrivals = new ArrayList<Long>();
    var ids = new ArrayList<byte[]>();
    long next = since;
    boolean truncated = false;
    boolean more = true;
    // What comes after it may not be on disk.
    long end = engine.followable();
    int step = 1;
    for (int looked = 0; more && looked < limit && ids.size() < ENOUGH_EVENTS; looked += step) {
      // More at once while changes are small: what is read beyond enough is read again.
      step = Math.min(ids.size() > looked ? 1 : Math.min(2 * step, EVENT_STEP), limit - looked);
      ChangeLog.Followed followed = replica.log().touched(next, step);
      truncated |= next < followed.floor();
      more = followed.touched().size() == step;
      next = Math.max(next, followed.floor());
      for (ChangeLog.Touched touched : followed.touched()) {
        if (ids.size() >= ENOUGH_EVENTS || touched.arrival() > end) {
          more = false;
          break;
        }
        next = touched.arrival();
        for (byte[] id : touched.ids()) {
          if (id.length >= start.length
              && Arrays.equals(start, 0, start.length, id, 0, start.length)) {
            arrivals.add(touched.arrival());
            ids.add(id);
          }
        }
      }
    }
    return new Events(new Followed(arrivals, ids), next, truncated);
  }

  /** Events whose documents are read when they are looked at, so that none is held before. */
  private final class Followed extends AbstractList<Event> {
    private final List<Long> arrivals;
    private final List<byte[]> ids;

    Followed(List<Long> arrivals, List<byte[]> ids) {
      this.arrivals = arrivals;
      this.ids = ids;
    }

    @Override
    public Event get(int index) {
      String id = new String(ids.get(index), StandardCharsets.UTF_8);
      return new Event(arrivals.get(index), id, ReplicaStore.this.get(id).orElse(null));
    }

    @Override
    public int size() {
      return ids.size();
    }
  }

  @Override
  public Subscription subscribe(Runnable listener) {
    execute(
        e -> {
          e.subscribe(listener);
          listener.run();
        });
    return () -> execute(e -> e.unsubscribe(listener));
  }

  @Override
  public List<Hit> vectorSearch(float[] embedding, int limit, double threshold) {
    if (limit < 1 || limit > 10_000) {
      throw CoreException.invalid("limit must be 1 to 10000, but is " + limit);
    }
    if (!(threshold >= 0 && threshold <= 1)) {
      throw CoreException.invalid("threshold must be 0 to 1, but is " + threshold);
    }
    double length = length(embedding);
    if (!(length > 0 && length < Double.POSITIVE_INFINITY)) {
      throw CoreException.invalid("embedding must hold finite numbers, not all zero");
    }
    var best = new PriorityQueue<Hit>(Comparator.comparingDouble(Hit::score));
    requireOpen();
    try (var documents = new Listing(storage.snapshot(), new byte[0], null)) {
      while (documents.hasNext()) {
        NodeRecord document = documents.next();
        float[] stored = document.embedding();
        if (stored == null || stored.length != embedding.length) {
          continue;
        }
        double dot = 0;
        for (int i = 0; i < stored.length; i++) {
          dot += (double) stored[i] * embedding[i];
        }
        double score = Math.clamp(dot / (length * length(stored)), 0.0, 1.0);
        if (score >= threshold) {
          best.add(new Hit(document, score));
          if (best.size() > limit) {
            best.remove();
          }
        }
      }
    }
    return best.stream().sorted(Comparator.comparingDouble(Hit::score).reversed()).toList();
  }

  private static double length(float[] vector) {
    double squares = 0;
    for (float value : vector) {
      squares += (double) value * value;
    }
    return Math.sqrt(squares);
  }

  @Override
  public Status status() {
    Replica.View view = replica.view();
    return new Status(
        view.documents(),
        view.frontier(),
        view.stateHash(),
        engine.followable(),
        pending,
        storage.bytesOnDisk());
  }

  /** The replica, to read what it has stored; only the replica loop may change it. */
  public Replica replica() {
    return replica;
  }

  /** Local writes that wait for the replica loop; any thread. */
  public int queuedWrites() {
    return queuedWrites.get();
  }

  /** Bytes of the local writes that wait; any thread. */
  public long queuedBytes() {
    return queuedBytes.get();
  }

  /** What stopped the database for good, or null; any thread. */
  public @Nullable RuntimeException broken() {
    return stoppedBy;
  }

  /** The committed state; any thread. */
  public Replica.View view() {
    return replica.view();
  }

  @Override
  public void close() {
    synchronized (gate) {
      if (!closing) {
        queue.add(() -> stopped = true);
        closing = true;
      }
    }
    boolean interrupted = false;
    while (loop.isAlive()) {
      try {
        loop.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    synchronized (this) {
      if (storageOpen) {
        storageOpen = false;
        engine.close();
        syncing.shutdown();
        if (engine.broken() == null) {
          replica.close();
        }
        storage.close();
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
