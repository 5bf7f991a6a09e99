package io.pluresdb.daemon.api;

import java.io.IOException;

/**
 * Where a streamed answer goes. Writing waits while the reader is slow, so that an answer of any
 * length costs the memory of one buffer. Used by one thread.
 */
public interface Sink {
  /**
   * Takes a copy of {@code [from, to)}.
   *
   * @throws IOException when the reader went away or stood still for too long
   */
  void write(byte[] bytes, int from, int to) throws IOException;

  /** Sends what was written so far. */
  void flush() throws IOException;

  /**
   * Calls {@code action} once, from any thread, when the reader goes away; at once if it has. It
   * must only wake somebody up.
   */
  void onClose(Runnable action);
}
