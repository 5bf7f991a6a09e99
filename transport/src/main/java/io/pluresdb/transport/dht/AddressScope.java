package io.pluresdb.transport.dht;

import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;

/** How far an address reaches, nearest first. */
public enum AddressScope {
  /** This host. Nobody else can send from there: limits against strangers do not apply. */
  LOOPBACK,
  /** A network that uses addresses of its own: RFC 1918, 3927, 4193 and 6598. */
  PRIVATE,
  GLOBAL,
  /** Not an address of one host: unspecified, multicast, broadcast or reserved. */
  NONE;

  private static final int IPV4_SUBNET_BITS = 24;
  private static final int IPV6_SUBNET_BITS = 48;

  public static AddressScope of(InetAddress address) {
    if (address.isAnyLocalAddress() || address.isMulticastAddress()) {
      return NONE;
    }
    if (address.isLoopbackAddress()) {
      return LOOPBACK;
    }
    byte[] bytes = address.getAddress();
    int first = bytes[0] & 0xff;
    boolean own = address.isSiteLocalAddress() || address.isLinkLocalAddress();
    if (address instanceof Inet4Address) {
      if (first == 0 || first >= 240) {
        return NONE;
      }
      boolean carrier = first == 100 && (bytes[1] & 0xc0) == 64;
      return own || carrier ? PRIVATE : GLOBAL;
    }
    return own || (first & 0xfe) == 0xfc ? PRIVATE : GLOBAL;
  }

  /**
   * Whether {@code told} may be somebody whom a node at {@code teller} knows and who can be reached
   * from here: strangers must not lead us to this host or to the local network.
   */
  static boolean mayTell(InetAddress teller, InetSocketAddress told) {
    AddressScope scope = of(told.getAddress());
    return told.getPort() != 0 && scope != NONE && scope.compareTo(of(teller)) >= 0;
  }

  /** The network an address is in, as far as one owner is likely to have all of it. */
  static long subnet(InetAddress address) {
    byte[] bytes = address.getAddress();
    return address instanceof Inet4Address
        ? ByteBuffer.wrap(bytes).getInt() >>> (32 - IPV4_SUBNET_BITS)
        : ByteBuffer.wrap(bytes).getLong() >>> (64 - IPV6_SUBNET_BITS) | 1L << 62;
  }
}
