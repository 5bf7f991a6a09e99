package io.pluresdb.storage.embedding;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OnnxEmbedderTest {
  @TempDir Path folder;

  private static int word(String word) {
    return TinyModel.WORDS.indexOf(word);
  }

  @Test
  void pieces_areTheLongestKnownBeginnings() throws IOException {
    WordPiece words = WordPiece.load(TinyModel.write(folder).resolve("tokenizer.json"));
    assertThat(words.pieces("Cats, DOG!"))
        .containsExactly(
            word("[CLS]"),
            word("cat"),
            word("##s"),
            word("[UNK]"),
            word("dog"),
            word("!"),
            word("[SEP]"));
    assertThat(words.pieces("é catx"))
        .as("accents go; a word with a rest is unknown")
        .containsExactly(word("[CLS]"), word("e"), word("[UNK]"), word("[SEP]"));
    assertThat(words.pieces("")).containsExactly(word("[CLS]"), word("[SEP]"));
    assertThat(words.pieces("cat ".repeat(2_000))).hasSize(WordPiece.MAX_PIECES);
    assertThat(words.pieces("c".repeat(101))).contains(word("[UNK]"));
  }

  @Test
  void embed_isTheMeanOverThePieces_ofLengthOne() throws IOException {
    try (EmbedText embedder = OnnxEmbedder.load(TinyModel.write(folder.resolve("tiny")))) {
      assertThat(embedder.name()).isEqualTo("tiny");
      List<float[]> vectors = embedder.embed(List.of("cat", "cats dog dog"));
      float[] cat = vectors.get(0);
      assertThat(cat).hasSize(TinyModel.DIMENSIONS);
      assertThat(cat[word("cat")]).isCloseTo((float) (1 / Math.sqrt(3)), within(1e-6f));
      assertThat(cat[word("dog")]).as("padding does not count").isZero();
      assertThat(cat[word("[PAD]")]).isZero();
      float[] both = vectors.get(1);
      assertThat(both[word("dog")]).isCloseTo(2 * both[word("cat")], within(1e-6f));
      double squares = 0;
      for (float value : both) {
        squares += value * value;
      }
      assertThat(squares).isCloseTo(1, within(1e-6));
      assertThat(embedder.embed(List.of("cat")).getFirst())
          .as("alone as among others")
          .containsExactly(cat, within(1e-6f));
    }
  }

  @Test
  void load_ofWhatIsNoModel_saysWhichFile() throws IOException {
    assertThatThrownBy(() -> OnnxEmbedder.load(folder)).hasMessageContaining("model.onnx");
    Path tiny = TinyModel.write(folder.resolve("tiny"));
    Files.writeString(
        tiny.resolve("tokenizer.json"), "{\"model\":{\"type\":\"BPE\",\"vocab\":{}}}");
    assertThatThrownBy(() -> OnnxEmbedder.load(tiny))
        .isInstanceOf(EmbeddingException.class)
        .hasMessageContaining("must be a WordPiece")
        .hasMessageContaining("BPE");
    TinyModel.write(tiny);
    Files.write(tiny.resolve("model.onnx"), new byte[] {1, 2, 3});
    assertThatThrownBy(() -> OnnxEmbedder.load(tiny))
        .isInstanceOf(EmbeddingException.class)
        .hasMessageContaining("cannot be loaded");
  }
}
