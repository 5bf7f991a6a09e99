package io.pluresdb.crdt.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.SnapshotInbox;
import io.pluresdb.crdt.store.SnapshotInbox.Ask;
import io.pluresdb.crdt.store.SnapshotInbox.Phase;
import io.pluresdb.crdt.store.SnapshotSource;
import java.util.List;
import java.util.SplittableRandom;

/** A cluster whose replicas cut their logs at random, whatever the others have. */
final class CompactingCluster extends Cluster {
  private final SplittableRandom random;
  int joins;
  int truncations;

  CompactingCluster(List<Long> wallMillis, long seed) {
    super(wallMillis);
    random = new SplittableRandom(seed);
  }

  @Override
  Observation play(History.Step step) {
    Observation observation = super.play(step);
    if (random.nextInt(3) == 0) {
      truncate(nodes.get(random.nextInt(nodes.size())).replica());
    }
    return observation;
  }

  private void truncate(Replica replica) {
    var before = replica.log().floor();
    long keep = random.nextInt(4);
    boolean more = true;
    while (more) {
      more =
          replica.truncate(actor -> replica.view().frontier().seq(actor) - keep, Long.MAX_VALUE, 0);
    }
    if (replica.log().floor().arrivals() > before.arrivals()) {
      truncations++;
    }
  }

  @Override
  void sync(Node from, Node to) {
    if (!from.replica().log().floor().isReachedBy(to.replica().view().frontier()::seq)) {
      joins++;
      join(from, to);
    }
    List<ChangeRun> runs = from.runsFor(to);
    runs.forEach(to.engine::apply);
    to.engine.turn(true);
  }

  private static void join(Node from, Node to) {
    SnapshotInbox inbox = to.replica().inbox();
    try (var source = SnapshotSource.open(from.replica())) {
      assertThat(inbox.begin(source.frontier().hash(), source.stateHash(), source.documents()))
          .isTrue();
      while (inbox.phase() == Phase.RECEIVING) {
        Ask ask = inbox.next();
        if (ask.hash() != null
            && ask.to() != null
            && source.matches(ask.from(), ask.to(), ask.hash())) {
          inbox.same(ask);
        } else {
          inbox.receive(ask, source.part(ask.from(), ask.offset(), ask.to()));
        }
      }
    }
    while (inbox.phase() == Phase.VERIFYING) {
      assertThat(to.replica().verifySnapshot())
          .as(inbox.failure())
          .isNotEqualTo(SnapshotInbox.Verdict.FAILS);
    }
    while (to.replica().joinStep()) {
      assertThat(to.replica().isJoining()).isTrue();
    }
    while (inbox.phase() != Phase.EMPTY) {
      inbox.clear();
    }
    to.engine.tick();
    to.engine.turn(true);
  }
}
