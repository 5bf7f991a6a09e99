package io.pluresdb.transport.frame;

import java.nio.ByteBuffer;

/**
 * Cuts a byte stream into frames of a u16 length and that many bytes.
 *
 * <pre>
 * BEFORE                                    AFTER {@link #fill} returns true
 * +--------+-----------+--------+----       +-----------+
 * | 0x0030 | 48 bytes  | 0x0452 | ...       | 48 bytes  |  at array()[0]
 * +--------+-----------+--------+----       +-----------+
 * </pre>
 *
 * <p>The frame lies at offset 0 of a reused heap array, as long as the longest frame so far, where
 * it is decrypted in place. A length is checked before anything is stored. Not thread-safe.
 */
public final class FrameReader {
  public static final int LENGTH_BYTES = 2;

  private byte[] array = new byte[0];
  private int minBytes;
  private int maxBytes;
  private int length;
  private int filled;
  private int lengthBytesRead;

  /** Makes the next frame {@code bytes} long, without a length in front of it. */
  public void expectRaw(int bytes) {
    expectFrames(bytes, bytes);
    length = bytes;
    lengthBytesRead = LENGTH_BYTES;
  }

  /** Makes the following frames {@code minBytes} to {@code maxBytes} long, both included. */
  public void expectFrames(int minBytes, int maxBytes) {
    this.minBytes = minBytes;
    this.maxBytes = maxBytes;
    next();
  }

  /**
   * Takes bytes from {@code in} up to the end of the frame.
   *
   * @return whether {@code array()[0, length())} is a whole frame; call {@link #next} after using
   *     it
   * @throws FrameException {@code FRAME_LENGTH}
   */
  public boolean fill(ByteBuffer in) throws FrameException {
    while (lengthBytesRead < LENGTH_BYTES) {
      if (!in.hasRemaining()) {
        return false;
      }
      length = length << 8 | (in.get() & 0xff);
      if (++lengthBytesRead == LENGTH_BYTES && (length < minBytes || length > maxBytes)) {
        throw new FrameException(FrameException.Kind.FRAME_LENGTH, length);
      }
    }
    if (array.length < length) {
      // Nothing of the frame is in it yet.
      array = new byte[Math.min(maxBytes, Math.max(length, 2 * array.length))];
    }
    int count = Math.min(length - filled, in.remaining());
    in.get(array, filled, count);
    filled += count;
    return filled == length;
  }

  /** Whether a part of the next frame is here. */
  public boolean isAmidFrame() {
    return filled > 0;
  }

  /** Gives up the array between two frames; it is made again as large as frames need it. */
  public void trim() {
    if (filled == 0) {
      array = new byte[0];
    }
  }

  /** Forgets the frame and starts the next. */
  public void next() {
    length = 0;
    filled = 0;
    lengthBytesRead = 0;
  }

  public byte[] array() {
    return array;
  }

  public int length() {
    return length;
  }
}
