package io.pluresdb.transport.nat;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** A datagram of a gateway: PCP (RFC 6887) or NAT-PMP (RFC 6886). */
sealed interface GatewayAnswer {
  int PCP_VERSION = 2;
  int NAT_PMP_VERSION = 0;
  int NONCE_BYTES = 12;

  /** Result of both protocols: the gateway does not speak this version. */
  int UNSUPPORTED_VERSION = 1;

  /**
   * PCP's answer to MAP.
   *
   * @param result 0 is success
   */
  record Pcp(
      int result,
      int lifetime,
      long epoch,
      byte[] nonce,
      int protocol,
      int internalPort,
      int externalPort,
      InetAddress external)
      implements GatewayAnswer {}

  /** PCP's answer to something it did not understand. */
  record PcpFailure(int result) implements GatewayAnswer {}

  /** NAT-PMP's external address; null unless the result is 0. */
  record Address(int result, long epoch, @Nullable InetAddress external) implements GatewayAnswer {}

  /** NAT-PMP's answer to a request for a port. */
  record Mapped(
      int result, PortKind kind, long epoch, int internalPort, int externalPort, long lifetime)
      implements GatewayAnswer {}

  /** Anything else. */
  record Malformed() implements GatewayAnswer {}

  int PCP_MAP_BYTES = 60;
  int PCP_HEADER_BYTES = 24;
  int ADDRESS_BYTES = 12;
  int MAPPED_BYTES = 16;
  int MAP_OPCODE = 1;
  int ANSWER = 0x80;

  static GatewayAnswer decode(byte[] bytes) {
    if (bytes.length < 4 || (bytes[1] & ANSWER) == 0) {
      return new Malformed();
    }
    ByteBuffer in = ByteBuffer.wrap(bytes);
    int version = in.get();
    int opcode = in.get() & 0x7f;
    return switch (version) {
      case PCP_VERSION -> pcp(in, opcode);
      case NAT_PMP_VERSION -> natPmp(in, opcode);
      default -> new Malformed();
    };
  }

  private static GatewayAnswer pcp(ByteBuffer in, int opcode) {
    if (in.capacity() < PCP_HEADER_BYTES || in.capacity() % 4 != 0) {
      return new Malformed();
    }
    in.get();
    int result = in.get() & 0xff;
    int lifetime = in.getInt();
    long epoch = in.getInt() & 0xffff_ffffL;
    if (opcode != MAP_OPCODE || in.capacity() < PCP_MAP_BYTES) {
      return result == 0 ? new Malformed() : new PcpFailure(result);
    }
    in.position(PCP_HEADER_BYTES);
    byte[] nonce = new byte[NONCE_BYTES];
    in.get(nonce);
    int protocol = in.get() & 0xff;
    in.position(in.position() + 3);
    int internalPort = in.getShort() & 0xffff;
    int externalPort = in.getShort() & 0xffff;
    byte[] external = new byte[16];
    in.get(external);
    // A lifetime that is negative as an int is more than 68 years.
    return new Pcp(
        result,
        lifetime < 0 ? Integer.MAX_VALUE : lifetime,
        epoch,
        nonce,
        protocol,
        internalPort,
        externalPort,
        address(external));
  }

  private static GatewayAnswer natPmp(ByteBuffer in, int opcode) {
    int result = in.getShort() & 0xffff;
    if (in.capacity() < 8) {
      return new Malformed();
    }
    long epoch = in.getInt() & 0xffff_ffffL;
    if (opcode == 0) {
      if (result != 0) {
        return new Address(result, epoch, null);
      }
      if (in.capacity() != ADDRESS_BYTES) {
        return new Malformed();
      }
      byte[] external = new byte[4];
      in.get(external);
      return new Address(0, epoch, address(external));
    }
    if (opcode > 2 || (result == 0 && in.capacity() != MAPPED_BYTES)) {
      return new Malformed();
    }
    PortKind kind = opcode == 1 ? PortKind.UDP : PortKind.TCP;
    if (in.remaining() < 8) {
      return new Mapped(result, kind, epoch, 0, 0, 0);
    }
    return new Mapped(
        result,
        kind,
        epoch,
        in.getShort() & 0xffff,
        in.getShort() & 0xffff,
        in.getInt() & 0xffff_ffffL);
  }

  private static InetAddress address(byte[] bytes) {
    try {
      return InetAddress.getByAddress(bytes);
    } catch (UnknownHostException e) {
      throw new IllegalStateException("4 or 16 bytes are an address", e);
    }
  }

  /** PCP's MAP; a lifetime of 0 deletes. */
  static byte[] pcpMap(
      InetAddress client, byte[] nonce, PortKind kind, int port, int suggested, int lifetime) {
    ByteBuffer out = ByteBuffer.allocate(PCP_MAP_BYTES);
    out.put((byte) PCP_VERSION).put((byte) MAP_OPCODE).putShort((short) 0).putInt(lifetime);
    out.put(mapped(client)).put(nonce).put((byte) kind.protocol()).put(new byte[3]);
    out.putShort((short) port).putShort((short) suggested);
    // No suggestion: the wildcard of the family (RFC 6887 section 11.1).
    byte[] any = new byte[16];
    if (client.getAddress().length == 4) {
      any[10] = -1;
      any[11] = -1;
    }
    return out.put(any).array();
  }

  private static byte[] mapped(InetAddress address) {
    byte[] bytes = address.getAddress();
    if (bytes.length == 16) {
      return bytes;
    }
    byte[] out = Arrays.copyOf(new byte[] {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1}, 16);
    System.arraycopy(bytes, 0, out, 12, 4);
    return out;
  }

  /** NAT-PMP's question for the external address. */
  static byte[] natPmpAddress() {
    return new byte[] {NAT_PMP_VERSION, 0};
  }

  /** NAT-PMP's request for a port; a lifetime of 0 deletes. */
  static byte[] natPmpMap(PortKind kind, int port, int suggested, int lifetime) {
    return ByteBuffer.allocate(12)
        .put((byte) NAT_PMP_VERSION)
        .put((byte) (kind == PortKind.UDP ? 1 : 2))
        .putShort((short) 0)
        .putShort((short) port)
        .putShort((short) suggested)
        .putInt(lifetime)
        .array();
  }
}
