package io.pluresdb.crdt.op;

import io.pluresdb.crdt.causal.ActorId;

/**
 * The name of one element of a sequence: the {@code counter}-th (from 0) that {@code actor} put
 * into it. Consecutive typing has consecutive names, so runs of them are stored as one.
 *
 * @param counter 0 to {@link #MAX_COUNTER}
 */
public record ElementId(ActorId actor, int counter) implements Comparable<ElementId> {
  /** Most elements one actor may put into one sequence, deleted ones included, less one. */
  public static final int MAX_COUNTER = (1 << 24) - 1;

  @Override
  public int compareTo(ElementId other) {
    int order = actor.compareTo(other.actor);
    return order != 0 ? order : Integer.compare(counter, other.counter);
  }

  @Override
  public String toString() {
    return actor + "#" + counter;
  }
}
