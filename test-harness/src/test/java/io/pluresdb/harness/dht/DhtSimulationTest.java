package io.pluresdb.harness.dht;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.transport.dht.DhtCounter;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A DHT that is small enough for every run of the tests; {@code bench dht} has the large ones. */
class DhtSimulationTest {
  private static final int NODES = 300;

  private static DhtSimulation settled(long seed) {
    var simulation = new DhtSimulation(seed, 0.01);
    simulation.arrive(NODES, 60_000);
    simulation.announce();
    simulation.run(120_000);
    return simulation;
  }

  private static double found(List<DhtSimulation.Outcome> outcomes) {
    return outcomes.stream().filter(DhtSimulation.Outcome::found).count()
        / (double) outcomes.size();
  }

  @Test
  void halfTheNodesReplaced_searchesStillSucceed() {
    DhtSimulation simulation = settled(1);
    simulation.churn(NODES / 2 - 50, 400, 20 * 60_000);
    List<DhtSimulation.Outcome> outcomes = simulation.takeOutcomes();
    assertThat(outcomes).hasSizeGreaterThan(300);
    assertThat(found(outcomes)).isGreaterThanOrEqualTo(0.99);
    assertThat(outcomes)
        .allSatisfy(outcome -> assertThat(outcome.trace().queries()).isLessThanOrEqualTo(128));
    assertThat(simulation.counter(DhtCounter.MALFORMED)).isZero();
  }

  /** The control: where everything is lost, nothing is found. */
  @Test
  void everythingLost_nothingIsFound() {
    var simulation = new DhtSimulation(1, 1);
    simulation.arrive(50, 10_000);
    simulation.announce();
    simulation.run(90_000);
    simulation.churn(0, 50, 60_000);
    assertThat(found(simulation.takeOutcomes())).isZero();
  }

  private static double foundAmongLiars(double share, int disjointPaths) {
    var simulation = new DhtSimulation(3, 0.01, disjointPaths);
    simulation.arrive(NODES, 60_000);
    simulation.announce();
    simulation.run(120_000);
    simulation.corrupt(share);
    simulation.churn(0, 200, 10 * 60_000);
    List<DhtSimulation.Outcome> outcomes = simulation.takeOutcomes();
    assertThat(outcomes).hasSizeGreaterThan(100);
    return found(outcomes);
  }

  /** Every third, then every second node sends lookups after decoys. */
  @Test
  void nodesThatMislead_areOutvotedByDisjointPaths_andOnePathWouldNotDo() {
    assertThat(foundAmongLiars(0.3, 3)).isGreaterThanOrEqualTo(0.9);
    assertThat(foundAmongLiars(0.5, 3)).isGreaterThanOrEqualTo(0.7);
    assertThat(foundAmongLiars(0.5, 1)).as("control").isLessThan(0.7);
  }

  private static double foundBesieged(int sybils, int disjointPaths) {
    var simulation = new DhtSimulation(4, 0.01, disjointPaths);
    simulation.arrive(NODES, 60_000);
    simulation.announce();
    simulation.run(120_000);
    simulation.besiege(sybils, 60_000);
    // What was announced before they came has expired by then.
    simulation.run(60 * 60_000);
    simulation.searchBesieged(50);
    return found(simulation.takeOutcomes());
  }

  /** As many sybils as a topic has places, all with ids proven for their addresses. */
  @Test
  void sybilsWithProvenIdsAtATopic_doNotHideIt_andOnePathWouldNotDo() {
    assertThat(foundBesieged(8, 3)).isGreaterThanOrEqualTo(0.95);
    assertThat(foundBesieged(8, 1)).as("control").isLessThan(0.9);
  }

  @Test
  void sameSeed_sendsTheSame() {
    assertThat(settled(5).trace()).isEqualTo(settled(5).trace()).isNotEqualTo(settled(6).trace());
  }
}
