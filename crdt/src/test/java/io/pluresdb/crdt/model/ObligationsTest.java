package io.pluresdb.crdt.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.doc.Content;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.DocumentEdit;
import io.pluresdb.crdt.property.Gen;
import io.pluresdb.crdt.property.Property;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.store.Storage.Table;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.Test;

/** What crdt.md promises, each obligation on its own, after random histories. */
class ObligationsTest {
  private static final int HISTORIES = 150;

  private static void afterHistories(BiConsumer<History, Cluster> property) {
    Property.forAll(
        HISTORIES, History.gen(), history -> property.accept(history, Played.of(history)));
  }

  private static void assertSame(Cluster.Node replica, Cluster.Node expected) {
    assertThat(replica.rows(Table.STATE)).isEqualTo(expected.rows(Table.STATE));
    assertThat(replica.replica().view().frontier()).isEqualTo(expected.replica().view().frontier());
    assertThat(replica.replica().view().stateHash())
        .isEqualTo(expected.replica().view().stateHash());
    assertThat(replica.replica().view().documents())
        .isEqualTo(expected.replica().view().documents());
  }

  @Test
  void apply_inAnyOrder_givesTheSameBytes() {
    afterHistories(
        (history, cluster) -> {
          List<ChangeRun> order = new ArrayList<>(cluster.pool);
          Collections.shuffle(order, new Random(history.steps().size()));
          Cluster.Node replica = cluster.fresh();
          for (int i = 0; i < order.size(); i++) {
            replica.engine.apply(order.get(i));
            if (i % 3 == 0) {
              replica.engine.turn(true);
            }
          }
          replica.tick();
          assertSame(replica, cluster.nodes.getFirst());
        });
  }

  @Test
  void apply_again_changesNothing() {
    afterHistories(
        (history, cluster) -> {
          Cluster.Node replica = cluster.nodes.getLast();
          var before = replica.replica().view();
          Map<String, String> log = replica.rows(Table.LOG);
          Map<String, String> meta = replica.rows(Table.META);
          cluster.pool.reversed().forEach(replica::deliver);
          assertThat(replica.replica().view()).isEqualTo(before);
          assertThat(replica.rows(Table.LOG)).isEqualTo(log);
          assertThat(replica.rows(Table.META)).isEqualTo(meta);
        });
  }

  @Test
  void state_equalsReplayOfTheLog() {
    afterHistories(
        (history, cluster) -> {
          for (Cluster.Node node : cluster.nodes) {
            Cluster.Node replica = cluster.fresh();
            node.runsFor(replica).forEach(replica.engine::apply);
            replica.engine.turn(true);
            assertThat(replica.engine.pending()).as("the log is in causal order").isZero();
            assertSame(replica, node);
          }
        });
  }

  @Test
  void dots_areUnique_andObservedOnesLieInTheCausalPast() {
    afterHistories(
        (history, cluster) -> {
          Set<Dot> dots = new HashSet<>();
          Map<Dot, Map<ActorId, Long>> pasts = new HashMap<>();
          for (ChangeRun run : cluster.pool) {
            Change change = run.changes().getFirst();
            Map<ActorId, Long> past = past(run, pasts);
            int index = 0;
            for (DocumentEdit edit : ChangeBody.decode(run.actor(), change.body())) {
              for (CrdtOperation operation : edit.operations()) {
                for (Dot dot : observed(operation)) {
                  assertThat(dots).contains(dot);
                  assertThat(past.getOrDefault(dot.actor(), 0L)).isGreaterThanOrEqualTo(dot.seq());
                }
                if (operation.makesDot()) {
                  assertThat(dots.add(new Dot(run.actor(), run.fromSeq(), index++))).isTrue();
                }
              }
            }
          }
        });
  }

  private static List<Dot> observed(CrdtOperation operation) {
    return switch (operation) {
      case CrdtOperation.Assign assign -> assign.observed();
      case CrdtOperation.Remove remove -> remove.observed();
      case CrdtOperation.Increment increment -> List.of();
      case CrdtOperation.OnSequence onSequence -> onSequence.observed();
      case CrdtOperation.Unknown unknown -> List.of();
    };
  }

  /** The version vector of a change's causal past and itself. */
  private static Map<ActorId, Long> past(ChangeRun run, Map<Dot, Map<ActorId, Long>> pasts) {
    Map<ActorId, Long> past = new HashMap<>();
    for (Dot parent : parents(run)) {
      assertThat(pasts).containsKey(parent);
      pasts
          .getOrDefault(parent, Map.of())
          .forEach((actor, seq) -> past.merge(actor, seq, Math::max));
    }
    past.put(run.actor(), run.fromSeq());
    pasts.put(new Dot(run.actor(), run.fromSeq(), 0), past);
    return past;
  }

  private static List<Dot> parents(ChangeRun run) {
    var parents = new ArrayList<Dot>();
    if (run.fromSeq() > 1) {
      parents.add(new Dot(run.actor(), run.fromSeq() - 1, 0));
    }
    for (Change.Dependency dependency : run.changes().getFirst().deps()) {
      parents.add(new Dot(dependency.actor(), dependency.seq(), 0));
    }
    return parents;
  }

  @Test
  void hybridTime_alongChainsAndDependencies_rises() {
    afterHistories(
        (history, cluster) -> {
          Map<Dot, Long> times = new HashMap<>();
          for (ChangeRun run : cluster.pool) {
            long time = run.changes().getFirst().timestamp();
            for (Dot parent : parents(run)) {
              assertThat(times.get(parent)).isLessThan(time);
            }
            times.put(new Dot(run.actor(), run.fromSeq(), 0), time);
          }
        });
  }

  @Test
  void view_recomputedFromTheRow_isTheSame_andTheRowIsCanonical() {
    afterHistories(
        (history, cluster) ->
            cluster
                .nodes
                .getFirst()
                .rows(Table.STATE)
                .forEach(
                    (id, row) -> {
                      byte[] bytes = HexFormat.of().parseHex(row);
                      DocumentState state = DocumentState.read(bytes);
                      assertThat(state.toByteArray()).isEqualTo(bytes);
                      byte[] key = HexFormat.of().parseHex(id);
                      assertThat(String.valueOf(shown(key, state)))
                          .isEqualTo(String.valueOf(shown(key, state.copy())));
                      assertThat(state.toByteArray())
                          .as("reading changes nothing")
                          .isEqualTo(bytes);
                    }));
  }

  private static List<Object> shown(byte[] id, DocumentState state) {
    NodeRecord record = NodeRecord.of(id, state, Content.Source.NONE);
    return record == null
        ? List.of()
        : List.of(record.json(), record.conflicts(), record.clock(), record.timestamp());
  }

  @Test
  void stateHash_equalsARescanOfAllRows() {
    afterHistories(
        (history, cluster) -> {
          Cluster.Node node = cluster.nodes.getFirst();
          BigInteger sum = BigInteger.ZERO;
          for (var row : node.rows(Table.STATE).entrySet()) {
            sum =
                sum.add(
                    fingerprint(
                        HexFormat.of().parseHex(row.getKey()),
                        HexFormat.of().parseHex(row.getValue())));
          }
          assertThat(littleLimbs(node.replica().view().stateHash()))
              .isEqualTo(sum.mod(BigInteger.TWO.pow(256)));
        });
  }

  /** The keyed hash of a row as a number whose 64-bit limbs come least first. */
  private static BigInteger fingerprint(byte[] id, byte[] row) {
    byte[] key = Hash.of("pluresdb-fingerprint-v1", Cluster.DATABASE.bytes()).bytes();
    var digest = Hash.newBulkDigest();
    digest.update(key);
    digest.update((byte) (id.length >> 8));
    digest.update((byte) id.length);
    digest.update(id);
    byte[] out = digest.digest(row);
    return littleLimbs(new Hash(out));
  }

  private static BigInteger littleLimbs(Hash hash) {
    BigInteger number = BigInteger.ZERO;
    for (int limb = 3; limb >= 0; limb--) {
      number = number.shiftLeft(64).or(new BigInteger(1, hash.bytes(), 8 * limb, 8));
    }
    return number;
  }

  @Test
  void documents_equalsAScan() {
    afterHistories(
        (history, cluster) -> {
          for (Cluster.Node node : cluster.nodes) {
            long documents =
                node.rows(Table.STATE).values().stream()
                    .filter(row -> DocumentState.read(HexFormat.of().parseHex(row)).exists())
                    .count();
            assertThat(node.replica().view().documents()).isEqualTo(documents);
          }
        });
  }

  /** Documents that are only ever written together read the same at every moment, everywhere. */
  @Test
  void batch_onEveryReplica_isVisibleWholeOrNotAtAll() {
    Gen<History> batches =
        Gen.of(
            random -> {
              History history = History.gen().generate(random);
              var steps = new ArrayList<History.Step>();
              for (History.Step step : history.steps()) {
                if (step instanceof History.Step.Write(var replica, var elapsed, var edits)) {
                  Tree.Node node = Tree.node();
                  node.fields().put("t", new Tree.Leaf(Integer.toString(random.nextInt(9))));
                  List<EditSpec> batch = new ArrayList<>();
                  History.IDS.forEach(id -> batch.add(new EditSpec.Put(id, node, 0)));
                  steps.add(new History.Step.Write(replica, elapsed, batch));
                } else {
                  steps.add(step);
                }
              }
              return new History(history.wallMillis(), steps);
            });
    Property.forAll(
        HISTORIES,
        batches,
        history -> {
          var cluster = new Cluster(history.wallMillis());
          cluster.play(history);
          for (Cluster.Observation observation : cluster.observations) {
            List<String> documents =
                observation
                    .seen()
                    .lines()
                    .filter(line -> line.contains(" conflicts="))
                    .map(line -> line.substring(1, line.indexOf(" conflicts=")))
                    .toList();
            assertThat(documents.size()).isIn(0, History.IDS.size());
            assertThat(new HashSet<>(documents)).hasSizeLessThan(2);
          }
        });
  }
}
