package io.pluresdb.daemon.node;

import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/** Waits for something that happens on other threads, up to a deadline. */
final class Eventually {
  private static final Duration DEADLINE = Duration.ofSeconds(30);
  private static final long POLL_NANOS = 2_000_000;

  private Eventually() {}

  static void await(String what, BooleanSupplier condition) {
    long end = System.nanoTime() + DEADLINE.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > end) {
        throw new AssertionError("not within " + DEADLINE + ": " + what);
      }
      LockSupport.parkNanos(POLL_NANOS);
    }
  }
}
