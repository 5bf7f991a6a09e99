package io.pluresdb.daemon.api;

import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.handler.codec.http.DefaultHttpContent;
import io.netty.handler.codec.http.HttpResponse;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A streamed answer on its way to a channel. At most the channel's high water mark and one buffer
 * are in memory, however slow the reader.
 */
// A write that fails closes its channel, which is where we learn of it.
@SuppressWarnings("FutureReturnValueIgnored")
final class ChunkedSink implements Sink {
  /** Bytes gathered before they are handed to the channel. */
  static final int BUFFER_BYTES = 16 << 10;

  private final Channel channel;
  private final Supplier<HttpResponse> head;
  private final long stallNanos;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final List<Runnable> closeActions = new ArrayList<>();
  private @Nullable ByteBuf buffer; // None while there is nothing to send: most streams idle.
  private boolean started;
  private boolean closed;

  /**
   * @param head makes the response line and headers, sent before the first byte
   * @param stall how long the reader may take nothing before the channel is closed
   */
  ChunkedSink(Channel channel, Supplier<HttpResponse> head, Duration stall) {
    this.channel = channel;
    this.head = head;
    stallNanos = stall.toNanos();
  }

  /** Whether the head has been sent, so that an error can no longer be answered. */
  boolean started() {
    return started;
  }

  /** Event loop: the channel's writability changed. */
  void writabilityChanged() {
    lock.lock();
    try {
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Event loop: the channel is gone. */
  void channelClosed() {
    List<Runnable> actions;
    lock.lock();
    try {
      closed = true;
      changed.signalAll();
      actions = List.copyOf(closeActions);
      closeActions.clear();
    } finally {
      lock.unlock();
    }
    actions.forEach(Runnable::run);
  }

  @Override
  public void onClose(Runnable action) {
    boolean now;
    lock.lock();
    try {
      now = closed;
      if (!now) {
        closeActions.add(action);
      }
    } finally {
      lock.unlock();
    }
    if (now) {
      action.run();
    }
  }

  @Override
  public void write(byte[] bytes, int from, int to) throws IOException {
    for (int at = from; at < to; ) {
      ByteBuf gathered = buffer;
      if (gathered == null) {
        gathered = channel.alloc().buffer(Math.min(to - at, BUFFER_BYTES), BUFFER_BYTES);
        buffer = gathered;
      }
      int count = Math.min(to - at, BUFFER_BYTES - gathered.readableBytes());
      gathered.writeBytes(bytes, at, count);
      at += count;
      if (gathered.readableBytes() == BUFFER_BYTES) {
        flush();
      }
    }
  }

  @Override
  public void flush() throws IOException {
    awaitWritable();
    if (!started) {
      started = true;
      channel.write(head.get());
    }
    ByteBuf gathered = buffer;
    if (gathered != null) {
      buffer = null;
      channel.write(new DefaultHttpContent(gathered));
    }
    channel.flush();
  }

  /** Frees the buffer; call once, last. */
  void release() {
    ByteBuf gathered = buffer;
    if (gathered != null) {
      buffer = null;
      gathered.release();
    }
  }

  private void awaitWritable() throws IOException {
    lock.lock();
    try {
      long left = stallNanos;
      while (!closed && !channel.isWritable()) {
        if (left <= 0) {
          channel.close();
          throw new IOException(
              "the reader took nothing for " + TimeUnit.NANOSECONDS.toMillis(stallNanos) + " ms");
        }
        left = changed.awaitNanos(left);
      }
      if (closed) {
        throw new IOException("the reader went away");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new java.io.InterruptedIOException("interrupted while a reader was slow");
    } finally {
      lock.unlock();
    }
  }
}
