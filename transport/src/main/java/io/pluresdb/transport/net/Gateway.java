package io.pluresdb.transport.net;

import java.io.IOException;
import java.net.DatagramSocket;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketException;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The router behind which this device is.
 *
 * @param client this device's address towards it
 */
record Gateway(InetAddress router, InetAddress client) {
  private static final Path LINUX_ROUTES = Path.of("/proc/net/route");
  private static final String DEFAULT_ROUTE = "00000000";

  /** An address that is nobody's (RFC 5737); nothing is sent there. */
  private static final InetSocketAddress ANYWHERE =
      new InetSocketAddress(InetAddress.ofLiteral("192.0.2.1"), 9);

  /** The router of the default route; null where there is none, or this device needs none. */
  static @Nullable Gateway find() {
    InetAddress client = ownAddress();
    if (client == null) {
      return null;
    }
    InetAddress router = linux();
    return new Gateway(router == null ? guessed(client) : router, client);
  }

  private static @Nullable InetAddress ownAddress() {
    try (var socket = new DatagramSocket()) {
      socket.connect(ANYWHERE);
      InetAddress own = socket.getLocalAddress();
      return own instanceof Inet4Address && own.isSiteLocalAddress() ? own : null;
    } catch (SocketException e) {
      return null;
    }
  }

  private static @Nullable InetAddress linux() {
    try {
      return Files.isReadable(LINUX_ROUTES) ? router(Files.readAllLines(LINUX_ROUTES)) : null;
    } catch (IOException e) {
      return null;
    }
  }

  /** The router in the lines of Linux's table of routes; null where it has no default route. */
  static @Nullable InetAddress router(List<String> lines) {
    for (String line : lines) {
      String[] fields = line.strip().split("\\s+", -1);
      if (fields.length > 7
          && fields[1].equals(DEFAULT_ROUTE)
          && fields[7].equals(DEFAULT_ROUTE)
          && !fields[2].equals(DEFAULT_ROUTE)) {
        int backwards = Integer.parseUnsignedInt(fields[2], 16);
        return address(Integer.reverseBytes(backwards));
      }
    }
    return null;
  }

  /** Most routers have the first address of their network. */
  private static InetAddress guessed(InetAddress client) {
    byte[] bytes = client.getAddress();
    bytes[3] = 1;
    return address(java.nio.ByteBuffer.wrap(bytes).getInt());
  }

  private static InetAddress address(int bits) {
    try {
      return InetAddress.getByAddress(
          java.nio.ByteBuffer.allocate(Integer.BYTES).putInt(bits).array());
    } catch (UnknownHostException e) {
      throw new IllegalStateException("4 bytes are an address", e);
    }
  }
}
