package io.pluresdb.storage.search;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.store.MemoryStorage;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.storage.index.Filter;
import io.pluresdb.storage.search.Searches.Fusion;
import io.pluresdb.storage.search.Searches.Hit;
import io.pluresdb.storage.search.Searches.Leg;
import io.pluresdb.storage.text.Highlight;
import io.pluresdb.storage.text.TextQuery;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Words, phrases and prefixes, always as the documents are. */
class TextSearchTest {
  private static final long WAIT_MILLIS = 20_000;

  @TempDir Path folder = Path.of("");

  private static byte[] json(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static Searches.Request request(
      @Nullable String query, @Nullable String field, float[] embedding, Fusion fusion) {
    TextQuery text = query == null ? null : TextQuery.parse(query, field);
    return new Searches.Request(text, embedding, Filter.ALL, 10, 0, fusion, WAIT_MILLIS);
  }

  private static List<Hit> search(OpenSearches open, String query) {
    return open.searches.search(request(query, null, new float[0], new Fusion.ReciprocalRank()));
  }

  private static List<String> ids(List<Hit> hits) {
    return hits.stream().map(hit -> hit.document().id()).toList();
  }

  @Test
  void search_afterEachWrite_seesItAtOnce() {
    try (var open = new OpenSearches(new MemoryStorage(), folder)) {
      for (int i = 0; i < 30; i++) {
        open.store.put("d" + i, json("{\"t\":\"number word" + i + "\"}"));
        assertThat(ids(search(open, "word" + i))).containsExactly("d" + i);
        if (i % 3 == 0) {
          open.store.put("d" + i, json("{\"t\":\"changed\"}"));
          assertThat(search(open, "word" + i)).isEmpty();
        }
        if (i % 3 == 1) {
          open.store.delete("d" + i);
          assertThat(search(open, "word" + i)).isEmpty();
        }
      }
      assertThat(open.searches.differences(5, WAIT_MILLIS)).isEmpty();
    }
  }

  @Test
  void search_withPhrasesPrefixesAndExclusions_findsWhatIsMeant() {
    try (var open = new OpenSearches(new MemoryStorage(), folder)) {
      open.store.put("a", json("{\"t\":\"The quick brown fox\",\"u\":{\"v\":\"Füße\"}}"));
      open.store.put("b", json("{\"t\":\"brown and quick\",\"l\":[\"fox\",{\"k\":\"hare\"}]}"));
      open.store.put("c", json("{\"t\":\"Ёлка 東京タワー\",\"n\":7}"));
      assertThat(ids(search(open, "\"quick brown\""))).containsExactly("a");
      assertThat(ids(search(open, "QUICK -fox"))).isEmpty();
      assertThat(ids(search(open, "quick -\"quick brown\""))).containsExactly("b");
      assertThat(ids(search(open, "qui*"))).containsExactlyInAnyOrder("a", "b");
      assertThat(ids(search(open, "fusse füsse fuße"))).containsExactly("a");
      assertThat(ids(search(open, "hare"))).containsExactly("b");
      assertThat(ids(search(open, "k"))).isEmpty();
      assertThat(ids(search(open, "елка"))).containsExactly("c");
      assertThat(ids(search(open, "東京"))).containsExactly("c");
      assertThat(search(open, "!!!")).isEmpty();
      assertThat(
              ids(
                  open.searches.search(
                      request("fox", "t", new float[0], new Fusion.ReciprocalRank()))))
          .containsExactly("a");
      Highlight shown = search(open, "brown fox").getFirst().highlights().getFirst();
      assertThat(shown)
          .isEqualTo(
              new Highlight(
                  "t",
                  "The quick brown fox",
                  List.of(new Highlight.Match(10, 15), new Highlight.Match(16, 19))));
    }
  }

  @Test
  void query_thatIsWrong_namesWhatIsAllowed() {
    assertThatThrownBy(() -> TextQuery.parse("-only", null))
        .isInstanceOf(CoreException.class)
        .hasMessageContaining("a word to look for");
    assertThatThrownBy(() -> TextQuery.parse("x".repeat(1_025), null))
        .hasMessageContaining("1024 characters, but is 1025");
    assertThatThrownBy(() -> TextQuery.parse("x ".repeat(65), null))
        .hasMessageContaining("64 words, but has 65");
  }

  @Test
  void index_afterReopening_goesOnFromWhatWasSaved() {
    Storage storage = new MemoryStorage();
    try (var first = new OpenSearches(storage, folder)) {
      first.store.put("a", json("{\"t\":\"alpha\"}"));
      assertThat(ids(search(first, "alpha"))).containsExactly("a");
      first.searches.close();
      first.store.put("b", json("{\"t\":\"alpha beta\"}"));
      try (var again = SearchIndexes.open(storage, first.store, folder)) {
        assertThat(again.status().getFirst().arrivals()).isPositive();
        assertThat(
                ids(again.search(request("beta", null, new float[0], new Fusion.ReciprocalRank()))))
            .containsExactly("b");
        assertThat(again.differences(5, WAIT_MILLIS)).isEmpty();
      }
    }
  }

  @Test
  void index_whoseFolderIsLost_isMadeAnew() throws IOException {
    Storage storage = new MemoryStorage();
    try (var first = new OpenSearches(storage, folder)) {
      first.store.put("a", json("{\"t\":\"alpha\"}"));
      assertThat(search(first, "alpha")).hasSize(1);
      first.searches.close();
      try (var files = Files.list(folder.resolve("text"))) {
        for (Path file : files.toList()) {
          Files.delete(file);
        }
      }
      try (var again = SearchIndexes.open(storage, first.store, folder)) {
        assertThat(again.search(request("alpha", null, new float[0], new Fusion.ReciprocalRank())))
            .hasSize(1);
      }
    }
  }

  @Test
  void search_byWordsAndVector_explainsBothLegs() {
    try (var open = new OpenSearches(new MemoryStorage(), folder)) {
      open.store.putWithEmbedding("a", json("{\"t\":\"alpha alpha\"}"), new float[] {0, 1});
      open.store.putWithEmbedding(
          "b", json("{\"t\":\"alpha and more words\"}"), new float[] {1, 0});
      open.store.putWithEmbedding("c", json("{\"t\":\"gamma\"}"), new float[] {1, 1});
      open.store.put("d", json("{\"t\":\"delta\"}"));
      float[] east = {2, 0};
      List<Hit> hits =
          open.searches.search(request("alpha", null, east, new Fusion.ReciprocalRank()));
      assertThat(ids(hits)).containsExactly("b", "a", "c");
      assertThat(hits.getFirst().score()).isEqualTo(1.0 / 62 + 1.0 / 61);
      assertThat(hits.getFirst().vector()).isEqualTo(new Leg(1, 1.0));
      assertThat(Objects.requireNonNull(hits.getFirst().text()).rank()).isEqualTo(2);
      assertThat(hits.getLast().text()).isNull();
      List<Hit> onlyWords =
          open.searches.search(request("alpha", null, east, new Fusion.Weighted(0)));
      assertThat(ids(onlyWords).getFirst()).isEqualTo("a");
      assertThat(onlyWords.getFirst().score()).isEqualTo(1.0);
      List<Hit> onlyVector =
          open.searches.search(request("alpha", null, east, new Fusion.Weighted(1)));
      assertThat(ids(onlyVector)).containsExactly("b", "c", "a");
      assertThat(onlyVector.get(1).score())
          .isEqualTo(Math.sqrt(0.5), org.assertj.core.api.Assertions.within(1e-6));
    }
  }
}
