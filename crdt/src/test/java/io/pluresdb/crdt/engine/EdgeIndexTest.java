package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.doc.Edge;
import io.pluresdb.crdt.store.DocumentReader;
import io.pluresdb.crdt.store.EdgeIndex;
import io.pluresdb.crdt.store.EdgeIndex.Direction;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Finding;
import io.pluresdb.crdt.store.Inspection;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.value.CanonicalJson;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/**
 * The edges of a document are those that the documents say, whoever wrote them, at every commit.
 */
class EdgeIndexTest {
  private static byte[] json(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static void link(Device device, String from, String relation, String to) {
    Edge edge = Edge.checked(from, relation, to);
    device.write(Edit.put(edge.id(), edge.document(json("{}"))));
  }

  private static List<String> edges(
      Device device, String id, Direction direction, @Nullable String relation) {
    var all = new ArrayList<String>();
    String after = null;
    do {
      try (var snapshot = device.storage.snapshot()) {
        EdgeIndex.Page page = EdgeIndex.of(snapshot, id, direction, relation, after, 2);
        assertThat(page.edges()).hasSizeLessThanOrEqualTo(2);
        page.edges().forEach(found -> all.add(text(found.edge())));
        after = page.next();
      }
    } while (after != null);
    return all;
  }

  private static String text(Edge edge) {
    return edge.from() + "-" + edge.relation() + "-" + edge.to();
  }

  @Test
  void edges_ofADocument_areGivenBothWaysByRelationAndInPages() {
    Device a = Device.founder(1);
    for (String id : List.of("a", "b", "c", "a\u0000", "d")) {
      a.put(id, "{}");
    }
    link(a, "a", "likes", "b");
    link(a, "a", "likes", "c");
    link(a, "a", "knows", "b");
    link(a, "b", "knows", "a");
    link(a, "a", "is", "a");
    link(a, "a\u0000", "knows", "d");
    link(a, "a", "knows\u0000", "d");
    link(a, "a", "", "d");
    assertThat(edges(a, "a", Direction.OUT, null))
        .containsExactlyInAnyOrder(
            "a--d", "a-is-a", "a-knows-b", "a-knows\u0000-d", "a-likes-b", "a-likes-c");
    assertThat(edges(a, "a", Direction.OUT, "knows")).containsExactly("a-knows-b");
    assertThat(edges(a, "a", Direction.OUT, "")).containsExactly("a--d");
    assertThat(edges(a, "a", Direction.IN, null)).containsExactlyInAnyOrder("a-is-a", "b-knows-a");
    assertThat(edges(a, "a", Direction.BOTH, null)).hasSize(7);
    assertThat(edges(a, "a\u0000", Direction.BOTH, null)).containsExactly("a\u0000-knows-d");
    assertThat(edges(a, "nobody", Direction.BOTH, null)).isEmpty();
  }

  @Test
  void edge_isShownOnlyWhileBothEndsAre() {
    Device a = Device.founder(1);
    link(a, "a", "r", "b");
    a.put("a", "{}");
    assertThat(edges(a, "a", Direction.OUT, null)).isEmpty();
    a.put("b", "{}");
    assertThat(edges(a, "a", Direction.OUT, null)).hasSize(1);
    a.write(Edit.delete("b"));
    assertThat(edges(a, "a", Direction.OUT, null)).isEmpty();
    assertThat(edges(a, "b", Direction.IN, null)).isEmpty();
    a.put("b", "{}");
    assertThat(edges(a, "b", Direction.IN, null)).hasSize(1);
    a.write(Edit.delete(Edge.checked("a", "r", "b").id()));
    assertThat(edges(a, "b", Direction.IN, null)).isEmpty();
  }

  @Test
  void edge_isOneDocumentWhoeverMakesIt_andItsPartsDoNotRunTogether() {
    assertThat(Edge.checked("a", "r", "b").id()).isEqualTo(Edge.checked("a", "r", "b").id());
    assertThat(Edge.checked("ab", "r", "c").id()).isNotEqualTo(Edge.checked("a", "br", "c").id());
    assertThat(Edge.checked("a", "r", "b").id()).isNotEqualTo(Edge.checked("b", "r", "a").id());
    assertThat(new String(Edge.checked("a", "r", "b").document(json("{\"w\":1}")), UTF_8))
        .isEqualTo("{\"_edge\":true,\"from\":\"a\",\"relation\":\"r\",\"to\":\"b\",\"w\":1}");
  }

  private static final java.nio.charset.Charset UTF_8 = StandardCharsets.UTF_8;

  @Test
  void edge_outOfItsLimits_isRefused() {
    String longest = "x".repeat(1_024);
    assertThat(Edge.checked(longest, longest, longest).id()).hasSize(69);
    assertThatThrownBy(() -> Edge.checked("", "r", "b"))
        .isInstanceOf(CoreException.class)
        .hasMessageContaining("1 to 1024 bytes, but one has 0");
    assertThatThrownBy(() -> Edge.checked("a", "r", longest + "x")).hasMessageContaining("1025");
    assertThatThrownBy(() -> Edge.checked("a", longest + "x", "b"))
        .hasMessageContaining("relation must have at most 1024 bytes, but has 1025");
    assertThatThrownBy(() -> Edge.checked("a", "r", "b").document(json("[]")))
        .hasMessageContaining("must be an object");
    assertThatThrownBy(() -> Edge.checked("a", "r", "b").document(json("{\"to\":{\"x\":1}}")))
        .hasMessageContaining("\"to\"");
  }

  /** What the documents say, without the index. */
  private static Set<String> naive(Device device, String id) {
    var edges = new TreeSet<String>();
    try (var snapshot = device.storage.snapshot();
        var rows = snapshot.scan(Table.STATE, new byte[0], null)) {
      while (rows.next()) {
        NodeRecord document = DocumentReader.read(snapshot, rows.key(), rows.value());
        if (document == null || !document.json().contains("\"_edge\":true")) {
          continue;
        }
        String from = member(document, "from");
        String to = member(document, "to");
        if ((from.equals(id) || to.equals(id)) && exists(device, from) && exists(device, to)) {
          edges.add(document.id());
        }
      }
    }
    return edges;
  }

  private static String member(NodeRecord document, String name) {
    return CanonicalJson.leaves(document.data()).stream()
        .filter(leaf -> new String(leaf.path(), UTF_8).equals(name + "\u0000"))
        .map(leaf -> leaf.value()[0] == '"' ? CanonicalJson.text(leaf.value()) : "")
        .findFirst()
        .orElse("");
  }

  private static boolean exists(Device device, String id) {
    return !id.isEmpty() && DocumentReader.read(device.storage, json(id)) != null;
  }

  @Test
  void edges_afterAnyConcurrentWrites_areThoseOfTheDocuments() {
    for (int seed = 1; seed <= 30; seed++) {
      var random = new SplittableRandom(seed);
      Device a = Device.founder(seed);
      Device b = a.join(1_000 + seed);
      a.sync(b);
      for (int step = 0; step < 60; step++) {
        Device device = random.nextBoolean() ? a : b;
        String id = "n" + random.nextInt(4);
        switch (random.nextInt(7)) {
          case 0 -> device.put(id, "{\"v\":" + step + "}");
          case 1, 2 -> link(device, id, "r" + random.nextInt(2), "n" + random.nextInt(4));
          // Documents that become edges, stop being ones, or lead elsewhere.
          case 3 ->
              device.put(
                  "e" + random.nextInt(3),
                  "{\"_edge\":%s,\"from\":\"%s\",\"to\":\"n%d\"}"
                      .formatted(random.nextInt(4) > 0, id, random.nextInt(4)));
          case 4 -> device.put("e" + random.nextInt(3), "{\"_edge\":true,\"from\":7,\"to\":[]}");
          case 5 -> {
            String gone = random.nextBoolean() ? id : "e" + random.nextInt(3);
            if (exists(device, gone)) {
              device.write(Edit.delete(gone));
            }
          }
          default -> a.sync(b);
        }
        check(device, seed);
      }
      a.sync(b);
      a.assertEquals(b);
      for (Device device : List.of(a, b)) {
        check(device, seed);
        device.restart();
        check(device, seed);
        assertThat(Inspection.of(device.engine.replica()))
            .as("seed %d", seed)
            .noneMatch(finding -> finding.status() == Finding.Status.ERROR);
      }
    }
  }

  private static void check(Device device, int seed) {
    for (int i = 0; i < 4; i++) {
      String id = "n" + i;
      var found = new TreeSet<String>();
      try (var snapshot = device.storage.snapshot()) {
        EdgeIndex.of(snapshot, id, Direction.BOTH, null, null, 1_000)
            .edges()
            .forEach(edge -> found.add(edge.id()));
      }
      assertThat(found)
          .as("seed %d of %s", seed, id)
          .isEqualTo(exists(device, id) ? naive(device, id) : Set.of());
    }
  }
}
