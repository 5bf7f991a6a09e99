package io.pluresdb.daemon.api;

import io.pluresdb.daemon.access.AccessException;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The bytes of request bodies that are held, over all connections: from when they arrive until they
 * are answered. Each is copied some times on its way into a database, so the heap must hold several
 * times the most of it. Safe from any thread.
 */
final class HeldBodies {
  /** Most bytes. A body of the greatest size always fits when nothing else is held. */
  static final long MAX_BYTES = 32L << 20;

  /** Bodies up to this size are not counted, so that small requests go on beside large ones. */
  static final int SMALL_BYTES = 16 << 10;

  private final AtomicLong held = new AtomicLong();
  private final AtomicLong refused = new AtomicLong();

  /**
   * Holds a body that grew.
   *
   * @param before what is held of it already, 0 at first
   * @param size of it now
   * @return what is held of it now; goes into {@link #release} in the end
   * @throws AccessException {@code API_BODIES_TOO_LARGE}; as much as before is held then
   */
  long hold(long before, long size) {
    if (size <= SMALL_BYTES) {
      return 0;
    }
    long more = size - before;
    if (held.addAndGet(more) > MAX_BYTES) {
      held.addAndGet(-more);
      refused.incrementAndGet();
      throw new AccessException(
          429,
          "API_BODIES_TOO_LARGE",
          "requests with bodies of more than " + MAX_BYTES + " bytes together are open",
          "wait for some to be answered, or send less at once",
          1);
    }
    return size;
  }

  void release(long bytes) {
    held.addAndGet(-bytes);
  }

  /** Bytes that are held now. */
  long held() {
    return held.get();
  }

  /** Requests that were refused. */
  long refused() {
    return refused.get();
  }
}
