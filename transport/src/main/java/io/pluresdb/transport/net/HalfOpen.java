package io.pluresdb.transport.net;

import java.net.Inet6Address;
import java.net.InetAddress;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;

/**
 * Counts accepted connections whose handshake is not finished, in all and by address. An IPv6 /64
 * counts as one address, since one host may have all of it. Thread-safe.
 */
final class HalfOpen {
  private static final int IPV6_PREFIX_BYTES = 8;

  private final int most;
  private final int mostPerAddress;
  private final Map<String, Integer> byAddress = new HashMap<>();
  private int total;

  /**
   * @param most 1 or more
   * @param mostPerAddress 1 or more
   */
  HalfOpen(int most, int mostPerAddress) {
    this.most = most;
    this.mostPerAddress = mostPerAddress;
  }

  /** Counts one more, unless that exceeds a limit. */
  synchronized boolean tryEnter(InetAddress address) {
    String key = key(address);
    int count = byAddress.getOrDefault(key, 0);
    if (total >= most || count >= mostPerAddress) {
      return false;
    }
    total++;
    byAddress.put(key, count + 1);
    return true;
  }

  /** Takes back one {@link #tryEnter} that returned true. */
  synchronized void leave(InetAddress address) {
    total--;
    byAddress.computeIfPresent(key(address), (key, count) -> count == 1 ? null : count - 1);
  }

  synchronized int total() {
    return total;
  }

  /** One text for what counts as one address. */
  static String key(InetAddress address) {
    byte[] bytes = address.getAddress();
    return HexFormat.of()
        .formatHex(
            address instanceof Inet6Address ? Arrays.copyOf(bytes, IPV6_PREFIX_BYTES) : bytes);
  }
}
