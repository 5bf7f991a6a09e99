package io.pluresdb.transport.relay;

import java.time.Duration;

/**
 * What somebody may send in a second: a bucket that fills at the rate up to a second's worth and
 * may run into debt by what was read before it could be known. Not thread-safe.
 */
public final class Allowance {
  private static final long SECOND_NANOS = Duration.ofSeconds(1).toNanos();

  private final double bytesPerNano;
  private final double most;
  private double left;
  private long filledNanos;

  public Allowance(long bytesPerSecond, long nowNanos) {
    bytesPerNano = (double) bytesPerSecond / SECOND_NANOS;
    most = bytesPerSecond;
    left = bytesPerSecond;
    filledNanos = nowNanos;
  }

  /** Takes {@code bytes}; returns for how many nanoseconds no more should be read, 0 or more. */
  public long take(long bytes, long nowNanos) {
    left = Math.min(most, left + (nowNanos - filledNanos) * bytesPerNano) - bytes;
    filledNanos = nowNanos;
    return left >= 0 ? 0 : (long) Math.ceil(-left / bytesPerNano);
  }
}
