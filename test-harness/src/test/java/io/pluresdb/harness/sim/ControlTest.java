package io.pluresdb.harness.sim;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.harness.check.Violation;
import io.pluresdb.harness.fault.Defect;
import io.pluresdb.harness.fault.Fault;
import io.pluresdb.harness.fault.Mutant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import org.junit.jupiter.api.Test;

/** With a defence switched off the checks must object; with it on, the same runs must hold. */
class ControlTest {
  private static final int SEEDS = 6;

  /** Where so few seeds do not do. */
  private static final int MORE_SEEDS = 40;

  @Test
  void everyDefence_isMissed_andNothingElseIs() {
    var names = Controls.all().stream().map(Controls.Control::name).toList();
    var expected = new ArrayList<String>();
    Arrays.stream(Defect.values()).skip(1).map(Defect::name).forEach(expected::add);
    Arrays.stream(Mutant.values()).map(Mutant::name).forEach(expected::add);
    assertThat(names).containsExactlyInAnyOrderElementsOf(expected);
    System.out.println(Controls.HEADER);
    var unclear = new ArrayList<Controls.Control>();
    Controls.run(
        Controls.all(),
        1,
        SEEDS,
        result -> {
          if (result.isAsMeant()) {
            System.out.println(result);
          } else {
            unclear.add(result.control());
          }
        });
    for (var result : Controls.run(unclear, 1, MORE_SEEDS, System.out::println)) {
      assertThat(result.isAsMeant()).as("%s", result).isTrue();
    }
  }

  @Test
  void rowThatNoCheckCanRead_isAnObjection() {
    Scenario flipped = Scenario.of(29).with(Defect.NO_CHECKSUMS, EnumSet.of(Fault.BIT_FLIP));
    Violation violation = Simulator.run(flipped).violation();
    assertThat(violation).isNotNull();
    if (violation != null) {
      assertThat(violation).hasMessageContaining("cannot be read");
    }
  }

  @Test
  void failingSchedule_shrinks_andReplaysExactly() {
    Scenario scenario = scenario(1);
    Outcome outcome = Simulator.run(scenario);
    for (long seed = 2; outcome.violation() == null && seed <= SEEDS; seed++) {
      scenario = scenario(seed);
      outcome = Simulator.run(scenario);
    }
    Violation violation = outcome.violation();
    assertThat(violation).isNotNull();
    if (violation == null) {
      return;
    }
    assertThat(Simulator.run(scenario).trace()).isEqualTo(outcome.trace());
    List<Action> shrunk = Simulator.shrink(scenario, violation);
    assertThat(shrunk).hasSizeLessThanOrEqualTo(4);
    Violation again = new SimCluster(scenario).run(shrunk).violation();
    assertThat(again).isNotNull();
    assertThat(Simulator.report(scenario, outcome))
        .contains("seed " + scenario.seed(), "I15", "shrunk to");
  }

  private static Scenario scenario(long seed) {
    return Scenario.of(seed).with(Defect.ANCHOR_INSIDE_DATABASE, EnumSet.of(Fault.RESTORE));
  }
}
