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

  @Test
  void sameSeed_sendsTheSame() {
    assertThat(settled(5).trace()).isEqualTo(settled(5).trace()).isNotEqualTo(settled(6).trace());
  }
}
