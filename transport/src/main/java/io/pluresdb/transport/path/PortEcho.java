package io.pluresdb.transport.path;

import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A datagram by which a device learns where others see its UDP port, as with STUN (RFC 8489): it
 * asks a relay, which answers with the address it was asked from.
 *
 * <pre>
 * question := 10 u8 (hexadecimal) | 2 u8 | token 8 | zeros to 32 bytes
 * answer   := 10 u8 (hexadecimal) | 3 u8 | token 8 | 4 or 6 u8 | IP 4 or 16 | port u16
 * </pre>
 *
 * <p>No answer is longer than its question, so nobody is flooded with the help of one.
 */
public sealed interface PortEcho {
  /** Bytes of a token. */
  int TOKEN_BYTES = 8;

  /** Bytes of a question. */
  int QUESTION_BYTES = 32;

  /** Second byte of a question. */
  byte QUESTION = 2;

  /** Second byte of an answer. */
  byte ANSWER = 3;

  /**
   * Where do you see me?
   *
   * @param token drawn at random, so that nobody else answers
   */
  record Question(byte[] token) implements PortEcho {}

  /**
   * There.
   *
   * @param token of the question
   */
  record Answer(byte[] token, InetSocketAddress seen) implements PortEcho {}

  /** The datagram. */
  default byte[] encode() {
    ByteBuffer out = ByteBuffer.allocate(QUESTION_BYTES).put(DatagramKind.PUNCH_MARK);
    return switch (this) {
      case Question(var token) -> out.put(QUESTION).put(token).array();
      case Answer(var token, var seen) -> {
        out.put(ANSWER).put(token);
        out.put((byte) (seen.getAddress() instanceof Inet4Address ? 4 : 6));
        out.put(seen.getAddress().getAddress()).putShort((short) seen.getPort());
        yield Arrays.copyOf(out.array(), out.position());
      }
    };
  }

  /** Reads what {@link #encode} wrote from {@code bytes[0, length)}; null for anything else. */
  static @Nullable PortEcho decode(byte[] bytes, int length) {
    int headBytes = 2 + TOKEN_BYTES;
    if (length < headBytes || bytes[0] != DatagramKind.PUNCH_MARK) {
      return null;
    }
    byte[] token = Arrays.copyOfRange(bytes, 2, headBytes);
    if (bytes[1] == QUESTION) {
      return length == QUESTION_BYTES ? new Question(token) : null;
    }
    if (bytes[1] != ANSWER || length == headBytes) {
      return null;
    }
    int ipBytes =
        switch (bytes[headBytes]) {
          case 4 -> 4;
          case 6 -> 16;
          default -> 0;
        };
    if (ipBytes == 0 || length != headBytes + 1 + ipBytes + Short.BYTES) {
      return null;
    }
    ByteBuffer in = ByteBuffer.wrap(bytes, headBytes + 1, ipBytes + Short.BYTES);
    byte[] ip = new byte[ipBytes];
    in.get(ip);
    int port = in.getShort() & 0xffff;
    try {
      InetAddress address = InetAddress.getByAddress(ip);
      // An IPv4 address in IPv6's clothes would be another text for the same.
      boolean valid = port != 0 && address.getAddress().length == ipBytes;
      return valid ? new Answer(token, new InetSocketAddress(address, port)) : null;
    } catch (UnknownHostException e) {
      return null;
    }
  }
}
