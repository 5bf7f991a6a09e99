package io.pluresdb.transport.frame;

import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.jspecify.annotations.Nullable;

/**
 * The other half of {@link MessageReader}: packs queued messages into the content of {@code DATA}
 * frames, many small ones in one frame, a large one over several.
 *
 * <p>Any thread adds; one thread fills. Messages leave in the order they were added. The caller
 * bounds what is queued.
 */
public final class MessageWriter {
  private final Queue<byte[]> queue = new ConcurrentLinkedQueue<>();
  private byte @Nullable [] current;
  // Of the length and the message together.
  private int written;

  /** Queues {@code message}, which must not be modified afterwards. */
  public void add(byte[] message) {
    queue.add(message);
  }

  /** Whether {@link #fill} would write anything. */
  public boolean hasMore() {
    return current != null || !queue.isEmpty();
  }

  /**
   * Writes as much as is queued and fits into {@code out[offset, end)}.
   *
   * @return the offset after the last byte written; {@code offset} when nothing is queued
   */
  public int fill(byte[] out, int offset, int end) {
    int at = offset;
    while (at < end) {
      byte[] message = current;
      if (message == null) {
        message = queue.poll();
        if (message == null) {
          break;
        }
        current = message;
        written = 0;
      }
      while (written < MessageReader.LENGTH_BYTES && at < end) {
        int shift = 8 * (MessageReader.LENGTH_BYTES - 1 - written);
        out[at++] = (byte) (message.length >>> shift);
        written++;
      }
      int done = written - MessageReader.LENGTH_BYTES;
      if (done >= 0) {
        int count = Math.min(message.length - done, end - at);
        System.arraycopy(message, done, out, at, count);
        at += count;
        written += count;
        if (done + count == message.length) {
          current = null;
        }
      }
    }
    return at;
  }
}
