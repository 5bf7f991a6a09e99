package io.pluresdb.storage.search;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.MemoryStorage;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.storage.index.Filter;
import io.pluresdb.storage.search.Searches.Fusion;
import io.pluresdb.storage.search.Searches.Hit;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Nearest vectors, always of the documents as they are. */
class VectorSearchTest {
  private static final long WAIT_MILLIS = 60_000;
  private static final int DIMENSION = 16;

  @TempDir Path folder = Path.of("");

  private static byte[] json(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static List<Hit> near(
      Searches searches, float[] vector, int limit, double threshold, String filter) {
    return searches.search(
        new Searches.Request(
            null,
            vector,
            Filter.parse(json(filter)),
            limit,
            threshold,
            new Fusion.ReciprocalRank(),
            WAIT_MILLIS));
  }

  private static List<String> ids(List<Hit> hits) {
    return hits.stream().map(hit -> hit.document().id()).toList();
  }

  private static float[] vector(Random random) {
    float[] vector = new float[DIMENSION];
    for (int i = 0; i < DIMENSION; i++) {
      vector[i] = (float) random.nextGaussian();
    }
    return vector;
  }

  @Test
  void search_afterReplacingAndDeleting_findsOnlyWhatIsThere() {
    try (var open = new OpenSearches(new MemoryStorage(), folder)) {
      open.store.putWithEmbedding("a", json("{}"), new float[] {3, 0});
      open.store.putWithEmbedding("b", json("{}"), new float[] {0, 1});
      open.store.putWithEmbedding("same", json("{}"), new float[] {0, 7});
      List<Hit> hits = near(open.searches, new float[] {1, 0}, 5, 0, "{}");
      assertThat(ids(hits)).containsExactly("a", "b", "same");
      assertThat(hits.getFirst().score()).isEqualTo(1.0);
      assertThat(hits.getLast().score()).isZero();
      open.store.putWithEmbedding("a", json("{}"), new float[] {-1, 0});
      hits = near(open.searches, new float[] {1, 0}, 5, 0, "{}");
      assertThat(hits).allSatisfy(hit -> assertThat(hit.score()).isZero());
      assertThat(near(open.searches, new float[] {1, 0}, 5, 0.1, "{}")).isEmpty();
      open.store.delete("b");
      assertThat(ids(near(open.searches, new float[] {0, 1}, 1, 0, "{}"))).containsExactly("same");
      open.store.put("same", json("{\"kept\":true}"));
      open.store.putWithEmbedding("b", json("{}"), new float[] {1, 1});
      assertThat(near(open.searches, new float[] {0, 1}, 2, 0, "{}").getFirst().score())
          .isEqualTo(Math.sqrt(0.5), within(1e-6));
      assertThat(open.searches.differences(5, WAIT_MILLIS)).isEmpty();
    }
  }

  @Test
  void search_ofAnotherDimension_namesThoseThereAre() {
    try (var open = new OpenSearches(new MemoryStorage(), folder)) {
      assertThat(near(open.searches, new float[] {1}, 5, 0, "{}")).isEmpty();
      open.store.putWithEmbedding("a", json("{\"type\":\"t\"}"), new float[] {3, 0});
      assertThatThrownBy(() -> near(open.searches, new float[] {1, 2, 3}, 5, 0, "{}"))
          .isInstanceOf(CoreException.class)
          .hasMessageContaining("[2], but has 3");
      float[] three = {1, 2, 3};
      assertRefused(open, Edit.put("b", json("{\"type\":\"t\"}"), three));
      // Without type they are a collection of their own, and so is every other type.
      open.searches.requireDimensions(
          List.of(
              Edit.put("b", json("{\"type\":\"u\"}"), three),
              Edit.put("c", json("{}"), three),
              Edit.put("d", json("{\"type\":\"t\"}"))));
      open.store.putWithEmbedding("b", json("{\"type\":\"u\",\"x\":1}"), three);
      assertRefused(open, Edit.patch("b", json("{\"type\":\"t\"}")));
      open.searches.requireDimensions(
          List.of(
              Edit.patch("b", json("{\"x\":2}")),
              Edit.patch("b", json("{\"type\":\"v\"}")),
              Edit.patch("nobody", json("{\"type\":\"t\"}"))));
      // What an edit before it in the batch made of the document counts.
      assertRefused(
          open, Edit.put("n", json("{}"), three), Edit.patch("n", json("{\"type\":\"t\"}")));
      assertRefused(
          open, Edit.patch("b", json("{\"x\":3}")), Edit.patch("b", json("{\"type\":\"t\"}")));
      assertRefused(
          open, Edit.resolve("b", io.pluresdb.crdt.value.Path.parse("type"), json("\"t\"")));
      assertRefused(
          open, Edit.resolve("b", io.pluresdb.crdt.value.Path.parse(""), json("{\"type\":\"t\"}")));
      open.searches.requireDimensions(
          List.of(
              Edit.put("b", json("{\"type\":\"t\"}")),
              Edit.patch("b", json("{\"type\":\"t\"}")),
              Edit.resolve("b", io.pluresdb.crdt.value.Path.parse("y"), json("1"))));
      open.searches.requireDimensions(
          List.of(Edit.delete("b"), Edit.patch("b", json("{\"type\":\"t\"}"))));
      assertThat(open.searches.mixedDimensions(5)).isEmpty();
      // As another device may have written it: kept, found by its like, and named.
      open.store.putWithEmbedding("c", json("{\"type\":\"t\"}"), three);
      assertThat(ids(near(open.searches, three, 5, 0.9, "{}"))).containsExactly("b", "c");
      assertThat(open.searches.mixedDimensions(5))
          .containsExactly("embeddings of type \"t\" have several dimensions: {2=1, 3=1}");
      open.store.delete("b");
      open.store.delete("c");
      assertThatThrownBy(() -> near(open.searches, new float[] {0, 0}, 5, 0, "{}"))
          .hasMessageContaining("not all zero");
    }
  }

  private static void assertRefused(OpenSearches open, Edit... edits) {
    assertThatThrownBy(() -> open.searches.requireDimensions(List.of(edits)))
        .isInstanceOf(CoreException.class)
        .hasMessageContaining("type \"t\" must have 2 numbers, as those there, but has 3");
  }

  @Test
  void search_withAFilter_givesAsManyAsWanted() {
    try (var open = new OpenSearches(new MemoryStorage(), folder)) {
      var random = new Random(11);
      var vectors = new ArrayList<float[]>();
      for (int i = 0; i < 600; i += 100) {
        var edits = new ArrayList<Edit>();
        for (int j = i; j < i + 100; j++) {
          vectors.add(vector(random));
          edits.add(
              Edit.put(
                  "d" + j,
                  json("{\"rare\":" + (j % 100 == 7) + ",\"half\":" + (j % 2 == 0) + "}"),
                  vectors.get(j)));
        }
        open.store.batch(edits);
      }
      for (int i = 0; i < 20; i++) {
        float[] query = vector(random);
        List<Hit> rare = near(open.searches, query, 6, 0, "{\"rare\":true}");
        assertThat(ids(rare))
            .containsExactlyInAnyOrder("d7", "d107", "d207", "d307", "d407", "d507");
        List<Hit> half = near(open.searches, query, 10, 0, "{\"half\":true}");
        assertThat(half).hasSize(10);
        assertThat(half)
            .allSatisfy(hit -> assertThat(hit.document().json()).contains("\"half\":true"));
        assertThat(near(open.searches, query, 600, 0, "{}")).hasSize(600);
        assertThat(near(open.searches, query, 300, 0, "{\"half\":true}")).hasSize(300);
      }
    }
  }

  @Test
  void index_afterManyReplacements_isSmallAndWholeAndOpensAgain() throws IOException {
    Storage storage = new MemoryStorage();
    try (var open = new OpenSearches(storage, folder)) {
      var random = new Random(3);
      for (int round = 0; round < 12; round++) {
        var edits = new ArrayList<Edit>();
        for (int i = 0; i < 200; i++) {
          edits.add(Edit.put("d" + i, json("{}"), vector(random)));
        }
        open.store.batch(edits);
        assertThat(near(open.searches, vector(random), 3, 0, "{}")).hasSize(3);
      }
      float[] kept = vector(random);
      open.store.putWithEmbedding("kept", json("{}"), kept);
      assertThat(open.searches.differences(5, WAIT_MILLIS)).isEmpty();
      open.searches.close();
      try (var files = Files.walk(folder.resolve("vectors"))) {
        assertThat(files.filter(file -> file.toString().endsWith(".vectors")).count())
            .isLessThanOrEqualTo(2);
      }
      try (var again = SearchIndexes.open(storage, open.store, folder)) {
        assertThat(again.status().getFirst().arrivals()).isPositive();
        assertThat(again.status().getFirst().fields()).containsExactly("16");
        assertThat(ids(near(again, kept, 1, 0, "{}"))).containsExactly("kept");
        open.store.putWithEmbedding("later", json("{}"), vector(random));
        assertThat(again.differences(5, WAIT_MILLIS)).isEmpty();
      }
    }
  }

  @Test
  void index_thatIsDamaged_isMadeAnew() throws IOException {
    Storage storage = new MemoryStorage();
    try (var open = new OpenSearches(storage, folder)) {
      open.store.putWithEmbedding("a", json("{}"), new float[] {3, 0});
      assertThat(near(open.searches, new float[] {1, 0}, 1, 0, "{}")).hasSize(1);
      open.searches.close();
      try (var files = Files.walk(folder.resolve("vectors"))) {
        for (Path file : files.filter(f -> f.toString().endsWith(".graph")).toList()) {
          byte[] bytes = Files.readAllBytes(file);
          bytes[bytes.length / 2] ^= 1;
          Files.write(file, bytes);
        }
      }
      try (var again = SearchIndexes.open(storage, open.store, folder)) {
        assertThat(ids(near(again, new float[] {1, 0}, 1, 0, "{}"))).containsExactly("a");
        assertThat(again.differences(5, WAIT_MILLIS)).isEmpty();
      }
    }
  }
}
