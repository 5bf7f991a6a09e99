package io.pluresdb.harness.sim;

import io.pluresdb.harness.check.Invariant;
import io.pluresdb.harness.check.Violation;
import java.util.ArrayList;
import java.util.List;

/** Runs scenarios, and makes the schedule of a failing one short. */
public final class Simulator {
  private static final int MAX_SHRINK_RUNS = 400;

  private Simulator() {}

  public static Outcome run(Scenario scenario) {
    return new SimCluster(scenario).run(scenario.schedule());
  }

  /**
   * The smallest schedule found that still violates the same invariant: delta debugging (Zeller and
   * Hildebrandt, 2002) over writes and faults, each candidate decided by running it.
   */
  public static List<Action> shrink(Scenario scenario, Violation violation) {
    List<Action> kept = scenario.schedule();
    Invariant invariant = violation.invariant();
    int runs = 0;
    int size = Math.max(1, kept.size() / 2);
    while (true) {
      boolean smaller = false;
      for (int from = 0; from < kept.size() && runs < MAX_SHRINK_RUNS; ) {
        var without = new ArrayList<>(kept.subList(0, from));
        without.addAll(kept.subList(Math.min(kept.size(), from + size), kept.size()));
        runs++;
        if (fails(scenario, without, invariant)) {
          kept = without;
          smaller = true;
        } else {
          from += size;
        }
      }
      if (runs >= MAX_SHRINK_RUNS || (size == 1 && !smaller)) {
        return kept;
      }
      size = Math.max(1, size / 2);
    }
  }

  private static boolean fails(Scenario scenario, List<Action> schedule, Invariant invariant) {
    Violation violation = new SimCluster(scenario).run(schedule).violation();
    return violation != null && violation.invariant() == invariant;
  }

  /** What a person needs to see of a failure. */
  public static String report(Scenario scenario, Outcome outcome) {
    Violation violation = outcome.violation();
    if (violation == null) {
      return "seed " + outcome.seed() + " holds";
    }
    List<Action> schedule = shrink(scenario, violation);
    Violation first = new SimCluster(scenario).run(schedule).violation();
    var out = new StringBuilder(1_024);
    out.append("seed ").append(outcome.seed()).append(" violates ").append(violation.getMessage());
    out.append("\n  replay: -Dsim.seed=").append(outcome.seed());
    out.append("\n  trace: ").append(outcome.trace());
    out.append("\n  ").append(scenario);
    out.append("\n  shrunk to ").append(schedule.size()).append(" of ");
    out.append(scenario.schedule().size()).append(" actions, which violate ");
    out.append(first == null ? "nothing" : first.getMessage());
    schedule.forEach(action -> out.append("\n    ").append(action));
    return out.toString();
  }
}
