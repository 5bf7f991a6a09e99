package io.pluresdb.harness.sim;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.harness.check.Invariant;
import io.pluresdb.harness.check.Violation;
import io.pluresdb.harness.fault.Defect;
import io.pluresdb.harness.fault.Fault;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** With a defence switched off the checks must object; with it on, the same runs must hold. */
class ControlTest {
  private static final int SEEDS = 30;

  private record Control(Defect defect, Set<Fault> faults, Set<Invariant> objections) {}

  private static final List<Control> CONTROLS =
      List.of(
          new Control(
              Defect.SYNC_IS_A_LIE,
              EnumSet.of(Fault.POWER_LOSS),
              EnumSet.of(Invariant.I3, Invariant.I14)),
          new Control(
              Defect.ANCHOR_INSIDE_DATABASE, EnumSet.of(Fault.RESTORE), EnumSet.of(Invariant.I15)),
          new Control(
              Defect.NO_RELAXED_MARK,
              EnumSet.of(Fault.POWER_LOSS),
              EnumSet.of(Invariant.I15, Invariant.I4)),
          new Control(Defect.NO_PROBE, EnumSet.of(Fault.LOSS), EnumSet.of(Invariant.I2)),
          new Control(
              Defect.TORN_BATCH,
              EnumSet.of(Fault.POWER_LOSS, Fault.POWER_LOSS_IN_COMMIT),
              EnumSet.of(Invariant.I12, Invariant.I7, Invariant.I4)),
          new Control(
              Defect.SILENT_FULL_DISK,
              EnumSet.of(Fault.DISK_FULL),
              EnumSet.of(Invariant.I3, Invariant.I6)),
          new Control(
              Defect.FORGETFUL_CLOCK,
              EnumSet.of(Fault.CLOCK_STEP, Fault.RESTART),
              EnumSet.of(Invariant.I10)),
          new Control(
              Defect.UNBOUNDED_LINK, EnumSet.of(Fault.NEVER_READS), EnumSet.of(Invariant.I11)));

  @Test
  void everyDefect_isObjectedTo_andNothingElseIs() {
    assertThat(CONTROLS).extracting(Control::defect).doesNotContain(Defect.NONE);
    assertThat(CONTROLS)
        .extracting(Control::defect)
        .hasSize(Defect.values().length - 1)
        .doesNotHaveDuplicates();
    System.out.printf(
        Locale.ROOT, "%-24s %5s %8s %8s  %s%n", "defence off", "seeds", "failing", "with it", "");
    for (Control control : CONTROLS) {
      SimMain.Summary off =
          SimMain.run(1, SEEDS, s -> Scenario.of(s).with(control.defect, control.faults));
      SimMain.Summary on =
          SimMain.run(1, SEEDS, s -> Scenario.of(s).with(Defect.NONE, control.faults));
      var objections = new TreeMap<Invariant, Integer>();
      for (Outcome outcome : off.failures()) {
        Violation violation = outcome.violation();
        if (violation != null) {
          objections.merge(violation.invariant(), 1, Integer::sum);
        }
      }
      System.out.printf(
          Locale.ROOT,
          "%-24s %5d %8d %8d  %s under %s%n",
          control.defect,
          SEEDS,
          off.failures().size(),
          on.failures().size(),
          objections,
          control.faults);
      assertThat(objections).as("%s", control.defect).isNotEmpty();
      assertThat(control.objections).as("%s", control.defect).containsAll(objections.keySet());
      assertThat(on.failures()).as("%s", control.faults).isEmpty();
    }
  }

  @Test
  void failingSchedule_shrinks_andReplaysExactly() {
    Scenario scenario =
        Scenario.of(1).with(Defect.ANCHOR_INSIDE_DATABASE, EnumSet.of(Fault.RESTORE));
    Outcome outcome = Simulator.run(scenario);
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
    assertThat(Simulator.report(scenario, outcome)).contains("seed 1", "I15", "shrunk to");
  }
}
