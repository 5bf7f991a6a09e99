package io.pluresdb.crdt.causal;

/**
 * The name of one write: the {@code index}-th dot (from 0) of the actor's {@code seq}-th change
 * (from 1). Never used twice (Preguiça et al., dotted version vectors).
 */
public record Dot(ActorId actor, long seq, int index) implements Comparable<Dot> {
  @Override
  public int compareTo(Dot other) {
    int order = actor.compareTo(other.actor);
    if (order == 0) {
      order = Long.compare(seq, other.seq);
    }
    return order != 0 ? order : Integer.compare(index, other.index);
  }

  @Override
  public String toString() {
    return actor + ":" + seq + "." + index;
  }
}
