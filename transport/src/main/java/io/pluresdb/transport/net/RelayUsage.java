package io.pluresdb.transport.net;

import io.pluresdb.transport.relay.Allowance;

/** What the clients of one address, or with one token, use of a relay. On the relay's thread. */
final class RelayUsage {
  final Allowance allowance;
  int circuitEnds;
  int controls;
  long usedNanos;

  RelayUsage(long bytesPerSecond, long nowNanos) {
    allowance = new Allowance(bytesPerSecond, nowNanos);
    usedNanos = nowNanos;
  }

  boolean isIdle() {
    return circuitEnds == 0 && controls == 0;
  }
}
