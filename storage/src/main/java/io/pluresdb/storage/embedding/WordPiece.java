package io.pluresdb.storage.embedding;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Cuts texts into the pieces of words that a model of BERT's family knows, each with its number (Wu
 * et al., 2016, "Google's Neural Machine Translation System", section 4.1; longest match first, as
 * BERT does it).
 *
 * <p>It reads the {@code tokenizer.json} of Hugging Face's tokenizers where its model is {@code
 * WordPiece}, with BERT's normalizer and pre-tokenizer.
 */
final class WordPiece {
  /** Pieces of a text that are looked at, with those at its ends. */
  static final int MAX_PIECES = 512;

  /** Characters of a word that is cut; a longer one is unknown. */
  private static final int MAX_WORD = 100;

  private static final int MAX_FILE_BYTES = 64 << 20;
  private static final JsonMapper JSON = JsonMapper.builder().build();

  private final Map<String, Integer> vocabulary;
  private final String continuation;
  private final int unknown;
  private final int begin;
  private final int end;
  private final boolean lowercase;
  private final boolean stripAccents;

  private WordPiece(
      Map<String, Integer> vocabulary,
      String continuation,
      int unknown,
      int begin,
      int end,
      boolean lowercase,
      boolean stripAccents) {
    this.vocabulary = vocabulary;
    this.continuation = continuation;
    this.unknown = unknown;
    this.begin = begin;
    this.end = end;
    this.lowercase = lowercase;
    this.stripAccents = stripAccents;
  }

  /**
   * Reads a {@code tokenizer.json}.
   *
   * @throws EmbeddingException when it cannot be read or is of another kind
   */
  static WordPiece load(Path file) {
    JsonNode root;
    try {
      if (Files.size(file) > MAX_FILE_BYTES) {
        throw new EmbeddingException(file + " must have at most " + MAX_FILE_BYTES + " bytes");
      }
      root = JSON.readTree(file.toFile());
    } catch (JacksonException e) {
      throw new EmbeddingException(file + " is no JSON: " + e.getOriginalMessage(), e);
    } catch (IOException e) {
      throw new EmbeddingException(file + " cannot be read: " + e, e);
    }
    JsonNode model = root.path("model");
    String type = model.path("type").asText("WordPiece");
    JsonNode words = model.path("vocab");
    if (!type.equals("WordPiece") || !words.isObject()) {
      throw new EmbeddingException(
          file + ": the tokenizer must be a WordPiece with a vocabulary, but is " + type);
    }
    var vocabulary = new HashMap<String, Integer>();
    words.properties().forEach(entry -> vocabulary.put(entry.getKey(), entry.getValue().asInt()));
    JsonNode normalizer = root.path("normalizer");
    boolean lowercase = normalizer.path("lowercase").asBoolean(true);
    JsonNode strip = normalizer.path("strip_accents");
    return new WordPiece(
        vocabulary,
        model.path("continuing_subword_prefix").asText("##"),
        special(file, vocabulary, model.path("unk_token").asText("[UNK]")),
        special(file, vocabulary, "[CLS]"),
        special(file, vocabulary, "[SEP]"),
        lowercase,
        strip.isBoolean() ? strip.asBoolean() : lowercase);
  }

  private static int special(Path file, Map<String, Integer> vocabulary, String token) {
    Integer number = vocabulary.get(token);
    if (number == null) {
      throw new EmbeddingException(file + ": the vocabulary lacks " + token);
    }
    return number;
  }

  /** The numbers of a text's pieces between those of its ends; 2 to {@link #MAX_PIECES}. */
  long[] pieces(String text) {
    var numbers = new ArrayList<Integer>();
    numbers.add(begin);
    for (String word : words(normalized(text))) {
      cut(word, numbers);
      if (numbers.size() >= MAX_PIECES - 1) {
        break;
      }
    }
    List<Integer> kept = numbers.subList(0, Math.min(numbers.size(), MAX_PIECES - 1));
    long[] all = new long[kept.size() + 1];
    for (int i = 0; i < kept.size(); i++) {
      all[i] = kept.get(i);
    }
    all[kept.size()] = end;
    return all;
  }

  private String normalized(String text) {
    String result = text;
    if (stripAccents) {
      result = Normalizer.normalize(result, Normalizer.Form.NFD).replaceAll("\\p{Mn}+", "");
    }
    return lowercase ? result.toLowerCase(Locale.ROOT) : result;
  }

  /** Runs of characters; punctuation and ideographs are words of their own. */
  private static List<String> words(String text) {
    var words = new ArrayList<String>();
    var word = new StringBuilder();
    text.codePoints()
        .forEach(
            c -> {
              boolean alone = isPunctuation(c) || Character.isIdeographic(c);
              boolean blank =
                  Character.isWhitespace(c)
                      || Character.isSpaceChar(c)
                      || Character.isISOControl(c);
              if ((alone || blank) && !word.isEmpty()) {
                words.add(word.toString());
                word.setLength(0);
              }
              if (alone) {
                words.add(Character.toString(c));
              } else if (!blank && c != 0xfffd) {
                word.appendCodePoint(c);
              }
            });
    if (!word.isEmpty()) {
      words.add(word.toString());
    }
    return words;
  }

  /** As BERT says: also those ASCII symbols that Unicode calls otherwise. */
  private static boolean isPunctuation(int c) {
    if ((c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96)) {
      return true;
    }
    return switch (Character.getType(c)) {
      case Character.CONNECTOR_PUNCTUATION,
          Character.DASH_PUNCTUATION,
          Character.START_PUNCTUATION,
          Character.END_PUNCTUATION,
          Character.INITIAL_QUOTE_PUNCTUATION,
          Character.FINAL_QUOTE_PUNCTUATION,
          Character.OTHER_PUNCTUATION ->
          true;
      default -> c >= 123 && c <= 126;
    };
  }

  /** Takes the longest known beginning again and again; a word with a rest is unknown. */
  private void cut(String word, List<Integer> numbers) {
    int length = word.length();
    if (word.codePointCount(0, length) > MAX_WORD) {
      numbers.add(unknown);
      return;
    }
    var found = new ArrayList<Integer>();
    for (int from = 0; from < length; ) {
      Integer number = null;
      int to = length;
      for (; to > from && number == null; to -= number == null ? 1 : 0) {
        String piece = word.substring(from, to);
        number = vocabulary.get(from == 0 ? piece : continuation + piece);
      }
      if (number == null) {
        numbers.add(unknown);
        return;
      }
      found.add(number);
      from = to;
    }
    numbers.addAll(found);
  }
}
