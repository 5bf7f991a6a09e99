package io.pluresdb.transport.path;

import java.time.Duration;
import java.util.random.RandomGenerator;

/**
 * The waiting times between attempts: exponential with jitter, so that devices that lost the same
 * peer do not return in step.
 *
 * <p>Attempt {@code n} waits a uniformly random time from half to all of {@code min(longest, first
 * * 2^n)} ("equal jitter", so a wait never collapses to nothing). Not thread-safe.
 */
public final class Backoff {
  private final Limits limits;
  private final RandomGenerator random;
  private long ceilingMillis;

  /**
   * @param first the longest first wait; 1 ms or more
   * @param longest the longest wait of all; not below {@code first}, at most a day
   */
  public record Limits(Duration first, Duration longest) {
    public Limits {
      if (first.toMillis() < 1) {
        throw new IllegalArgumentException("dial.first must be 1 ms or more, but is " + first);
      }
      if (longest.compareTo(first) < 0 || longest.compareTo(Duration.ofDays(1)) > 0) {
        throw new IllegalArgumentException(
            "dial.longest must be " + first + " to 24 h, but is " + longest);
      }
    }

    /** 50 ms to 30 s. */
    public static Limits defaults() {
      return new Limits(Duration.ofMillis(50), Duration.ofSeconds(30));
    }
  }

  public Backoff(Limits limits, RandomGenerator random) {
    this.limits = limits;
    this.random = random;
    this.ceilingMillis = limits.first().toMillis();
  }

  /** Returns how long to wait now, and doubles the next wait. */
  public Duration next() {
    long ceiling = ceilingMillis;
    ceilingMillis = Math.min(ceiling * 2, limits.longest().toMillis());
    return Duration.ofMillis(random.nextLong((ceiling + 1) / 2, ceiling + 1));
  }

  /** Starts again from the first wait. */
  public void reset() {
    ceilingMillis = limits.first().toMillis();
  }
}
