package io.pluresdb.transport;

import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/** Waits for a condition by polling, up to a deadline. */
public final class Waiting {
  private static final Duration DEADLINE = Duration.ofSeconds(60);
  private static final long POLL_NANOS = 1_000_000;

  private Waiting() {}

  /** Returns once {@code condition} holds; fails the test after a minute. */
  public static void until(String what, BooleanSupplier condition) {
    long start = System.nanoTime();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() - start > DEADLINE.toNanos()) {
        throw new AssertionError("not within " + DEADLINE + ": " + what);
      }
      LockSupport.parkNanos(POLL_NANOS);
    }
  }

  /** Whether {@code condition} goes on holding for {@code duration}. */
  public static boolean holdsFor(Duration duration, BooleanSupplier condition) {
    long start = System.nanoTime();
    while (System.nanoTime() - start < duration.toNanos()) {
      if (!condition.getAsBoolean()) {
        return false;
      }
      LockSupport.parkNanos(POLL_NANOS);
    }
    return true;
  }
}
