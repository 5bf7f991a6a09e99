package io.pluresdb.storage.search;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.MemoryStorage;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.storage.index.DocumentQuery;
import io.pluresdb.storage.index.Filter;
import io.pluresdb.storage.index.IndexDefinition;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Filters and sorts, with and without indexes. */
class FindTest {
  private static final long WAIT_MILLIS = 20_000;

  @TempDir Path folder = Path.of("");

  private static byte[] json(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static DocumentQuery query(String filter, String sort, long limit) {
    return new DocumentQuery(
        "",
        null,
        Filter.parse(json(filter)),
        sort.isEmpty() ? List.of() : DocumentQuery.parseOrders(sort),
        limit);
  }

  private static List<String> ids(Searches searches, DocumentQuery query) {
    var ids = new ArrayList<String>();
    try (CrdtStore.Documents documents = searches.find(query)) {
      while (documents.hasNext() && ids.size() < query.limit()) {
        ids.add(documents.next().id());
      }
    }
    return ids;
  }

  private static List<String> ids(Searches searches, String filter, String sort) {
    return ids(searches, query(filter, sort, 100));
  }

  @Test
  void find_withOperators_meetsEachAsWritten() {
    try (var open = new OpenSearches(new MemoryStorage(), folder)) {
      open.store.put("a", json("{\"n\":1,\"s\":\"alpha\",\"l\":[\"x\",2],\"o\":{\"p\":true}}"));
      open.store.put("b", json("{\"n\":2.5,\"s\":\"al\\u0000\",\"l\":[]}"));
      open.store.put("c", json("{\"n\":\"2\",\"s\":null,\"o\":{\"p\":false}}"));
      open.store.put("d", json("7"));
      for (String index : List.of("", "n", "s", "l[]", "o.p")) {
        if (!index.isEmpty()) {
          open.searches.declare(IndexDefinition.parse(index));
          open.searches.await(WAIT_MILLIS);
        }
        Searches searches = open.searches;
        assertThat(ids(searches, "{\"n\":1}", "")).containsExactly("a");
        assertThat(ids(searches, "{\"n\":{\"gte\":1,\"lt\":2.5}}", "")).containsExactly("a");
        assertThat(ids(searches, "{\"n\":{\"gt\":1}}", "")).containsExactly("b");
        assertThat(ids(searches, "{\"n\":{\"lte\":\"2\"}}", "")).containsExactly("c");
        assertThat(ids(searches, "{\"n\":{\"ne\":1}}", "")).containsExactly("b", "c", "d");
        assertThat(ids(searches, "{\"n\":{\"in\":[1,\"2\"]}}", "")).containsExactly("a", "c");
        assertThat(ids(searches, "{\"s\":{\"prefix\":\"al\"}}", "")).containsExactly("a", "b");
        assertThat(ids(searches, "{\"s\":null}", "")).containsExactly("c");
        assertThat(ids(searches, "{\"s\":{\"exists\":false}}", "")).containsExactly("d");
        assertThat(ids(searches, "{\"l\":{\"contains\":2}}", "")).containsExactly("a");
        assertThat(ids(searches, "{\"o.p\":true}", "")).containsExactly("a");
        assertThat(ids(searches, "{\"o\":{\"eq\":{}}}", "")).isEmpty();
        assertThat(ids(searches, "{}", "n")).containsExactly("a", "b", "c", "d");
        assertThat(ids(searches, "{}", "-n")).containsExactly("c", "b", "a", "d");
        assertThat(ids(searches, "{}", "-o.p,n")).containsExactly("a", "c", "b", "d");
      }
    }
  }

  @Test
  void filter_thatIsWrong_namesWhatIsAllowed() {
    assertThatThrownBy(() -> Filter.parse(json("{\"n\":{\"above\":1}}")))
        .isInstanceOf(CoreException.class)
        .hasMessageContaining("eq, ne, lt");
    assertThatThrownBy(() -> Filter.parse(json("{\"n\":{\"lt\":true}}")))
        .hasMessageContaining("a number or a string, but is true");
    assertThatThrownBy(
            () -> new DocumentQuery("", null, Filter.ALL, DocumentQuery.parseOrders("a"), 10_001))
        .hasMessageContaining("10001");
  }

  @Test
  void find_throughAnyIndex_givesWhatLookingAtEveryDocumentGives() {
    try (var plain = new OpenSearches(new MemoryStorage(), folder);
        var indexed = new OpenSearches(new MemoryStorage(), folder)) {
      for (String index : List.of("type", "type,n", "n", "tags[]", "tags[],n", "s", "type,s,n")) {
        indexed.searches.declare(IndexDefinition.parse(index));
      }
      long seed = 20_261_120;
      var random = new Random(seed);
      for (int round = 0; round < 60; round++) {
        var edits = new ArrayList<Edit>();
        for (int i = 0; i < 10; i++) {
          String id = "d" + random.nextInt(80);
          if (random.nextInt(5) == 0 && plain.store.get(id).isPresent() && edits.isEmpty()) {
            edits.add(Edit.delete(id));
          } else {
            edits.add(Edit.put(id, json(document(random))));
          }
        }
        plain.store.batch(edits);
        indexed.store.batch(edits);
        for (int i = 0; i < 10; i++) {
          String filter = filter(random);
          String sort = List.of("", "", "n", "-n", "s", "-s,n", "type,-n").get(random.nextInt(7));
          int limit = 1 + random.nextInt(random.nextBoolean() ? 5 : 100);
          DocumentQuery query = query(filter, sort, limit);
          assertThat(ids(indexed.searches, query))
              .as("seed %d round %d filter %s sort %s limit %d", seed, round, filter, sort, limit)
              .isEqualTo(ids(plain.searches, query));
        }
      }
      assertThat(indexed.searches.differences(10, WAIT_MILLIS)).isEmpty();
    }
  }

  private static String document(Random random) {
    var json = new StringBuilder("{\"x\":0");
    if (random.nextInt(6) > 0) {
      json.append(",\"type\":\"t").append(random.nextInt(3)).append('"');
    }
    if (random.nextInt(6) > 0) {
      json.append(",\"n\":")
          .append(random.nextBoolean() ? random.nextInt(9) - 4 : random.nextInt(8) / 4.0);
    }
    if (random.nextInt(6) > 0) {
      json.append(",\"s\":\"")
          .append("ab".repeat(random.nextInt(3)))
          .append(random.nextInt(3))
          .append('"');
    }
    if (random.nextInt(3) > 0) {
      json.append(",\"tags\":[")
          .append(random.nextInt(4))
          .append(',')
          .append(random.nextInt(4))
          .append(']');
    }
    return json.append('}').toString();
  }

  private static String filter(Random random) {
    var tests = new ArrayList<String>();
    if (random.nextBoolean()) {
      tests.add("\"type\":\"t" + random.nextInt(4) + "\"");
    }
    switch (random.nextInt(6)) {
      case 0 -> tests.add("\"n\":{\"gte\":" + (random.nextInt(9) - 4) + "}");
      case 1 -> tests.add("\"n\":{\"lt\":" + random.nextInt(5) + ",\"gt\":-2}");
      case 2 -> tests.add("\"n\":" + random.nextInt(3));
      case 3 -> tests.add("\"tags\":{\"contains\":" + random.nextInt(5) + "}");
      case 4 -> tests.add("\"s\":{\"prefix\":\"ab\"}");
      default -> {}
    }
    return "{" + String.join(",", tests) + "}";
  }

  @Test
  void index_afterReopening_isThereAndFollowsOn() {
    Storage storage = new MemoryStorage();
    var first = new OpenSearches(storage, folder);
    first.searches.declare(IndexDefinition.parse("n"));
    first.store.put("a", json("{\"n\":1}"));
    first.searches.await(WAIT_MILLIS);
    assertThat(first.searches.status()).hasSize(1);
    first.searches.close();
    first.store.put("b", json("{\"n\":2}"));
    try (var again = SearchIndexes.open(storage, first.store, folder)) {
      again.await(WAIT_MILLIS);
      assertThat(ids(again, "{\"n\":{\"gte\":1}}", "-n")).containsExactly("b", "a");
      assertThat(again.differences(10, WAIT_MILLIS)).isEmpty();
      assertThat(again.drop(IndexDefinition.parse("n"))).isTrue();
      assertThat(again.status()).isEmpty();
      try (var rows = storage.snapshot();
          // From 8 on are the edges.
          var left = rows.scan(Storage.Table.INDEX, new byte[] {1}, new byte[] {8})) {
        assertThat(left.next()).isFalse();
      }
    }
    first.store.close();
  }
}
