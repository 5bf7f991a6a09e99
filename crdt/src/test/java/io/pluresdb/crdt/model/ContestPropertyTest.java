package io.pluresdb.crdt.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.doc.Content;
import io.pluresdb.crdt.doc.Contest;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.doc.DocumentView;
import io.pluresdb.crdt.property.Property;
import io.pluresdb.crdt.store.DocumentHistory;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Moment;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.value.CanonicalJson;
import io.pluresdb.crdt.value.Leaf;
import io.pluresdb.crdt.value.Path;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Conflicts and reverts after random histories, with others writing at the same time. */
class ContestPropertyTest {
  private static final int HISTORIES = 300;

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static Cluster played(History history) {
    var cluster = new Cluster(history.wallMillis());
    cluster.play(history);
    return cluster;
  }

  private static DocumentState state(Cluster.Node node, String id) {
    byte[] row = node.storage.get(Table.STATE, utf8(id));
    return row == null ? new DocumentState() : DocumentState.read(row);
  }

  private static List<Contest> contests(Cluster.Node node, String id) {
    DocumentState state = state(node, id);
    return state.exists() ? Contest.of(state, Content.Source.NONE) : List.of();
  }

  /** What a document shows at a path. */
  private static String shown(Cluster.Node node, String id, byte[] path) {
    List<Leaf> below =
        DocumentView.of(state(node, id), Content.Source.NONE).leaves().stream()
            .filter(leaf -> Path.isWithin(leaf.path(), path))
            .map(
                leaf ->
                    new Leaf(
                        Arrays.copyOfRange(leaf.path(), path.length, leaf.path().length),
                        leaf.value()))
            .toList();
    return new String(CanonicalJson.join(below), StandardCharsets.UTF_8);
  }

  private static void exchange(Cluster cluster) {
    for (Cluster.Node from : cluster.nodes) {
      for (Cluster.Node to : cluster.nodes) {
        if (from != to) {
          from.runsFor(to).forEach(to.engine::apply);
          to.tick();
        }
      }
    }
  }

  private static void assertEqual(Cluster cluster) {
    Cluster.Node first = cluster.nodes.getFirst();
    for (Cluster.Node node : cluster.nodes) {
      assertThat(node.rows(Table.STATE)).isEqualTo(first.rows(Table.STATE));
    }
  }

  private static boolean related(byte[] a, byte[] b) {
    return Path.isWithin(a, b) || Path.isWithin(b, a);
  }

  @Test
  void contests_areTheSameEverywhere_showTheView_andLoseNoConflictOfAnotherValue() {
    Property.forAll(
        HISTORIES,
        History.gen(),
        history -> {
          Cluster cluster = Played.of(history);
          for (String id : History.IDS) {
            Cluster.Node node = cluster.nodes.getFirst();
            List<Contest> contests = contests(node, id);
            for (Contest contest : contests) {
              assertThat(new String(contest.winner().json(), StandardCharsets.UTF_8))
                  .isEqualTo(shown(node, id, contest.path()));
              assertThat(contest.losers()).isNotEmpty();
            }
            if (!state(node, id).exists()) {
              continue;
            }
            for (DocumentView.Conflict conflict :
                DocumentView.of(state(node, id), Content.Source.NONE).conflicts()) {
              boolean listed =
                  contests.stream().anyMatch(c -> Path.isWithin(conflict.path(), c.path()));
              boolean sameValue =
                  Arrays.equals(conflict.sibling().value(), utf8(shown(node, id, conflict.path())));
              assertThat(listed || sameValue).isTrue();
            }
          }
        });
  }

  @Test
  void resolving_byAnyClaim_showsItEverywhere_andLeavesNothingThatCompetesThere() {
    Property.forAll(
        HISTORIES,
        History.gen(),
        history -> {
          Cluster cluster = played(history);
          int turn = history.steps().size();
          for (String id : History.IDS) {
            List<Contest> contests = contests(cluster.nodes.getFirst(), id);
            if (contests.isEmpty()) {
              continue;
            }
            Cluster.Node node = cluster.nodes.get(turn % cluster.nodes.size());
            Contest contest = contests.get(turn % contests.size());
            int choice = turn % (contest.losers().size() + 1);
            byte[] chosen =
                choice == 0 ? contest.winner().json() : contest.losers().get(choice - 1).json();
            assertThat(node.write(Edit.resolve(id, contest.path(), chosen))).isNotNull();
            exchange(cluster);
            assertEqual(cluster);
            for (Cluster.Node each : cluster.nodes) {
              assertThat(shown(each, id, contest.path()))
                  .isEqualTo(new String(chosen, StandardCharsets.UTF_8));
              assertThat(DocumentView.of(state(each, id), Content.Source.NONE).conflicts())
                  .noneMatch(conflict -> related(conflict.path(), contest.path()));
            }
          }
        });
  }

  @Test
  void resolvingOnTwoReplicasAtOnce_differently_converges_andWhatWasBeforeIsGone() {
    Property.forAll(
        HISTORIES,
        History.gen(),
        history -> {
          Cluster cluster = played(history);
          Cluster.Node one = cluster.nodes.getFirst();
          Cluster.Node other = cluster.nodes.getLast();
          for (String id : History.IDS) {
            for (Contest contest : contests(one, id)) {
              one.write(Edit.resolve(id, contest.path(), contest.losers().getFirst().json()));
              other.write(Edit.resolve(id, contest.path(), utf8("\"other\"")));
              exchange(cluster);
              assertEqual(cluster);
              assertThat(shown(one, id, contest.path()))
                  .isIn(
                      "\"other\"",
                      new String(contest.losers().getFirst().json(), StandardCharsets.UTF_8));
            }
          }
        });
  }

  private static String content(NodeRecord record) {
    return record.json() + Arrays.toString(record.embedding());
  }

  @Test
  void revert_whileAnotherReplicaWrites_converges_andAloneShowsWhatWasThen() {
    Property.forAll(
        HISTORIES,
        History.gen(),
        history -> {
          Cluster cluster = played(history);
          Cluster.Node one = cluster.nodes.getFirst();
          Cluster.Node other = cluster.nodes.getLast();
          int turn = 0;
          for (var run : cluster.pool) {
            String id = History.IDS.get(turn++ % History.IDS.size());
            var moment = new Moment.Version(run.actor(), run.fromSeq());
            Optional<NodeRecord> then = new DocumentHistory(one.storage).asOf(utf8(id), moment);
            var written = one.write(then.<Edit>map(Edit::exactly).orElseGet(() -> Edit.delete(id)));
            assertThat(written == null)
                .as("only what exists neither now nor then is refused")
                .isEqualTo(then.isEmpty() && !state(other, id).exists());
            NodeRecord now = NodeRecord.of(utf8(id), state(one, id), Content.Source.NONE);
            assertThat(now == null ? "none" : content(now))
                .isEqualTo(then.map(ContestPropertyTest::content).orElse("none"));
            other.write(Edit.put("e", utf8("{\"turn\":" + turn + "}")));
            exchange(cluster);
            assertEqual(cluster);
          }
        });
  }
}
