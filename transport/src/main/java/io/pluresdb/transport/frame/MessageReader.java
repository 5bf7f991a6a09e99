package io.pluresdb.transport.frame;

import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Cuts the stream inside {@code DATA} frames into messages of a u32 length and that many bytes.
 *
 * <pre>
 * one frame of small messages             a large message over frames
 * +----+----+------+----+----+----+       +----+--------+  +--------+  +-----+
 * | n1 | m1 | n2   | m2 | n3 | m3 |       | n  | m ...  |  | ... m  |  | m   |
 * +----+----+------+----+----+----+       +----+--------+  +--------+  +-----+
 * </pre>
 *
 * <p>A length is checked against the limit before its array is made. Not thread-safe.
 */
public final class MessageReader {
  /** Size of the length in front of each message. */
  public static final int LENGTH_BYTES = 4;

  private final int maxMessageBytes;
  private long length;
  private int lengthBytesRead;
  private byte @Nullable [] message;
  private int filled;

  public MessageReader(int maxMessageBytes) {
    this.maxMessageBytes = maxMessageBytes;
  }

  /**
   * Takes {@code in[offset, end)} and gives each completed message, a new array, to {@code sink}.
   *
   * @throws FrameException {@code MESSAGE_TOO_LARGE}; earlier messages were given
   */
  public void read(byte[] in, int offset, int end, Consumer<byte[]> sink) throws FrameException {
    int at = offset;
    while (at < end) {
      byte[] current = message;
      if (current == null) {
        length = length << 8 | (in[at++] & 0xff);
        if (++lengthBytesRead < LENGTH_BYTES) {
          continue;
        }
        if (length > maxMessageBytes) {
          throw new FrameException(FrameException.Kind.MESSAGE_TOO_LARGE, length);
        }
        current = new byte[(int) length];
        message = current;
        filled = 0;
      }
      int count = Math.min(current.length - filled, end - at);
      System.arraycopy(in, at, current, filled, count);
      at += count;
      filled += count;
      if (filled == current.length) {
        message = null;
        length = 0;
        lengthBytesRead = 0;
        sink.accept(current);
      }
    }
  }
}
