package io.pluresdb.daemon.api;

import io.pluresdb.crdt.store.CrdtStore;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;

/**
 * Who waits for commits of which store. The replica loop wakes one thread for each store that is
 * watched, and that one wakes the watchers: thousands of them cost a commit no more than one.
 */
final class Watchers {
  /** The watchers of a store and the thread that wakes them. */
  private final class Crowd implements Runnable {
    private final CrdtStore store;
    private final Set<Semaphore> waiting = ConcurrentHashMap.newKeySet();
    private final Semaphore committed = new Semaphore(0);
    private boolean ended; // Guarded by crowds.

    Crowd(CrdtStore store) {
      this.store = store;
    }

    @Override
    public void run() {
      CrdtStore.Subscription subscription = store.subscribe(() -> wake(committed));
      try {
        while (true) {
          committed.acquire();
          committed.drainPermits();
          synchronized (crowds) {
            if (ended) {
              return;
            }
          }
          waiting.forEach(Watchers::wake);
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      } finally {
        subscription.close();
      }
    }
  }

  private final Map<CrdtStore, Crowd> crowds = new ConcurrentHashMap<>();

  private static void wake(Semaphore sleeper) {
    if (sleeper.availablePermits() == 0) {
      sleeper.release();
    }
  }

  /** Wakes {@code watcher} after commits of a store, until {@link #leave}. */
  void join(CrdtStore store, Semaphore watcher) {
    synchronized (crowds) {
      Crowd crowd = crowds.get(store);
      if (crowd == null) {
        crowd = new Crowd(store);
        crowds.put(store, crowd);
        Thread.ofVirtual().name("watchers").start(crowd);
      }
      crowd.waiting.add(watcher);
    }
    // What was committed before the first subscription is found now.
    wake(watcher);
  }

  void leave(CrdtStore store, Semaphore watcher) {
    synchronized (crowds) {
      Crowd crowd = crowds.get(store);
      if (crowd != null && crowd.waiting.remove(watcher) && crowd.waiting.isEmpty()) {
        crowd.ended = true;
        crowds.remove(store);
        wake(crowd.committed);
      }
    }
  }
}
