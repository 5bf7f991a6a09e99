package io.pluresdb.transport.path;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A datagram between two devices that open a way through NATs.
 *
 * <pre>
 * 10 u8 (hexadecimal) | kind u8 | token 8
 * </pre>
 *
 * @param heard false asks whether it arrives, true says that such a question arrived
 * @param token of the receiver, who gave it to the sender inside their session
 */
public record PunchProbe(boolean heard, byte[] token) {
  static final int PROBE_BYTES = 2 + PathMessage.TOKEN_BYTES;

  /** The datagram. */
  public byte[] encode() {
    byte[] datagram = new byte[PROBE_BYTES];
    datagram[0] = DatagramKind.PUNCH_MARK;
    datagram[1] = (byte) (heard ? 1 : 0);
    System.arraycopy(token, 0, datagram, 2, token.length);
    return datagram;
  }

  /** Reads what {@link #encode} wrote from {@code bytes[0, length)}; null for anything else. */
  public static @Nullable PunchProbe decode(byte[] bytes, int length) {
    boolean valid =
        length == PROBE_BYTES
            && bytes[0] == DatagramKind.PUNCH_MARK
            && (bytes[1] == 0 || bytes[1] == 1);
    return valid ? new PunchProbe(bytes[1] == 1, Arrays.copyOfRange(bytes, 2, length)) : null;
  }
}
