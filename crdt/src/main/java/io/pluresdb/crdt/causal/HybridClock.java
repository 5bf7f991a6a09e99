package io.pluresdb.crdt.causal;

/**
 * A hybrid logical clock (Kulkarni et al., OPODIS 2014) in one long: milliseconds since 1970 in the
 * upper 48 bits, a counter in the lower 16.
 *
 * <p>A counter that overflows carries into the milliseconds, so the value only rises. A wall clock
 * that steps back only grows the counter. Not thread-safe.
 */
public final class HybridClock {
  /** How far ahead of our wall clock a foreign timestamp may be before its change is held. */
  public static final long MAX_AHEAD_MILLIS = 600_000;

  private static final int COUNTER_BITS = 16;

  private long last;

  /** Resumes from the greatest timestamp issued or seen before. */
  public HybridClock(long last) {
    this.last = last;
  }

  public long last() {
    return last;
  }

  /** The next timestamp: greater than every one issued or observed. */
  public long next(long wallMillis) {
    last = Math.max(last + 1, wallMillis << COUNTER_BITS);
    return last;
  }

  /** Takes note of a foreign timestamp that {@link #isAhead} did not hold back. */
  public void observe(long timestamp) {
    last = Math.max(last, timestamp);
  }

  /** Whether {@code timestamp} lies too far in the future of {@code wallMillis} to be applied. */
  public static boolean isAhead(long timestamp, long wallMillis) {
    return wallMillis(timestamp) > wallMillis + MAX_AHEAD_MILLIS;
  }

  /** The wall part of a timestamp, milliseconds since 1970. */
  public static long wallMillis(long timestamp) {
    return timestamp >>> COUNTER_BITS;
  }

  /** The greatest timestamp whose wall part is at most {@code wallMillis}. */
  public static long endOf(long wallMillis) {
    long greatest = Long.MAX_VALUE >>> COUNTER_BITS;
    return ((Math.clamp(wallMillis, -1, greatest) + 1) << COUNTER_BITS) - 1;
  }

  /** The part of a timestamp that orders what happened in the same millisecond. */
  public static int counter(long timestamp) {
    return (int) (timestamp & ((1 << COUNTER_BITS) - 1));
  }
}
