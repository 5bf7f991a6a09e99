package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import java.util.function.ToLongFunction;

/**
 * Where the log of a replica begins: what lies at or below is in its state and not in its log.
 *
 * @param arrivals arrivals up to here are not in the arrival log
 * @param frontier of each actor the last change that the log need not hold, with its hash
 */
public record LogFloor(long arrivals, Frontier frontier) {
  /**
   * Whether whoever has that much can go on with the log.
   *
   * @param known the greatest seq of an actor that the reader has
   */
  public boolean isReachedBy(ToLongFunction<ActorId> known) {
    return frontier.heads().entrySet().stream()
        .allMatch(entry -> known.applyAsLong(entry.getKey()) >= entry.getValue().seq());
  }
}
