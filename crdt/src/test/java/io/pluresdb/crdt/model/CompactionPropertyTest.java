package io.pluresdb.crdt.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.property.Gen;
import io.pluresdb.crdt.property.Property;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.List;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;

/**
 * Nobody can tell whether a replica compacted: the same history, once with whole logs and once with
 * logs that are cut at random moments and snapshots where a log does not reach back far enough,
 * shows the same after every step.
 */
class CompactionPropertyTest {
  private static final int HISTORIES = 400;

  /** A history, and what chance decides while it is played with compaction. */
  record Compacted(History history, long seed) {}

  private static Gen<Compacted> gen() {
    Gen<History> histories = History.gen();
    return new Gen<>() {
      @Override
      public Compacted generate(RandomGenerator random) {
        return new Compacted(histories.generate(random), random.nextLong());
      }

      @Override
      public Iterable<Compacted> shrink(Compacted value) {
        return () -> {
          var simpler = new java.util.ArrayList<Compacted>();
          histories.shrink(value.history).forEach(h -> simpler.add(new Compacted(h, value.seed)));
          return simpler.iterator();
        };
      }
    };
  }

  @Test
  void truncationAndSnapshots_atRandomMoments_showNothing() {
    var joins = new int[1];
    var truncations = new int[1];
    Property.forAll(
        HISTORIES,
        gen(),
        value -> {
          Cluster whole = Played.of(value.history);
          var compacted = new CompactingCluster(value.history.wallMillis(), value.seed);
          compacted.play(value.history);
          joins[0] += compacted.joins;
          truncations[0] += compacted.truncations;
          assertThat(compacted.observations).isEqualTo(whole.observations);
          for (int i = 0; i < whole.nodes.size(); i++) {
            Cluster.Node node = compacted.nodes.get(i);
            Cluster.Node expected = whole.nodes.get(i);
            assertThat(node.rows(Table.STATE)).isEqualTo(expected.rows(Table.STATE));
            var view = node.replica().view();
            var expectedView = expected.replica().view();
            assertThat(view.frontier()).isEqualTo(expectedView.frontier());
            assertThat(view.stateHash()).isEqualTo(expectedView.stateHash());
            assertThat(view.documents()).isEqualTo(expectedView.documents());
            assertThat(node.rows(Table.SNAPSHOT)).isEmpty();
          }
        });
    System.out.println(
        "COMPACTION " + truncations[0] + " truncations, " + joins[0] + " snapshots joined");
    assertThat(List.of(joins[0], truncations[0]))
        .allMatch(count -> count > Property.runs(HISTORIES) / 10);
  }
}
