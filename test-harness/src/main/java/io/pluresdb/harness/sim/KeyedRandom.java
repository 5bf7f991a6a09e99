package io.pluresdb.harness.sim;

import java.util.function.LongSupplier;
import java.util.random.RandomGenerator;

/**
 * Chances that depend on where and when they are drawn, and on nothing drawn elsewhere or earlier:
 * leaving a part out of a schedule does not shift what the rest of it meets.
 *
 * <p>The n-th number of a virtual millisecond is a hash of the key, the millisecond and n (the
 * finalizer of SplitMix64; Steele, Lea and Flood, OOPSLA 2014).
 */
final class KeyedRandom implements RandomGenerator {
  private static final long GOLDEN = 0x9e3779b97f4a7c15L;

  private final long key;
  private final LongSupplier now;
  private long at = -1;
  private long drawn;

  /**
   * A stream of chances.
   *
   * @param now the virtual time
   * @param where what tells this stream from others, the seed first
   */
  KeyedRandom(LongSupplier now, long... where) {
    this.now = now;
    long mixed = 0;
    for (long part : where) {
      mixed = mix(mixed + GOLDEN + part);
    }
    key = mixed;
  }

  @Override
  public long nextLong() {
    long time = now.getAsLong();
    if (time != at) {
      at = time;
      drawn = 0;
    }
    drawn++;
    return mix(mix(key + GOLDEN * time) + GOLDEN * drawn);
  }

  private static long mix(long value) {
    long z = (value ^ (value >>> 30)) * 0xbf58476d1ce4e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
    return z ^ (z >>> 31);
  }
}
