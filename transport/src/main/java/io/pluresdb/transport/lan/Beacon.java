package io.pluresdb.transport.lan;

import io.pluresdb.transport.topic.Hint;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One announcement on the local network, one UDP datagram.
 *
 * <pre>
 *  0        4         5       6      8            16      17
 * +--------+---------+-------+------+------------+-------+------------+---
 * | "PLRB" | version | flags | port | instance   | n     | hint 1     | ... n hints
 * |  4 B   |  0x01   |       | u16  | 8 B        | 1..32 | 16 B       |
 * +--------+---------+-------+------+------------+-------+------------+---
 * flags: bit 0 = this is a reply, do not reply to it; others 0
 * </pre>
 *
 * <p>It is not authenticated: what it says is a hint where to dial.
 *
 * @param port the TCP port sessions are accepted on, 1 to 65535
 * @param instance tells the sender's own beacons from others; random at each start
 * @param hints 1 to 32
 */
public record Beacon(boolean reply, int port, long instance, List<Hint> hints) {
  public static final int MAX_HINTS = 32;
  public static final int MAX_BYTES = 17 + MAX_HINTS * Hint.HINT_BYTES;

  private static final byte[] MAGIC = "PLRB".getBytes(StandardCharsets.US_ASCII);
  private static final byte VERSION = 1;
  private static final int REPLY_FLAG = 1;
  private static final int HEADER_BYTES = 17;

  public Beacon {
    if (port < 1 || port > 65535) {
      throw new IllegalArgumentException("a beacon's port must be 1 to 65535, but is " + port);
    }
    if (hints.isEmpty() || hints.size() > MAX_HINTS) {
      throw new IllegalArgumentException(
          "a beacon must have 1 to 32 hints, but has " + hints.size());
    }
    hints = List.copyOf(hints);
  }

  public byte[] encode() {
    ByteBuffer out = ByteBuffer.allocate(HEADER_BYTES + hints.size() * Hint.HINT_BYTES);
    out.put(MAGIC).put(VERSION).put((byte) (reply ? REPLY_FLAG : 0));
    out.putShort((short) port).putLong(instance).put((byte) hints.size());
    hints.forEach(hint -> out.put(hint.bytes()));
    return out.array();
  }

  /** Reads {@code bytes[0, length)}; null for anything {@link #encode} does not write. */
  public static @Nullable Beacon decode(byte[] bytes, int length) {
    if (length < HEADER_BYTES
        || length > MAX_BYTES
        || !Arrays.equals(bytes, 0, MAGIC.length, MAGIC, 0, MAGIC.length)) {
      return null;
    }
    ByteBuffer in = ByteBuffer.wrap(bytes, MAGIC.length, length - MAGIC.length);
    byte version = in.get();
    int flags = in.get() & 0xff;
    int port = in.getShort() & 0xffff;
    long instance = in.getLong();
    int count = in.get() & 0xff;
    if (version != VERSION
        || flags > REPLY_FLAG
        || port == 0
        || count == 0
        || in.remaining() != count * Hint.HINT_BYTES) {
      return null;
    }
    List<Hint> hints = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      byte[] hint = new byte[Hint.HINT_BYTES];
      in.get(hint);
      hints.add(new Hint(hint));
    }
    return new Beacon(flags == REPLY_FLAG, port, instance, hints);
  }
}
