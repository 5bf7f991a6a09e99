package io.pluresdb.daemon.node;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.transport.path.Candidate;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Addresses as people write them: {@code host:port}, IPv6 in brackets. */
public final class Addresses {
  private Addresses() {}

  /**
   * Parses and resolves an address.
   *
   * @throws CoreException when it has no host, no port of 0 to 65535, or an unknown host
   */
  public static InetSocketAddress parse(String text) {
    return parse(text, 0);
  }

  /** As {@link #parse(String)}, for an address somebody listens on: its port is 1 to 65535. */
  public static InetSocketAddress parseToDial(String text) {
    return parse(text, 1);
  }

  /**
   * An address of digits somebody told us, or null: names of strangers are not looked up.
   *
   * @param text {@code 192.0.2.1:34570} or {@code [2001:db8::1]:34570}
   */
  static @Nullable InetSocketAddress parseNumeric(String text) {
    int colon = text.lastIndexOf(':');
    if (colon < 0) {
      return null;
    }
    try {
      int port = Integer.parseInt(text.substring(colon + 1));
      return port < 1
          ? null
          : new InetSocketAddress(InetAddress.ofLiteral(text.substring(0, colon)), port);
    } catch (IllegalArgumentException e) {
      return null;
    }
  }

  private static InetSocketAddress parse(String text, int leastPort) {
    int colon = text.lastIndexOf(':');
    String host = colon < 0 ? "" : text.substring(0, colon);
    if (host.startsWith("[") && host.endsWith("]")) {
      host = host.substring(1, host.length() - 1);
    } else if (host.contains(":")) {
      host = "";
    }
    int port = -1;
    try {
      port = Integer.parseInt(text.substring(colon + 1));
    } catch (NumberFormatException e) {
      // Reported below with the other defects.
    }
    if (host.isEmpty() || port < leastPort || port > 65_535) {
      throw CoreException.invalid(
          "an address must be HOST:PORT with a port of "
              + leastPort
              + " to 65535, but is \""
              + text
              + "\"");
    }
    try {
      return new InetSocketAddress(InetAddress.getByName(host), port);
    } catch (UnknownHostException e) {
      throw new CoreException(
          CoreException.Kind.INVALID_INPUT, "the host of \"" + text + "\" is not known", e);
    }
  }

  /** Those that name no relay, as a database or an invite has them. */
  static List<Candidate> direct(List<String> addresses) {
    var candidates = new ArrayList<Candidate>();
    for (String address : addresses) {
      if (!RelayLinks.isRelay(address)) {
        candidates.add(new Candidate.Direct(parse(address)));
      }
    }
    return candidates;
  }

  public static String format(InetSocketAddress address) {
    InetAddress ip = address.getAddress();
    String host = ip == null ? address.getHostString() : ip.getHostAddress();
    return (host.contains(":") ? "[" + host + "]" : host) + ":" + address.getPort();
  }
}
