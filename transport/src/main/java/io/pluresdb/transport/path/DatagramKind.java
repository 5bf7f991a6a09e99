package io.pluresdb.transport.path;

/**
 * What a datagram on the device's UDP port is, by its first two bytes.
 *
 * <pre>
 * 1xxxxxxx            QUIC, long header
 * 'd' '0'..'9'        KRPC: a bencoded dictionary begins with the length of its first key
 * 01xxxxxx            QUIC, short header; the second byte begins a connection id of ours
 * 00010000, 3         a relay says where it sees this port
 * 00010000            hole punching
 * anything else       KRPC, which counts it as malformed
 * </pre>
 *
 * <p>A short header may begin with {@code d}; connection ids of ours therefore begin with {@link
 * #CONNECTION_ID_MARK}, which is no digit.
 */
public enum DatagramKind {
  KRPC,
  QUIC,
  PUNCH,
  ECHO;

  /** First byte of every connection id this device gives itself. */
  public static final byte CONNECTION_ID_MARK = (byte) 0xA5;

  /** First byte of a {@link PunchProbe} and of a {@link PortEcho}. */
  public static final byte PUNCH_MARK = 0x10;

  private static final int LONG_HEADER = 0x80;
  private static final int FIXED_BIT = 0x40;

  /**
   * @param first the first byte
   * @param second the second byte, 0 where there is none
   */
  public static DatagramKind of(byte first, byte second) {
    if ((first & LONG_HEADER) != 0) {
      return QUIC;
    }
    if (first == 'd' && second >= '0' && second <= '9') {
      return KRPC;
    }
    if ((first & FIXED_BIT) != 0) {
      return QUIC;
    }
    if (first != PUNCH_MARK) {
      return KRPC;
    }
    return second == PortEcho.ANSWER ? ECHO : PUNCH;
  }
}
