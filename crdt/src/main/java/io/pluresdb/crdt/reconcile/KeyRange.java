package io.pluresdb.crdt.reconcile;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Document ids {@code [from, to)}, ordered as unsigned bytes.
 *
 * @param from inclusive; empty for the least
 * @param to exclusive; null for no end
 */
public record KeyRange(byte[] from, byte @Nullable [] to) {
  /** Every document. */
  public static final KeyRange ALL = new KeyRange(new byte[0], null);

  /** The ids that start with {@code prefix}. */
  public static KeyRange ofPrefix(byte[] prefix) {
    int end = prefix.length;
    while (end > 0 && prefix[end - 1] == (byte) 0xff) {
      end--;
    }
    if (end == 0) {
      return new KeyRange(prefix, null);
    }
    byte[] successor = Arrays.copyOf(prefix, end);
    successor[end - 1]++;
    return new KeyRange(prefix, successor);
  }

  public boolean contains(byte[] id) {
    return Arrays.compareUnsigned(from, id) <= 0 && isBeforeEnd(id);
  }

  /** Whether {@code bound} lies strictly between the two ends. */
  boolean divides(byte[] bound) {
    return Arrays.compareUnsigned(from, bound) < 0 && isBeforeEnd(bound);
  }

  private boolean isBeforeEnd(byte[] bound) {
    return to == null || Arrays.compareUnsigned(bound, to) < 0;
  }

  boolean isEmpty() {
    return to != null && Arrays.compareUnsigned(from, to) >= 0;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof KeyRange range
        && Arrays.equals(from, range.from)
        && Arrays.equals(to, range.to);
  }

  @Override
  public int hashCode() {
    return 31 * Arrays.hashCode(from) + Arrays.hashCode(to);
  }
}
