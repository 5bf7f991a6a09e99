package io.pluresdb.transport.path;

import java.net.InetSocketAddress;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Where the UDP port of a device may be reached.
 *
 * @param seen where others see it, null when they see different ports or nobody said
 * @param addresses all of these, the likeliest first; at most {@link #MAX_ADDRESSES}
 */
public record Reachability(
    NatKind nat, @Nullable InetSocketAddress seen, List<InetSocketAddress> addresses) {
  /** Most addresses that are told to a peer. */
  public static final int MAX_ADDRESSES = 12;

  public Reachability {
    addresses = addresses.stream().distinct().limit(MAX_ADDRESSES).toList();
  }

  /** Nothing is known. */
  public static Reachability nowhere() {
    return new Reachability(NatKind.UNKNOWN, null, List.of());
  }
}
