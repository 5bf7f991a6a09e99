package io.pluresdb.crdt.engine;

import io.pluresdb.crdt.store.Replica;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Syncs commits beside the replica loop, which stages and writes the next ones meanwhile. One sync
 * serves all that was written before it began.
 */
final class SyncBeside {
  /**
   * A commit that is written.
   *
   * @param onDisk to be run when it is synced
   * @param arrivals length of the arrival log with it
   * @param told told after that, with null, or with what failed
   */
  record Written(Runnable onDisk, long arrivals, Consumer<@Nullable RuntimeException> told) {}

  private final Replica replica;
  private final Executor executor;
  private final Runnable wake;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition idle = lock.newCondition();

  // Guarded by the lock.
  private List<Written> written = new ArrayList<>();
  private boolean running;
  private long arrivals;
  private @Nullable RuntimeException failure;

  /**
   * @param executor where syncs run, one at a time
   * @param wake called there after each
   */
  SyncBeside(Replica replica, Executor executor, Runnable wake) {
    this.replica = replica;
    this.executor = executor;
    this.wake = wake;
    this.arrivals = replica.view().arrivals();
  }

  /** Lets a commit be synced, after those before it. */
  void add(Written commit) {
    lock.lock();
    try {
      written.add(commit);
      if (running || written.size() > 1) {
        return; // Whoever syncs, or is about to, takes it along.
      }
    } finally {
      lock.unlock();
    }
    executor.execute(this::run);
  }

  /** Whether there are commits whose writers were not told yet. */
  boolean isPending() {
    lock.lock();
    try {
      return running || !written.isEmpty();
    } finally {
      lock.unlock();
    }
  }

  /** Length of the arrival log as far as it was synced here; who is told of a write finds it. */
  long arrivals() {
    lock.lock();
    try {
      return arrivals;
    } finally {
      lock.unlock();
    }
  }

  /** What made a sync fail, or null. */
  @Nullable RuntimeException failure() {
    lock.lock();
    try {
      return failure;
    } finally {
      lock.unlock();
    }
  }

  /** Returns when every commit is on disk, or failed, and its writers are told. */
  void settle() {
    while (isPending()) {
      run();
      lock.lock();
      try {
        while (running) {
          idle.awaitUninterruptibly();
        }
      } finally {
        lock.unlock();
      }
    }
  }

  private void run() {
    for (List<Written> commits = take(); !commits.isEmpty(); commits = take()) {
      try {
        sync(commits);
      } finally {
        lock.lock();
        try {
          running = false;
          idle.signalAll();
        } finally {
          lock.unlock();
        }
      }
      wake.run();
    }
  }

  /** What is to be synced now; nothing while somebody else does. */
  private List<Written> take() {
    lock.lock();
    try {
      if (running || written.isEmpty()) {
        return List.of();
      }
      running = true;
      List<Written> commits = written;
      written = new ArrayList<>();
      return commits;
    } finally {
      lock.unlock();
    }
  }

  private void sync(List<Written> commits) {
    RuntimeException failed = failure();
    if (failed == null) {
      try {
        replica.sync();
        // The newest says it for all.
        commits.getLast().onDisk().run();
      } catch (RuntimeException e) {
        failed = e;
      }
    }
    RuntimeException outcome = failed;
    lock.lock();
    try {
      failure = outcome;
      if (outcome == null) {
        arrivals = commits.getLast().arrivals();
      }
    } finally {
      lock.unlock();
    }
    commits.forEach(commit -> commit.told().accept(outcome));
  }
}
