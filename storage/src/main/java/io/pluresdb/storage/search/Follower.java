package io.pluresdb.storage.search;

import io.pluresdb.crdt.store.CommitView;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.storage.index.DerivedIndex;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The thread that lets indexes follow the arrival log, started with the first of them.
 *
 * <p>Its queue is the log itself: an index is a place in it, so however much is written nothing is
 * dropped and nothing piles up in memory.
 */
final class Follower implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Follower.class);

  /** Changes of one step: then other indexes have their turn. */
  private static final int STEP_CHANGES = 1_024;

  /** How long an index that failed is left alone. */
  private static final long RETRY_MILLIS = 1_000;

  /** An index and how it is doing. */
  private static final class Followed {
    final DerivedIndex index;
    @Nullable RuntimeException failure; // Guarded by the lock.
    long retryAtNanos; // Of the following thread.

    Followed(DerivedIndex index) {
      this.index = index;
    }
  }

  private final Storage storage;
  private final CrdtStore store;
  private final List<Followed> indexes = new CopyOnWriteArrayList<>();
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private boolean woken; // Guarded by the lock.
  private volatile boolean closed;
  private @Nullable Thread thread; // Guarded by the lock.
  private CrdtStore.@Nullable Subscription subscription; // Guarded by the lock.

  Follower(Storage storage, CrdtStore store) {
    this.storage = storage;
    this.store = store;
  }

  void add(DerivedIndex index) {
    lock.lock();
    try {
      indexes.add(new Followed(index));
      if (thread == null) {
        thread = Thread.ofPlatform().daemon().name("index-follower").start(this::run);
        subscription = store.subscribe(this::wake);
      }
    } finally {
      lock.unlock();
    }
    wake();
  }

  /** Stops following; when this returns nothing is done with the index any more. */
  void remove(DerivedIndex index) {
    Followed found = find(index);
    if (found != null) {
      synchronized (found) {
        indexes.remove(found);
      }
    }
  }

  private @Nullable Followed find(DerivedIndex index) {
    for (Followed followed : indexes) {
      if (isSame(followed.index, index)) {
        return followed;
      }
    }
    return null;
  }

  @SuppressWarnings("ReferenceEquality")
  private static boolean isSame(DerivedIndex a, DerivedIndex b) {
    return a == b;
  }

  private void wake() {
    lock.lock();
    try {
      woken = true;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Saves all indexes as far as they are. */
  void saveAll() {
    for (Followed followed : indexes) {
      synchronized (followed) {
        followed.index.save(true);
      }
    }
  }

  private void run() {
    boolean more = false;
    while (awaitWork(more)) {
      more = false;
      for (Followed followed : indexes) {
        synchronized (followed) {
          if (indexes.contains(followed) && !closed) {
            more |= step(followed);
          }
        }
      }
      lock.lock();
      try {
        changed.signalAll();
      } finally {
        lock.unlock();
      }
    }
  }

  /** Waits for a commit; false when it is over. */
  private boolean awaitWork(boolean more) {
    lock.lock();
    try {
      while (!woken && !more && !closed) {
        if (!changed.await(RETRY_MILLIS, TimeUnit.MILLISECONDS)) {
          break;
        }
      }
      woken = false;
      return !closed;
    } catch (InterruptedException e) {
      return !closed;
    } finally {
      lock.unlock();
    }
  }

  /** One step of one index; whether there is more to do at once. */
  private boolean step(Followed followed) {
    DerivedIndex index = followed.index;
    if (failure(followed) != null && System.nanoTime() - followed.retryAtNanos < 0) {
      return false;
    }
    try (CommitView view = CommitView.of(storage)) {
      if (index.arrivals() == view.arrivals()) {
        index.save(false);
        return false;
      }
      CommitView.Since since = view.touched(index.arrivals(), STEP_CHANGES);
      if (since.truncated()) {
        log.info("index is made anew index={} arrivals={}", index.name(), view.arrivals());
        index.rebuild(view);
      } else {
        index.apply(view, since.ids(), since.next());
      }
      failed(followed, null);
      return true;
    } catch (RuntimeException e) {
      if (!closed) {
        if (failure(followed) == null) {
          log.error("index cannot follow, and is tried again index={}", index.name(), e);
        }
        followed.retryAtNanos = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(RETRY_MILLIS);
        failed(followed, e);
      }
      return false;
    }
  }

  private @Nullable RuntimeException failure(Followed followed) {
    lock.lock();
    try {
      return followed.failure;
    } finally {
      lock.unlock();
    }
  }

  private void failed(Followed followed, @Nullable RuntimeException failure) {
    lock.lock();
    try {
      followed.failure = failure;
    } finally {
      lock.unlock();
    }
  }

  /** Why an index does not follow, or null while it does. */
  @Nullable RuntimeException failure(DerivedIndex index) {
    Followed followed = find(index);
    return followed == null ? null : failure(followed);
  }

  /**
   * Waits until an index holds what has arrived.
   *
   * @throws IndexBehindException when it does not within the time, or cannot follow
   */
  void await(DerivedIndex index, long arrivals, long millis) {
    long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
    lock.lock();
    try {
      while (index.arrivals() < arrivals) {
        RuntimeException failure = failure(index);
        long left = end - System.nanoTime();
        if (left <= 0 || failure != null || closed) {
          throw new IndexBehindException(
              index.name(), Math.max(0, index.arrivals()), arrivals, failure);
        }
        changed.awaitNanos(left);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IndexBehindException(index.name(), Math.max(0, index.arrivals()), arrivals, null);
    } finally {
      lock.unlock();
    }
  }

  /** Stops; the indexes are as far as they are. */
  @Override
  public void close() {
    closed = true;
    wake();
    Thread following;
    CrdtStore.Subscription subscribed;
    lock.lock();
    try {
      following = thread;
      subscribed = subscription;
    } finally {
      lock.unlock();
    }
    if (subscribed != null) {
      subscribed.close();
    }
    boolean interrupted = false;
    while (following != null && following.isAlive()) {
      try {
        following.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
