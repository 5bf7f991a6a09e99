package io.pluresdb.crdt.op;

import io.pluresdb.crdt.causal.ActorId;

/**
 * The elements {@code [from, from + length)} of one actor in a sequence.
 *
 * @param length 1 or more
 */
public record ElementRange(ActorId actor, int from, int length) {
  /** The counter after the last. */
  public int end() {
    return from + length;
  }
}
