package io.pluresdb.crdt.overlay;

/** Milliseconds that only pass, from a wall clock that may step: a step counts for nothing. */
public final class SteadyTime {
  /** A greater difference between two looks at the clock is a step. */
  private static final long MAX_GAP_MILLIS = 60_000;

  private long lastWallMillis;
  private long elapsedMillis;

  public SteadyTime(long wallMillis) {
    lastWallMillis = wallMillis;
  }

  /** Milliseconds since this was made. */
  public long at(long wallMillis) {
    long gap = wallMillis - lastWallMillis;
    lastWallMillis = wallMillis;
    if (gap > 0) {
      elapsedMillis += Math.min(gap, MAX_GAP_MILLIS);
    }
    return elapsedMillis;
  }
}
