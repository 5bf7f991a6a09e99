package io.pluresdb.transport.frame;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/**
 * Why the sender ends the session, for the peer's user.
 *
 * <pre>
 * +--------+----------+-------------------+
 * | n u8   | n ASCII  | UTF-8 to the end  |
 * | 1..64  | code     | message, 0..512 B |
 * +--------+----------+-------------------+
 * </pre>
 *
 * @param code 1 to 64 of {@code A-Z 0-9 _}
 * @param message for people; cut to 512 bytes of UTF-8
 */
public record Goodbye(String code, String message) {
  public static final int MAX_CODE_CHARACTERS = 64;
  public static final int MAX_MESSAGE_BYTES = 512;

  public Goodbye {
    if (!validCode(code)) {
      throw new IllegalArgumentException(
          "a goodbye code must be 1 to 64 characters of A-Z, 0-9 and _, but is " + code);
    }
    message = cut(message);
  }

  /** Writes the frame's content at {@code offset}; returns the offset after it. */
  public int encode(byte[] out, int offset) {
    byte[] codeBytes = code.getBytes(StandardCharsets.US_ASCII);
    byte[] messageBytes = message.getBytes(StandardCharsets.UTF_8);
    ByteBuffer buffer = ByteBuffer.wrap(out).position(offset);
    buffer.put((byte) codeBytes.length).put(codeBytes).put(messageBytes);
    return buffer.position();
  }

  /**
   * Reads what {@link #encode} wrote from {@code in[offset, end)}.
   *
   * @throws FrameException {@code MALFORMED_CONTROL}
   */
  public static Goodbye decode(byte[] in, int offset, int end) throws FrameException {
    int codeLength = offset < end ? in[offset] & 0xff : 0;
    int messageAt = offset + 1 + codeLength;
    if (codeLength < 1 || messageAt > end || end - messageAt > MAX_MESSAGE_BYTES) {
      throw new FrameException(FrameException.Kind.MALFORMED_CONTROL, end - offset);
    }
    String code = new String(in, offset + 1, codeLength, StandardCharsets.ISO_8859_1);
    if (!validCode(code)) {
      throw new FrameException(FrameException.Kind.MALFORMED_CONTROL, codeLength);
    }
    try {
      String message =
          StandardCharsets.UTF_8
              .newDecoder()
              .decode(ByteBuffer.wrap(in, messageAt, end - messageAt))
              .toString();
      return new Goodbye(code, message);
    } catch (CharacterCodingException e) {
      throw new FrameException(FrameException.Kind.MALFORMED_CONTROL, end - messageAt);
    }
  }

  private static boolean validCode(String code) {
    return !code.isEmpty()
        && code.length() <= MAX_CODE_CHARACTERS
        && code.chars().allMatch(c -> (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_');
  }

  private static String cut(String message) {
    String kept = message;
    if (kept.length() > MAX_MESSAGE_BYTES) {
      kept = kept.substring(0, MAX_MESSAGE_BYTES);
    }
    while (kept.getBytes(StandardCharsets.UTF_8).length > MAX_MESSAGE_BYTES) {
      kept = kept.substring(0, kept.offsetByCodePoints(kept.length(), -1));
    }
    return kept;
  }
}
