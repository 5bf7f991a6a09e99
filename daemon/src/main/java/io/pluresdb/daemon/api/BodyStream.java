package io.pluresdb.daemon.api;

import io.netty.buffer.ByteBuf;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A request body as one thread reads it while the event loop receives it: one chunk at a time, the
 * next is asked for when the last is used up.
 */
final class BodyStream extends InputStream {
  private enum State {
    OPEN,
    ENDED,
    BROKEN
  }

  private final Runnable readMore;
  private final long timeoutNanos;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private @Nullable ByteBuf chunk;
  private State state = State.OPEN;

  /**
   * @param readMore asks the event loop for one more {@link #offer}, from any thread
   */
  BodyStream(Runnable readMore, Duration timeout) {
    this.readMore = readMore;
    timeoutNanos = timeout.toNanos();
  }

  /** Event loop: takes ownership of {@code received}; false when nobody reads any more. */
  boolean offer(ByteBuf received, boolean last) {
    lock.lock();
    try {
      if (state != State.OPEN) {
        received.release();
        return false;
      }
      chunk = received;
      state = last ? State.ENDED : State.OPEN;
      changed.signalAll();
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** Event loop: the connection is gone before the body was complete. */
  void fail() {
    lock.lock();
    try {
      if (state == State.OPEN) {
        state = State.BROKEN;
        changed.signalAll();
      }
    } finally {
      lock.unlock();
    }
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  @Override
  public int read(byte[] target, int offset, int length) throws IOException {
    if (length == 0) {
      return 0;
    }
    lock.lock();
    try {
      ByteBuf current = awaitChunk();
      if (current == null) {
        return -1;
      }
      int count = Math.min(length, current.readableBytes());
      current.readBytes(target, offset, count);
      return count;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new java.io.InterruptedIOException("interrupted while a body was read");
    } finally {
      lock.unlock();
    }
  }

  /** A chunk with something in it, or null at the end. */
  private @Nullable ByteBuf awaitChunk() throws IOException, InterruptedException {
    long left = timeoutNanos;
    boolean asked = false;
    while (true) {
      ByteBuf current = chunk;
      if (current != null && current.isReadable()) {
        return current;
      }
      if (current != null) {
        current.release();
        chunk = null;
        asked = false;
      }
      switch (state) {
        case ENDED -> {
          return null;
        }
        case BROKEN -> throw new IOException("the connection ended inside the body");
        case OPEN -> {
          if (!asked) {
            readMore.run();
            asked = true;
          }
          if (left <= 0) {
            throw new ApiException(
                408,
                "API_REQUEST_TIMEOUT",
                "the body stood still for " + TimeUnit.NANOSECONDS.toMillis(timeoutNanos) + " ms",
                "send it without pauses");
          }
          left = changed.awaitNanos(left);
        }
      }
    }
  }

  /** Reader: what still arrives is dropped by {@link #offer}. */
  @Override
  public void close() {
    lock.lock();
    try {
      if (chunk != null) {
        chunk.release();
        chunk = null;
      }
      if (state == State.OPEN) {
        state = State.BROKEN;
      }
    } finally {
      lock.unlock();
    }
  }
}
