package io.pluresdb.transport.path;

import java.time.Duration;

/** Runs things later; virtual in tests. */
public interface Timers {
  /** Runs {@code task} once, not before {@code delay} passed; must not block. */
  Timer schedule(Duration delay, Runnable task);

  /** Something that will run once. */
  interface Timer {
    /** Prevents the run unless it has begun. */
    void cancel();
  }
}
