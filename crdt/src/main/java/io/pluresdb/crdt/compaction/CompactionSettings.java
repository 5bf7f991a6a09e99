package io.pluresdb.crdt.compaction;

/**
 * How long a replica remembers.
 *
 * @param leaseMillis silence after which a member no longer holds the cut back, {@link
 *     #MIN_LEASE_MILLIS} or more
 * @param keepMillis age below which changes stay in the log whoever has them, 0 or more
 */
public record CompactionSettings(long leaseMillis, long keepMillis) {
  public static final long MIN_LEASE_MILLIS = 60_000;

  private static final long DAY_MILLIS = 86_400_000;

  public static final CompactionSettings DEFAULT =
      new CompactionSettings(90 * DAY_MILLIS, 30 * DAY_MILLIS);

  public CompactionSettings {
    if (leaseMillis < MIN_LEASE_MILLIS) {
      throw new IllegalArgumentException(
          "lease must be " + MIN_LEASE_MILLIS + " ms or more, but is " + leaseMillis);
    }
    if (keepMillis < 0) {
      throw new IllegalArgumentException("keep must be 0 ms or more, but is " + keepMillis);
    }
  }
}
