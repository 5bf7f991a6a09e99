package io.pluresdb.harness.sim;

import io.pluresdb.harness.check.Violation;
import io.pluresdb.harness.fault.Fault;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How a simulation ended.
 *
 * @param violation the first invariant that did not hold, or null
 * @param trace SHA-256 over every event, hex
 * @param events handled
 * @param messages that arrived
 * @param acknowledged writes
 * @param lost acknowledged writes that were allowed to be lost
 * @param snapshots joined of peers
 * @param virtualMillis until all were equal
 * @param fired how often each fault had an effect
 */
public record Outcome(
    long seed,
    @Nullable Violation violation,
    String trace,
    long events,
    long messages,
    int acknowledged,
    int lost,
    long snapshots,
    long virtualMillis,
    Map<Fault, Integer> fired) {
  public boolean failed() {
    return violation != null;
  }
}
