package io.pluresdb.transport.net;

import java.net.InetAddress;
import org.jspecify.annotations.Nullable;

/**
 * Who a connection to a relay belongs to.
 *
 * @param byKey null without tokens
 * @param circuitsOfKey most ends of circuits of its token
 * @param expiresMillis when its token is worth nothing any more, in Unix time; {@link
 *     Long#MAX_VALUE} for never
 */
record RelayCaller(
    InetAddress address,
    RelayUsage byAddress,
    @Nullable RelayUsage byKey,
    int circuitsOfKey,
    long expiresMillis) {
  /** Counts bytes read of it; returns for how many nanoseconds it should not be read. */
  long charge(long bytes, long nowNanos) {
    long pause = byAddress.allowance.take(bytes, nowNanos);
    byAddress.usedNanos = nowNanos;
    if (byKey != null) {
      byKey.usedNanos = nowNanos;
      pause = Math.max(pause, byKey.allowance.take(bytes, nowNanos));
    }
    return pause;
  }

  void circuitEnds(int change) {
    byAddress.circuitEnds += change;
    if (byKey != null) {
      byKey.circuitEnds += change;
    }
  }
}
