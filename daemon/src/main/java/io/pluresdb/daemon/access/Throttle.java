package io.pluresdb.daemon.access;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * How much each caller may ask: requests a second, with a burst of one second's, and requests at
 * once. Callers are told apart by their names. Safe from any thread.
 *
 * @see #enter
 */
public final class Throttle {
  private static final double NANOS_PER_SECOND = TimeUnit.SECONDS.toNanos(1);

  private static final class State {
    double left;
    long atNanos;
    int open;
  }

  private final int perSecond;
  private final int atOnce;
  private final Map<String, State> states = new HashMap<>(); // Guarded by itself.
  private long refusedRate; // Guarded by states.
  private long refusedAtOnce; // Guarded by states.

  /**
   * @param perSecond 1 or more, or 0 for no limit
   * @param atOnce 1 or more
   */
  public Throttle(int perSecond, int atOnce) {
    this.perSecond = perSecond;
    this.atOnce = atOnce;
  }

  /**
   * Begins a request; {@link #leave} ends it.
   *
   * @param nowNanos a monotonous clock
   * @throws AccessException {@code API_RATE_LIMITED} or {@code API_TOO_MANY_REQUESTS}; it has not
   *     begun then
   */
  public void enter(Caller caller, long nowNanos) {
    synchronized (states) {
      State state = states.computeIfAbsent(caller.name(), name -> fresh(nowNanos));
      if (state.open >= atOnce) {
        refusedAtOnce++;
        throw new AccessException(
            429,
            "API_TOO_MANY_REQUESTS",
            "\""
                + caller.name()
                + "\" has "
                + state.open
                + " requests open, and api.max-concurrent is "
                + atOnce,
            "wait for some to be answered",
            1);
      }
      if (perSecond > 0) {
        double gained = (nowNanos - state.atNanos) / NANOS_PER_SECOND * perSecond;
        state.left = Math.min(perSecond, state.left + gained);
        state.atNanos = nowNanos;
        if (state.left < 1) {
          refusedRate++;
          throw new AccessException(
              429,
              "API_RATE_LIMITED",
              "\""
                  + caller.name()
                  + "\" asks more often than api.requests-per-second, which is "
                  + perSecond,
              "ask less often, or send several operations in a batch",
              1);
        }
        state.left--;
      }
      state.open++;
    }
  }

  private State fresh(long nowNanos) {
    var state = new State();
    state.left = perSecond;
    state.atNanos = nowNanos;
    return state;
  }

  /** Ends a request that {@link #enter} began. */
  public void leave(Caller caller) {
    synchronized (states) {
      State state = states.get(caller.name());
      if (state != null) {
        state.open--;
      }
    }
  }

  /** Requests that are being answered. */
  public int open() {
    synchronized (states) {
      return states.values().stream().mapToInt(state -> state.open).sum();
    }
  }

  /** Requests that were refused for being too many a second. */
  public long refusedRate() {
    synchronized (states) {
      return refusedRate;
    }
  }

  /** Requests that were refused for being too many at once. */
  public long refusedAtOnce() {
    synchronized (states) {
      return refusedAtOnce;
    }
  }
}
