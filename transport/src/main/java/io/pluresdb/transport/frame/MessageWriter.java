package io.pluresdb.transport.frame;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.jspecify.annotations.Nullable;

/**
 * The other half of {@link MessageReader}: packs queued messages into the content of {@code DATA}
 * frames, many small ones in one frame, a large one over several; and keeps each until the peer
 * says that it has it, so that another path can go on where one broke off.
 *
 * <p>Messages leave in the order they were added, on the path that has the turn. At most {@link
 * #WINDOW_BYTES}, and one message, are kept at a time: then nothing is written before the peer says
 * what it has. Thread-safe; the caller bounds what is queued.
 */
public final class MessageWriter {
  /** So much may be written that the peer has not said it has. */
  public static final int WINDOW_BYTES = 8 << 20;

  /** What a message counts besides its own length, so that many small ones are bounded, too. */
  private static final int MESSAGE_OVERHEAD_BYTES = 32;

  private final Queue<byte[]> queue = new ConcurrentLinkedQueue<>();
  // Guarded by this, from here on.
  private final Deque<byte[]> kept = new ArrayDeque<>();
  private final Deque<byte[]> again = new ArrayDeque<>();
  private @Nullable Object turn;
  private long received;
  private long keptBytes;
  private byte @Nullable [] current;
  // Of the length and the message together.
  private int written;

  /** Queues {@code message}, which must not be modified afterwards. */
  public void add(byte[] message) {
    queue.add(message);
  }

  /**
   * Gives a path the turn: it alone writes from now on, beginning with the first message that did
   * not arrive.
   *
   * @param arrived how many messages the peer says it has
   * @return by how many bytes, lengths included, that is more to write than before
   * @throws FrameException {@code OUT_OF_PHASE} when so many were never written
   */
  public synchronized long turnTo(Object path, long arrived) throws FrameException {
    byte[] unfinished = current;
    long repeated =
        unfinished == null ? 0 : written - MessageReader.LENGTH_BYTES - (long) unfinished.length;
    while (!kept.isEmpty()) {
      byte[] message = kept.removeLast();
      repeated += size(message);
      again.addFirst(message);
    }
    keptBytes = 0;
    current = null;
    written = 0;
    while (received < arrived) {
      byte[] there = again.pollFirst();
      if (there == null) {
        throw new FrameException(FrameException.Kind.OUT_OF_PHASE, arrived);
      }
      repeated -= size(there);
      received++;
    }
    turn = path;
    return repeated;
  }

  /** How many messages the peer is known to have: on a new turn, the number of the first. */
  public synchronized long received() {
    return received;
  }

  /**
   * The peer says how many messages it has. Fewer than it said before mean nothing.
   *
   * @throws FrameException {@code OUT_OF_PHASE} when so many were never written
   */
  public synchronized void received(long count) throws FrameException {
    // What is to be written again was written on another path, where it may have arrived since; it
    // is written all the same, because messages are counted on each path.
    if (count > received + kept.size() + again.size()) {
      throw new FrameException(FrameException.Kind.OUT_OF_PHASE, count);
    }
    int finished = kept.size() - (current == null ? 0 : 1);
    for (; received < count && finished > 0; finished--) {
      keptBytes -= weight(kept.removeFirst());
      received++;
    }
  }

  private static long size(byte[] message) {
    return MessageReader.LENGTH_BYTES + (long) message.length;
  }

  private static long weight(byte[] message) {
    return message.length + (long) MESSAGE_OVERHEAD_BYTES;
  }

  /** Whether {@link #fill} would write anything for a path. */
  public synchronized boolean hasMore(Object path) {
    return path.equals(turn)
        && (current != null || (keptBytes < WINDOW_BYTES && !(again.isEmpty() && queue.isEmpty())));
  }

  /**
   * Writes as much as is queued and fits into {@code out[offset, end)}.
   *
   * @return the offset after the last byte written; {@code offset} when there is nothing to write,
   *     or another path has the turn
   */
  public synchronized int fill(Object path, byte[] out, int offset, int end) {
    int at = offset;
    if (!path.equals(turn)) {
      return at;
    }
    while (at < end) {
      byte[] message = current;
      if (message == null) {
        message = keptBytes < WINDOW_BYTES ? next() : null;
        if (message == null) {
          break;
        }
        kept.addLast(message);
        keptBytes += weight(message);
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

  private byte @Nullable [] next() {
    byte[] repeated = again.pollFirst();
    return repeated == null ? queue.poll() : repeated;
  }
}
