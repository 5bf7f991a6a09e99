package io.pluresdb.transport.dht;

import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The two DHTs there are, one of each IP version (BEP 32), with their compact formats. */
public enum AddressFamily {
  IPV4(4, "nodes", "n4"),
  IPV6(16, "nodes6", "n6");

  private static final int PORT_BYTES = 2;

  private final int ipBytes;
  private final String nodesKey;
  private final String want;

  AddressFamily(int ipBytes, String nodesKey, String want) {
    this.ipBytes = ipBytes;
    this.nodesKey = nodesKey;
    this.want = want;
  }

  public static AddressFamily of(InetSocketAddress address) {
    return address.getAddress() instanceof Inet4Address ? IPV4 : IPV6;
  }

  /** Bytes of an address and port: 6 or 18. */
  int addressBytes() {
    return ipBytes + PORT_BYTES;
  }

  /** Bytes of an id, address and port: 26 or 38. */
  int contactBytes() {
    return DhtId.BYTES + addressBytes();
  }

  /** Key of the nodes of this family in a reply. */
  String nodesKey() {
    return nodesKey;
  }

  /** How a query asks for nodes of this family. */
  String want() {
    return want;
  }

  static void write(ByteBuffer out, InetSocketAddress address) {
    out.put(address.getAddress().getAddress()).putShort((short) address.getPort());
  }

  static void write(ByteBuffer out, NodeContact contact) {
    out.put(contact.id().toByteArray());
    write(out, contact.address());
  }

  /** Reads an address of 6 or 18 bytes, null for any other length. */
  static @Nullable InetSocketAddress readAddress(byte[] bytes) {
    for (AddressFamily family : values()) {
      if (bytes.length == family.addressBytes()) {
        return family.address(bytes, 0);
      }
    }
    return null;
  }

  /** Appends the contacts of {@code bytes} to {@code to}; false when the length does not fit. */
  boolean readContacts(byte[] bytes, List<NodeContact> to) {
    if (bytes.length % contactBytes() != 0) {
      return false;
    }
    for (int at = 0; at < bytes.length; at += contactBytes()) {
      InetSocketAddress address = address(bytes, at + DhtId.BYTES);
      // An IPv4 address in the clothes of an IPv6 one belongs to the other DHT.
      if (of(address) == this) {
        to.add(new NodeContact(DhtId.read(bytes, at), address));
      }
    }
    return true;
  }

  private InetSocketAddress address(byte[] bytes, int at) {
    try {
      InetAddress ip = InetAddress.getByAddress(Arrays.copyOfRange(bytes, at, at + ipBytes));
      int port = (bytes[at + ipBytes] & 0xff) << 8 | (bytes[at + ipBytes + 1] & 0xff);
      return new InetSocketAddress(ip, port);
    } catch (UnknownHostException e) {
      throw new IllegalStateException("an address of the right length is refused", e);
    }
  }
}
