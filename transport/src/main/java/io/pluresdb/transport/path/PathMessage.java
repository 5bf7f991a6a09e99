package io.pluresdb.transport.path;

import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What the two sides of a session tell each other to open a direct path, inside the encryption: the
 * relay in between learns nothing of it.
 *
 * <pre>
 * message   := 1 u8 | offer          offer of the side that leads
 *            | 2 u8 | offer | waited u16   answer, so many milliseconds after the offer came
 *            | 3 u8 | round u8       now
 *            | 4 u8                  let us try again: the network has changed
 * offer     := round u8 | nat u8 | token 8 | n u8 | n addresses
 * address   := 4 or 6 u8 | IP 4 or 16 | port u16
 * </pre>
 */
public sealed interface PathMessage {
  /** Bytes of a token. */
  int TOKEN_BYTES = 8;

  /**
   * Where a side can be reached.
   *
   * @param round counts the attempts of a session, modulo 256
   * @param token datagrams to the sender of this carry it
   */
  record Offer(int round, NatKind nat, byte[] token, List<InetSocketAddress> addresses)
      implements PathMessage {}

  /**
   * The same of the other side, as an answer.
   *
   * @param waitedMillis from the arrival of the offer to this, 0 to {@link #MAX_WAITED_MILLIS}
   */
  record Answer(
      int round, NatKind nat, byte[] token, List<InetSocketAddress> addresses, int waitedMillis)
      implements PathMessage {}

  /** Both sides begin to send datagrams. */
  record Now(int round) implements PathMessage {}

  /** The side that does not lead wants another attempt. */
  record Again() implements PathMessage {}

  /** A longer wait is told as this one. */
  int MAX_WAITED_MILLIS = 0xffff;

  byte OFFER = 1;
  byte ANSWER = 2;
  byte NOW = 3;
  byte AGAIN = 4;

  /** The message as it travels. */
  default byte[] encode() {
    return switch (this) {
      case Offer(var round, var nat, var token, var addresses) ->
          offer(OFFER, round, nat, token, addresses);
      case Answer(var round, var nat, var token, var addresses, var waited) -> {
        byte[] offer = offer(ANSWER, round, nat, token, addresses);
        yield ByteBuffer.allocate(offer.length + Short.BYTES)
            .put(offer)
            .putShort((short) waited)
            .array();
      }
      case Now(var round) -> new byte[] {NOW, (byte) round};
      case Again ignored -> new byte[] {AGAIN};
    };
  }

  private static byte[] offer(
      byte kind, int round, NatKind nat, byte[] token, List<InetSocketAddress> addresses) {
    ByteBuffer out =
        ByteBuffer.allocate(4 + TOKEN_BYTES + addresses.size() * (1 + 16 + Short.BYTES));
    out.put(kind).put((byte) round).put(nat.code()).put(token).put((byte) addresses.size());
    for (InetSocketAddress address : addresses) {
      byte[] ip = address.getAddress().getAddress();
      out.put((byte) (address.getAddress() instanceof Inet4Address ? 4 : 6)).put(ip);
      out.putShort((short) address.getPort());
    }
    byte[] bytes = new byte[out.position()];
    out.flip().get(bytes);
    return bytes;
  }

  /** Reads what {@link #encode} wrote; null for anything else. */
  static @Nullable PathMessage decode(byte[] bytes) {
    ByteBuffer in = ByteBuffer.wrap(bytes);
    try {
      PathMessage message = read(in);
      return in.hasRemaining() ? null : message;
    } catch (BufferUnderflowException | UnknownHostException e) {
      return null;
    }
  }

  private static @Nullable PathMessage read(ByteBuffer in) throws UnknownHostException {
    int kind = in.get();
    switch (kind) {
      case OFFER, ANSWER -> {
        int round = in.get() & 0xff;
        NatKind nat = NatKind.of(in.get());
        byte[] token = new byte[TOKEN_BYTES];
        in.get(token);
        int count = in.get() & 0xff;
        if (nat == null || count > Reachability.MAX_ADDRESSES) {
          return null;
        }
        var addresses = new ArrayList<InetSocketAddress>();
        for (int i = 0; i < count; i++) {
          int family = in.get();
          if (family != 4 && family != 6) {
            return null;
          }
          byte[] ip = new byte[family == 4 ? 4 : 16];
          in.get(ip);
          InetAddress address = InetAddress.getByAddress(ip);
          int port = in.getShort() & 0xffff;
          // An IPv4 address in IPv6's clothes would be another text for the same.
          if (port == 0 || (family == 6 && address instanceof Inet4Address)) {
            return null;
          }
          addresses.add(new InetSocketAddress(address, port));
        }
        return kind == OFFER
            ? new Offer(round, nat, token, List.copyOf(addresses))
            : new Answer(round, nat, token, List.copyOf(addresses), in.getShort() & 0xffff);
      }
      case NOW -> {
        return new Now(in.get() & 0xff);
      }
      case AGAIN -> {
        return new Again();
      }
      default -> {
        return null;
      }
    }
  }
}
