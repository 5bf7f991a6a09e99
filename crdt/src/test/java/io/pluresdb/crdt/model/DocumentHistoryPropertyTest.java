package io.pluresdb.crdt.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.property.Property;
import io.pluresdb.crdt.store.DocumentHistory;
import io.pluresdb.crdt.store.Moment;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BiConsumer;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;

/** Documents as they were, and their versions, against the model and after random histories. */
class DocumentHistoryPropertyTest {
  private static final int HISTORIES = 250;

  private static void afterHistories(BiConsumer<History, Cluster> property) {
    Property.forAll(
        HISTORIES, History.gen(), history -> property.accept(history, Played.of(history)));
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static ActorId actor(String hex) {
    return ActorId.read(new ByteReader(HexFormat.of().parseHex(hex)));
  }

  /** All documents as the product says they were, in the form of the model. */
  private static String product(Cluster.Node node, Moment moment) {
    var shown = new StringBuilder();
    var past = new DocumentHistory(node.storage);
    for (String id : History.IDS) {
      past.asOf(utf8(id), moment).ifPresent(record -> shown.append(Cluster.shown(record)));
    }
    return shown.toString();
  }

  /** What a replica shows that has exactly the changes for which {@code had} holds. */
  private static String model(List<Model.Change> all, Predicate<Model.Change> had) {
    var replica = new Model(Long.MAX_VALUE / 2, null);
    all.stream().filter(had).forEach(replica::deliver);
    String shown = replica.observe();
    return shown.substring(0, shown.lastIndexOf("documents="));
  }

  private static boolean within(Model.Change change, Map<String, Long> seen) {
    return change.seq() <= seen.getOrDefault(change.actor(), 0L);
  }

  private static Map<String, Long> past(Model.Change change) {
    var past = new HashMap<>(change.seen());
    past.put(change.actor(), change.seq());
    return past;
  }

  @Test
  void asOf_aVersion_isWhatItsAuthorSaw() {
    afterHistories(
        (history, cluster) -> {
          List<Model.Change> all = ModelCluster.changes(history, cluster);
          for (Cluster.Node node : cluster.nodes) {
            for (Model.Change change : all) {
              var moment = new Moment.Version(actor(change.actor()), change.seq());
              assertThat(product(node, moment)).isEqualTo(model(all, c -> within(c, past(change))));
            }
          }
        });
  }

  @Test
  void asOf_aTime_isWhatAReplicaSawThatHadEverythingUpToThen() {
    afterHistories(
        (history, cluster) -> {
          List<Model.Change> all = ModelCluster.changes(history, cluster);
          for (Cluster.Node node : cluster.nodes) {
            for (Model.Change change : all) {
              for (long millis : new long[] {change.time() >>> 16, (change.time() >>> 16) - 1}) {
                assertThat(product(node, new Moment.Time(millis)))
                    .isEqualTo(model(all, c -> c.time() >>> 16 <= millis));
              }
            }
          }
        });
  }

  @Test
  void asOf_whatAReplicaHadSeen_isWhatItShowed() {
    afterHistories(
        (history, cluster) -> {
          List<Model.Change> all = ModelCluster.changes(history, cluster);
          Cluster.Node node = cluster.nodes.getLast();
          for (int i = 0; i < all.size(); i++) {
            // Two causal pasts together are a set that a replica can have.
            var seen = new TreeMap<>(past(all.get(i)));
            past(all.get(i * 7 % all.size())).forEach((a, seq) -> seen.merge(a, seq, Math::max));
            var seqs = new TreeMap<ActorId, Long>();
            seen.forEach((hex, seq) -> seqs.put(actor(hex), seq));
            assertThat(product(node, new Moment.Seen(seqs)))
                .isEqualTo(model(all, c -> within(c, seen)));
          }
        });
  }

  @Test
  void asOf_theFrontierOfNow_isWhatTheDocumentIs() {
    afterHistories(
        (history, cluster) -> {
          for (Cluster.Node node : cluster.nodes) {
            Moment now = Moment.Seen.of(node.replica().view().frontier());
            String seen = node.observe();
            assertThat(product(node, now)).isEqualTo(seen.substring(0, seen.indexOf("documents=")));
          }
        });
  }

  @Test
  void page_overAllPages_listsEveryChangeOfTheDocumentOnce_andNothingBeforeWhatItDependsOn() {
    afterHistories(
        (history, cluster) -> {
          List<Model.Change> all = ModelCluster.changes(history, cluster);
          for (Cluster.Node node : cluster.nodes) {
            for (String id : History.IDS) {
              List<String> names = names(node, id);
              assertThat(names).containsExactlyInAnyOrderElementsOf(changesOf(cluster, id));
              Set<String> older = new HashSet<>(names);
              for (String name : names) {
                older.remove(name);
                Model.Change change =
                    all.stream().filter(c -> name(c).equals(name)).findFirst().orElseThrow();
                for (Model.Change other : all) {
                  if (names.contains(name(other))
                      && !other.equals(change)
                      && within(other, past(change))) {
                    assertThat(older).contains(name(other));
                  }
                }
              }
            }
          }
        });
  }

  private static String name(Model.Change change) {
    return change.actor() + "." + change.seq();
  }

  /** The versions of a document over pages of two. */
  private static List<String> names(Cluster.Node node, String id) {
    var names = new ArrayList<String>();
    long before = Long.MAX_VALUE;
    while (before > 0) {
      var page = new DocumentHistory(node.storage).page(utf8(id), 2, before);
      assertThat(page.truncated()).isFalse();
      page.versions().forEach(version -> names.add(version.actor().hex() + "." + version.seq()));
      before = page.next();
    }
    return names;
  }

  /** By decoding everything. */
  private static List<String> changesOf(Cluster cluster, String id) {
    var names = new ArrayList<String>();
    for (ChangeRun run : cluster.pool) {
      byte[] body = run.changes().getFirst().body();
      if (ChangeBody.decode(run.actor(), body).stream()
          .anyMatch(edit -> new String(edit.id(), StandardCharsets.UTF_8).equals(id))) {
        names.add(run.actor().hex() + "." + run.fromSeq());
      }
    }
    return names;
  }
}
