package io.pluresdb.crdt.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.property.Property;
import io.pluresdb.crdt.store.Storage.Table;
import org.junit.jupiter.api.Test;

/** The product and the naive model show the same after every step of every history. */
class ReferenceModelTest {
  static final int HISTORIES = 2_000;

  @Test
  void everyHistory_showsTheSameInProductAndModel_andEndsInEqualBytes() {
    Property.forAll(
        HISTORIES,
        History.gen(),
        history -> {
          Cluster product = Played.of(history);
          assertThat(ModelCluster.difference(history, product, null)).isNull();
          Cluster.Node first = product.nodes.getFirst();
          for (Cluster.Node node : product.nodes) {
            assertThat(node.engine.pending()).isZero();
            assertThat(node.replica().view().frontier())
                .isEqualTo(first.replica().view().frontier());
            assertThat(node.replica().view().stateHash())
                .isEqualTo(first.replica().view().stateHash());
            assertThat(node.rows(Table.STATE)).isEqualTo(first.rows(Table.STATE));
          }
        });
  }
}
