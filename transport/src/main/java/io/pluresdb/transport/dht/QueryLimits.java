package io.pluresdb.transport.dht;

import java.net.Inet4Address;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * How many queries are answered: of one address (one /64 of IPv6), and of all together. Token
 * buckets; remembers a bounded number of addresses, the one not heard of longest forgotten first.
 */
public final class QueryLimits {
  static final int PER_SECOND = 20;
  static final int BURST = 100;
  static final int ALL_PER_SECOND = 2_000;
  static final int ALL_BURST = 4_000;
  static final int MAX_REMEMBERED = 4_096;

  private static final class Allowance {
    private double left;
    private long at;

    Allowance(double left, long at) {
      this.left = left;
      this.at = at;
    }

    boolean take(long now, int perSecond, int burst) {
      left = Math.min(burst, left + (now - at) * perSecond / 1_000.0);
      at = now;
      if (left < 1) {
        return false;
      }
      left--;
      return true;
    }
  }

  private final Map<Long, Allowance> remembered = new LinkedHashMap<>(16, 0.75f, true);
  private final Allowance all;

  /**
   * @param now in milliseconds of any clock that does not go back
   */
  public QueryLimits(long now) {
    this.all = new Allowance(ALL_BURST, now);
  }

  /** Whether one more query of {@code from} is answered. */
  public boolean allows(InetAddress from, long now) {
    if (AddressScope.of(from) == AddressScope.LOOPBACK) {
      return true;
    }
    ByteBuffer ip = ByteBuffer.wrap(from.getAddress());
    long source = from instanceof Inet4Address ? ip.getInt() & 0xffff_ffffL : ip.getLong();
    Allowance own = remembered.get(source);
    if (own == null) {
      own = new Allowance(BURST, now);
      remembered.put(source, own);
      if (remembered.size() > MAX_REMEMBERED) {
        remembered.remove(remembered.keySet().iterator().next());
      }
    }
    // The own allowance first: who has used it up takes nothing from the others.
    return own.take(now, PER_SECOND, BURST) && all.take(now, ALL_PER_SECOND, ALL_BURST);
  }

  int remembered() {
    return remembered.size();
  }
}
