package io.pluresdb.harness.overlay;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.overlay.HyParView;
import io.pluresdb.harness.overlay.OverlayRun.Delivery;
import io.pluresdb.harness.overlay.OverlayRun.Detection;
import io.pluresdb.harness.overlay.OverlayRun.Graph;
import io.pluresdb.harness.overlay.OverlayRun.Peers;
import io.pluresdb.harness.overlay.OverlayRun.Without;
import org.junit.jupiter.api.Test;

class OverlayTest {
  private static final int DEVICES = 200;
  private static final int WRITERS = 10;

  private static OverlayRun worn(long seed, int devices, Peers peers, Without without) {
    var run = new OverlayRun(seed, 2 * devices, HyParView.capacity(devices), peers, without);
    run.arrive(devices, 20_000);
    run.run(60_000);
    run.publish(20, 500, WRITERS);
    run.run(10_000);
    return run;
  }

  private static OverlayRun model(Without without) {
    return worn(7, DEVICES, Peers.MODEL, without);
  }

  /** How often a change was pushed to a device that had it already, for each device and change. */
  private static double redundancy(Traffic traffic, int devices, int changes) {
    return traffic.duplicates() / ((devices - 1.0) * changes);
  }

  @Test
  void everyDevice_getsEveryChange_about_once() {
    OverlayRun run = model(Without.NOTHING);
    Graph graph = run.graph();
    assertThat(graph.largestComponent()).isEqualTo(1);
    assertThat(graph.greatest()).isEqualTo(HyParView.ACTIVE);
    assertThat(graph.least()).isGreaterThanOrEqualTo(3);
    assertThat(graph.symmetric()).isGreaterThan(0.99);
    Traffic before = run.traffic();
    int first = run.publish(40, 1_000, WRITERS);
    run.run(5_000);
    Delivery delivery = run.delivery(first, run.published());
    assertThat(delivery.complete()).isEqualTo(1);
    assertThat(delivery.worstMillis()).isLessThan(5_000);
    assertThat(redundancy(run.traffic().minus(before), DEVICES, 40)).isLessThan(0.1);
  }

  @Test
  void withoutTheTree_everyDeviceGetsEveryChangeSeveralTimes() {
    OverlayRun run = model(Without.TREE);
    Traffic before = run.traffic();
    run.publish(40, 1_000, WRITERS);
    run.run(5_000);
    assertThat(redundancy(run.traffic().minus(before), DEVICES, 40)).isGreaterThan(2);
  }

  @Test
  void halfOfTheDevicesGone_theOthersGetEveryChange() {
    OverlayRun run = model(Without.NOTHING);
    run.fail(0.5, Detection.KILLED);
    int first = run.publish(20, 500, WRITERS);
    assertThat(run.heal(20)).as("seconds until one graph again").isNotNull();
    run.run(5_000);
    assertThat(run.delivery(first, run.published()).complete()).isEqualTo(1);
    assertThat(run.graph().living()).isEqualTo(DEVICES / 2);
  }

  @Test
  void halfOfTheDevicesGoneWithoutASign_theOthersGetEveryChangeOnceItIsNoticed() {
    OverlayRun run = model(Without.NOTHING);
    run.fail(0.5, Detection.VANISHED);
    int first = run.publish(20, 500, WRITERS);
    run.run(60_000);
    assertThat(run.delivery(first, run.published()).complete()).isEqualTo(1);
  }

  /** Three in ten gone without a sign, and fifteen seconds: nobody has noticed yet. */
  private static Delivery soonAfterFailures(Without without) {
    OverlayRun run = model(without);
    run.fail(0.3, Detection.VANISHED);
    int first = run.publish(10, 1_000, WRITERS);
    int end = run.published();
    run.run(5_000);
    return run.delivery(first, end);
  }

  @Test
  void brokenTree_isRepairedByWhatWasAnnounced_withinSeconds() {
    assertThat(soonAfterFailures(Without.NOTHING).reliability()).isGreaterThan(0.999);
  }

  @Test
  void control_withoutRepair_devicesMissChanges() {
    assertThat(soonAfterFailures(Without.REPAIR).reliability()).isLessThan(0.98);
    assertThat(soonAfterFailures(Without.REPAIR_AND_BACKSTOP).reliability()).isLessThan(0.5);
  }

  @Test
  void control_withoutRepair_theBackstopStillDeliversEverything() {
    OverlayRun run = model(Without.REPAIR);
    run.fail(0.3, Detection.VANISHED);
    int first = run.publish(10, 1_000, WRITERS);
    int end = run.published();
    run.run(180_000);
    assertThat(run.delivery(first, end).complete()).isEqualTo(1);
  }

  /** A third is cut off for two minutes; what is written meanwhile is looked for a minute later. */
  private static Delivery afterAPartition(Without without) {
    OverlayRun run = model(without);
    run.split(0.3);
    int first = run.publish(20, 6_000, WRITERS);
    run.split(0);
    int end = run.published();
    run.run(90_000);
    return run.delivery(first, end);
  }

  @Test
  void partition_isOverForDataAndGraph_soonAfterItHeals() {
    assertThat(afterAPartition(Without.NOTHING).complete()).isEqualTo(1);
  }

  @Test
  void control_withoutTheBackstop_aPartitionLosesChanges() {
    assertThat(afterAPartition(Without.BACKSTOP).complete()).isLessThan(0.5);
    assertThat(afterAPartition(Without.REPAIR_AND_BACKSTOP).complete()).isLessThan(0.5);
  }

  @Test
  void lossInsideSessions_whichNoRealOneHas_isMadeGood() {
    OverlayRun run = model(Without.NOTHING);
    run.lose(5);
    int first = run.publish(40, 1_000, WRITERS);
    int end = run.published();
    run.lose(0);
    run.run(90_000);
    assertThat(run.delivery(first, end).complete()).isEqualTo(1);
  }

  @Test
  void devicesThatComeAndGo_leaveTheGraphWhole() {
    OverlayRun run = model(Without.NOTHING);
    // A fifth of the devices in two minutes.
    int first = run.churn(120, DEVICES / 5.0 / 120, Detection.VANISHED, WRITERS);
    int end = run.published();
    run.run(90_000);
    assertThat(run.graph().largestComponent()).isEqualTo(1);
    assertThat(run.delivery(first, end).complete()).isEqualTo(1);
  }

  @Test
  void engines_ofFortyDevices_becomeEqual_withAFractionOfTheBytes() {
    int devices = 40;
    int changes = 30;
    long[] pushed = new long[2];
    long[] sent = new long[2];
    for (Without without : new Without[] {Without.NOTHING, Without.TREE}) {
      OverlayRun run = worn(3, devices, Peers.ENGINES, without);
      assertThat(run.graph().greatest()).isEqualTo(HyParView.ACTIVE);
      Traffic before = run.traffic();
      int first = run.publish(changes, 500, WRITERS);
      run.run(5_000);
      Traffic traffic = run.traffic().minus(before);
      assertThat(run.delivery(first, run.published()).complete()).as("%s", without).isEqualTo(1);
      assertThat(run.isConverged()).isTrue();
      int at = without == Without.TREE ? 1 : 0;
      pushed[at] = traffic.messages(Kind.CHANGES);
      sent[at] = traffic.bytes();
    }
    assertThat(pushed[0]).isLessThan(devices * changes * 12 / 10);
    assertThat(pushed[1]).isGreaterThan(3L * devices * changes);
    assertThat(sent[0]).isLessThan(sent[1] * 6 / 10);
  }

  @Test
  void model_sendsWhatTheEnginesSend() {
    int devices = 40;
    int changes = 30;
    double[] messages = new double[2];
    for (Peers peers : Peers.values()) {
      OverlayRun run = worn(5, devices, peers, Without.NOTHING);
      Traffic before = run.traffic();
      run.publish(changes, 2_000, WRITERS);
      run.run(5_000);
      Traffic traffic = run.traffic().minus(before);
      messages[peers == Peers.MODEL ? 1 : 0] =
          traffic.messages(Kind.CHANGES)
              + traffic.messages(Kind.ANNOUNCE)
              + traffic.messages(Kind.ACK);
    }
    assertThat(messages[1] / messages[0]).isBetween(0.75, 1.33);
  }

  @Test
  void sameSeed_givesTheSameRun_anotherSeedAnother() {
    long[] traces = new long[3];
    long[] seeds = {11, 11, 12};
    for (int i = 0; i < 3; i++) {
      OverlayRun run = worn(seeds[i], 60, Peers.MODEL, Without.NOTHING);
      run.fail(0.3, Detection.VANISHED);
      run.publish(10, 500, WRITERS);
      traces[i] = run.trace();
    }
    assertThat(traces[0]).isEqualTo(traces[1]).isNotEqualTo(traces[2]);
  }
}
