package io.pluresdb.harness.sim;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.harness.fault.Defect;
import io.pluresdb.harness.fault.Fault;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/**
 * The standard seeds, and that a seed means the same everywhere. {@code -Dsim.seeds=N} runs more of
 * them, {@code -Dsim.seed=S} one.
 */
class SimulationTest {
  private static final int SEEDS = 200;

  @Test
  void standardSeeds_holdEveryInvariant() {
    Long one = Long.getLong("sim.seed");
    int seeds = one != null ? 1 : Integer.getInteger("sim.seeds", SEEDS);
    long first = one != null ? one : 1;
    SimMain.Summary summary = SimMain.run(first, seeds);
    System.out.println("simulation from seed " + first + ": " + summary);
    String reports =
        summary.failures().stream()
            .limit(3)
            .map(outcome -> Simulator.report(Scenario.of(outcome.seed()), outcome))
            .collect(Collectors.joining("\n"));
    assertThat(summary.failures()).as(reports).isEmpty();
    if (seeds >= SEEDS) {
      assertThat(summary.idle()).as("faults that never fired").isEmpty();
    }
  }

  @Test
  void noFaults_areNoticedByTheCounters() {
    var quiet = EnumSet.noneOf(Fault.class);
    var summary = SimMain.run(1, 5, seed -> Scenario.of(seed).with(Defect.NONE, quiet));
    assertThat(summary.failures()).isEmpty();
    assertThat(summary.idle()).containsExactly(Fault.values());
  }

  @Test
  void smallCredit_withLostMessages_doesNotStop() {
    var faults = EnumSet.of(Fault.LOSS, Fault.BREAK, Fault.CLOCK_JUMP);
    var summary =
        SimMain.run(1, 40, seed -> Scenario.of(seed).with(Defect.NONE, faults).withWindow(2_048));
    assertThat(summary.failures()).isEmpty();
  }

  @Test
  void repeatsBesideLocalWrites_areConfirmed() {
    var quiet = EnumSet.noneOf(Fault.class);
    var summary = SimMain.run(250, 1, seed -> Scenario.of(seed).with(Defect.NONE, quiet));
    assertThat(summary.failures()).isEmpty();
  }

  /** As long as a seed means the same; what was wrong has tests of its own beside the product. */
  @Test
  void seedsThatOnceFailed_holdEveryInvariant() {
    for (long seed :
        List.of(
            181L, 1_064L, 3_402L, 6_983L, 10_180L, 10_368L, 10_730L, 11_097L, 11_392L, 12_597L,
            24_600L, 30_251L, 33_217L, 7_282L, 13_782L, 14_701L, 14_795L, 18_240L)) {
      assertThat(SimMain.run(seed, 1).failures()).as("seed %d", seed).isEmpty();
    }
  }

  @Test
  void sixteenReplicas_becomeEqual() {
    var summary = SimMain.run(1, 3, seed -> Scenario.of(seed).withReplicas(16));
    assertThat(summary.failures()).isEmpty();
  }

  @Test
  void sameSeeds_inThreeVirtualMachines_giveTheSameTrace() throws Exception {
    var machines = new ArrayList<Process>();
    for (int i = 0; i < 3; i++) {
      machines.add(startMachine());
    }
    var outputs = new ArrayList<String>();
    for (Process machine : machines) {
      byte[] output = machine.getInputStream().readAllBytes();
      outputs.add(new String(output, StandardCharsets.UTF_8).replaceAll("\"seconds[^,]*,", ""));
      assertThat(machine.waitFor()).as(outputs.getLast()).isZero();
    }
    List<String> traces =
        outputs.stream()
            .map(o -> o.replaceAll("(?s).*\"trace\":\"([0-9a-f]{64})\".*", "$1").strip())
            .toList();
    System.out.println("trace of seeds 1 to 4 in three virtual machines: " + traces);
    assertThat(traces.getFirst()).hasSize(64);
    assertThat(traces).containsOnly(traces.getFirst());
    assertThat(SimMain.run(1, 4).trace()).isEqualTo(traces.getFirst());
  }

  private static Process startMachine() throws IOException {
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    return new ProcessBuilder(
            java,
            "-Xmx128m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            System.getProperty("java.class.path"),
            "io.pluresdb.harness.sim.SimMain",
            "--seed",
            "1",
            "--seeds",
            "4",
            "--json")
        .redirectErrorStream(true)
        .start();
  }
}
