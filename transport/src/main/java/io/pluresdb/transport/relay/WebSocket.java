package io.pluresdb.transport.relay;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.LongBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;

/** The numbers and headers of WebSocket (RFC 6455, version 13, without extensions). */
public final class WebSocket {
  public static final int CONTINUATION = 0;
  public static final int TEXT = 1;
  public static final int BINARY = 2;
  public static final int CLOSE = 8;
  public static final int PING = 9;
  public static final int PONG = 10;

  public static final int NORMAL = 1000;
  public static final int GOING_AWAY = 1001;
  public static final int PROTOCOL_ERROR = 1002;
  public static final int UNSUPPORTED_DATA = 1003;
  public static final int INVALID_TEXT = 1007;
  public static final int POLICY_VIOLATION = 1008;
  public static final int TOO_BIG = 1009;

  /** Most bytes of a close, ping or pong. */
  public static final int MAX_CONTROL_BYTES = 125;

  /** Most bytes in front of a payload, the mask included. */
  public static final int MAX_HEADER_BYTES = 14;

  static final int FINAL = 0x80;
  static final int MASKED = 0x80;
  static final int LENGTH_16 = 126;
  static final int LENGTH_64 = 127;
  private static final int MAX_LENGTH_16 = 0xffff;
  private static final String ACCEPT_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

  private WebSocket() {}

  /** The {@code Sec-WebSocket-Accept} that answers a {@code Sec-WebSocket-Key}. */
  public static String accept(String key) {
    try {
      byte[] hash =
          MessageDigest.getInstance("SHA-1")
              .digest((key + ACCEPT_SUFFIX).getBytes(StandardCharsets.US_ASCII));
      return Base64.getEncoder().encodeToString(hash);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-1", e);
    }
  }

  /** Writes the header of an unmasked frame at the buffer's position. */
  public static void putHeader(ByteBuffer out, int opcode, boolean last, long length) {
    header(out, opcode, last, length, 0);
  }

  /** Writes the header of a frame whose payload is masked with {@code mask}. */
  public static void putMaskedHeader(
      ByteBuffer out, int opcode, boolean last, long length, int mask) {
    header(out, opcode, last, length, MASKED);
    out.putInt(mask);
  }

  private static void header(ByteBuffer out, int opcode, boolean last, long length, int masked) {
    out.put((byte) (opcode | (last ? FINAL : 0)));
    if (length < LENGTH_16) {
      out.put((byte) (masked | length));
    } else if (length <= MAX_LENGTH_16) {
      out.put((byte) (masked | LENGTH_16)).putShort((short) length);
    } else {
      out.put((byte) (masked | LENGTH_64)).putLong(length);
    }
  }

  /**
   * Masks or unmasks {@code buffer[from, to)} in place; position and limit stay.
   *
   * @param phase how many bytes of the payload lie before {@code from}
   */
  public static void mask(ByteBuffer buffer, int from, int to, int mask, long phase) {
    int key = Integer.rotateLeft(mask, Byte.SIZE * (int) (phase & 3));
    // Longs one by one by an index from 0, in the machine's order: a loop that is vectorised.
    LongBuffer longs = buffer.slice(from, to - from).order(ByteOrder.nativeOrder()).asLongBuffer();
    int ordered = ByteOrder.nativeOrder() == ByteOrder.BIG_ENDIAN ? key : Integer.reverseBytes(key);
    long wide = (long) ordered << Integer.SIZE | Integer.toUnsignedLong(ordered);
    int count = longs.limit();
    for (int i = 0; i < count; i++) {
      longs.put(i, longs.get(i) ^ wide);
    }
    for (int at = from + count * Long.BYTES; at < to; at++) {
      buffer.put(at, (byte) (buffer.get(at) ^ (key >>> (Integer.SIZE - Byte.SIZE))));
      key = Integer.rotateLeft(key, Byte.SIZE);
    }
  }

  /** The payload of a close frame; the reason is cut to what fits. */
  public static byte[] closing(int code, String reason) {
    byte[] text = reason.getBytes(StandardCharsets.US_ASCII);
    int length = Math.min(text.length, MAX_CONTROL_BYTES - Short.BYTES);
    return ByteBuffer.allocate(Short.BYTES + length)
        .putShort((short) code)
        .put(text, 0, length)
        .array();
  }

  /**
   * The code of a close frame's payload; {@link #NORMAL} where it is empty.
   *
   * @throws WebSocketException {@link #PROTOCOL_ERROR} for half a code or one nobody may send,
   *     {@link #INVALID_TEXT} for a reason that is no UTF-8
   */
  public static int closeCode(byte[] payload) throws WebSocketException {
    if (payload.length == 0) {
      return NORMAL;
    }
    if (payload.length < Short.BYTES) {
      throw new WebSocketException(PROTOCOL_ERROR, "a close code must have 2 bytes");
    }
    int code = ByteBuffer.wrap(payload).getShort() & 0xffff;
    boolean defined = code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
    if (!defined && (code < 3000 || code > 4999)) {
      throw new WebSocketException(PROTOCOL_ERROR, "close code " + code + " must not be sent");
    }
    try {
      StandardCharsets.UTF_8
          .newDecoder()
          .decode(ByteBuffer.wrap(payload, Short.BYTES, payload.length - Short.BYTES));
    } catch (CharacterCodingException e) {
      throw new WebSocketException(INVALID_TEXT, "the reason of a close is not UTF-8");
    }
    return code;
  }
}
