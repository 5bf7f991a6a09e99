package io.pluresdb.crdt.doc;

import io.pluresdb.crdt.causal.Dot;
import java.util.Comparator;

/**
 * A surviving assignment or increment in a register.
 *
 * @param dot its name
 * @param timestamp the hybrid time of its change
 * @param value canonical JSON, empty (existence), raw floats (embedding), or {@code +} and a
 *     decimal number for an increment, which no JSON value can be confused with
 */
public record Sibling(Dot dot, long timestamp, byte[] value) {
  /**
   * The order that breaks ties between concurrent survivors: hybrid time, then actor, seq, index.
   * The greatest is shown.
   */
  public static final Comparator<Sibling> BY_TIME =
      Comparator.comparingLong(Sibling::timestamp).thenComparing(Sibling::dot);

  /** Whether this is one increment of a counter. */
  public boolean isIncrement() {
    return value.length > 0 && value[0] == '+';
  }
}
