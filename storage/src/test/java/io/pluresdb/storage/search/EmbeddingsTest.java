package io.pluresdb.storage.search;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.MemoryStorage;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.store.Transaction.Acknowledgement;
import io.pluresdb.storage.embedding.EmbedText;
import io.pluresdb.storage.embedding.EmbeddingException;
import io.pluresdb.storage.index.Filter;
import io.pluresdb.storage.search.Searches.EmbeddingStats;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Documents get the embeddings they lack, whatever happens meanwhile. */
class EmbeddingsTest {
  @TempDir Path folder = Path.of("");

  private final List<String> asked = new CopyOnWriteArrayList<>();
  private volatile boolean broken;

  /** Says how many of some letters a text has. */
  private final EmbedText counting =
      new EmbedText() {
        @Override
        public String name() {
          return "counting";
        }

        @Override
        public int batch() {
          return 4;
        }

        @Override
        public List<float[]> embed(List<String> texts) {
          if (broken) {
            throw new EmbeddingException("the model is away");
          }
          assertThat(texts).hasSizeLessThanOrEqualTo(4);
          asked.addAll(texts);
          return texts.stream().map(EmbeddingsTest::vector).toList();
        }
      };

  private static float[] vector(String text) {
    float[] vector = {0.1f, 0, 0};
    text.chars().filter(c -> c >= 'a' && c <= 'c').forEach(c -> vector[c - 'a']++);
    return vector;
  }

  private OpenSearches open(Storage storage, String... fields) {
    return new OpenSearches(
        storage, folder, new SearchIndexes.Embedding(counting, List.of(fields), true));
  }

  private static void await(BooleanSupplier condition) {
    long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).as("in time").isLessThan(deadline);
      Thread.onSpinWait();
    }
  }

  private static EmbeddingStats stats(OpenSearches open) {
    return Objects.requireNonNull(open.searches.embeddingStats());
  }

  private static void settle(OpenSearches open) {
    await(() -> stats(open).behind() == 0);
  }

  private static float[] embedding(OpenSearches open, String id) {
    NodeRecord document = open.store.get(id).orElseThrow();
    return Objects.requireNonNull(document.embedding(), id);
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  @Test
  void documents_getTheirEmbeddings_andSearchFindsThem() {
    try (var open = open(new MemoryStorage())) {
      var edits = new ArrayList<Edit>();
      for (int i = 0; i < 50; i++) {
        edits.add(Edit.put("d" + i, utf8("{\"t\":\"" + "a".repeat(i + 1) + "bbb\"}")));
      }
      edits.add(Edit.put("none", utf8("{\"n\":1}")));
      CrdtStore.await(open.store.submit(new Transaction(edits, Acknowledgement.LOCAL)));
      settle(open);
      assertThat(embedding(open, "d1")).containsExactly(vector("aabbb"));
      assertThat(open.store.get("none").orElseThrow().embedding()).as("without text").isNull();
      assertThat(stats(open).embedded()).isEqualTo(50);
      assertThat(stats(open).error()).isEmpty();
      float[] query = open.searches.embed("bbbbbbbb");
      List<Searches.Hit> hits =
          open.searches.search(
              new Searches.Request(
                  null, query, Filter.ALL, 1, 0, new Searches.Fusion.ReciprocalRank(), 30_000));
      assertThat(hits.getFirst().document().id()).isEqualTo("d0");
    }
  }

  @Test
  void changedText_isEmbeddedAnew_andSuppliedEmbeddingsStay() {
    try (var open = open(new MemoryStorage(), "t")) {
      open.store.put("d", utf8("{\"t\":\"a\",\"other\":\"x\"}"));
      CrdtStore.await(
          open.store.submit(
              new Transaction(
                  List.of(Edit.put("mine", utf8("{\"t\":\"a\"}"), new float[] {9, 9})),
                  Acknowledgement.LOCAL)));
      settle(open);
      assertThat(embedding(open, "d")).containsExactly(vector("a"));
      CrdtStore.await(
          open.store.submit(
              new Transaction(
                  List.of(
                      Edit.patch("d", utf8("{\"t\":\"bb\"}")),
                      Edit.patch("mine", utf8("{\"t\":\"cc\"}"))),
                  Acknowledgement.LOCAL)));
      settle(open);
      await(() -> embedding(open, "d")[1] == 2);
      assertThat(embedding(open, "mine")).containsExactly(9, 9);
      int before = asked.size();
      CrdtStore.await(
          open.store.submit(
              new Transaction(
                  List.of(Edit.patch("d", utf8("{\"other\":\"y\"}"))), Acknowledgement.LOCAL)));
      settle(open);
      assertThat(asked).as("another field").hasSize(before).doesNotContain("x", "a\nx");
    }
  }

  @Test
  void failure_isShown_nothingIsDropped_andItGoesOn() {
    try (var open = open(new MemoryStorage())) {
      broken = true;
      for (int i = 0; i < 20; i++) {
        open.store.put("d" + i, utf8("{\"t\":\"a\"}"));
      }
      await(() -> stats(open).error().contains("the model is away"));
      assertThat(stats(open).behind()).isPositive();
      broken = false;
      settle(open);
      for (int i = 0; i < 20; i++) {
        assertThat(embedding(open, "d" + i)).containsExactly(vector("a"));
      }
      assertThat(stats(open).error()).isEmpty();
    }
  }

  @Test
  void reopened_goesOnWhereItWas() {
    try (var open = open(WritingChild.storage(folder))) {
      open.store.put("d", utf8("{\"t\":\"a\"}"));
      settle(open);
    }
    int before = asked.size();
    try (var open = new OpenSearches(WritingChild.storage(folder), folder)) {
      open.store.put("e", utf8("{\"t\":\"b\"}"));
      assertThat(open.searches.embeddingStats()).isNull();
      assertThatThrownBy(() -> open.searches.embed("x"))
          .isInstanceOf(CoreException.class)
          .hasMessageContaining("embedding.model");
    }
    try (var open = open(WritingChild.storage(folder))) {
      settle(open);
      assertThat(embedding(open, "e")).containsExactly(vector("b"));
      assertThat(asked.subList(before, asked.size())).containsExactly("b");
    }
  }
}
