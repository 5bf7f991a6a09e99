package io.pluresdb.storage.text;

import io.pluresdb.crdt.CoreException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a text search looks for: words, of which a document with more, rarer ones comes first.
 *
 * <p>{@code "in quotes"} stands for words in that order, {@code begin*} for every word that begins
 * so, {@code -without} for documents that do not have the word or phrase.
 *
 * @param field the only field to look in, dotted; null for all
 */
public record TextQuery(List<Part> parts, @Nullable String field) {
  /** Longest query, in UTF-16 units. */
  public static final int MAX_LENGTH = 1_024;

  /** Most words and phrases. */
  public static final int MAX_PARTS = 64;

  /** A word or phrase as it was written. */
  sealed interface Part {
    String text();

    boolean excluded();
  }

  record Phrase(String text, boolean excluded) implements Part {}

  record Prefix(String text, boolean excluded) implements Part {}

  /**
   * Reads a query.
   *
   * @throws CoreException when it is empty, only excludes, or is over a limit
   */
  public static TextQuery parse(String text, @Nullable String field) {
    if (text.length() > MAX_LENGTH) {
      throw CoreException.invalid(
          "query must be at most " + MAX_LENGTH + " characters, but is " + text.length());
    }
    var parts = new ArrayList<Part>();
    for (int i = 0; i < text.length(); ) {
      if (Character.isWhitespace(text.charAt(i))) {
        i++;
        continue;
      }
      boolean excluded = text.charAt(i) == '-' && i + 1 < text.length();
      int from = excluded ? i + 1 : i;
      int end;
      if (text.charAt(from) == '"') {
        end = text.indexOf('"', from + 1);
        end = end < 0 ? text.length() : end;
        parts.add(new Phrase(text.substring(from + 1, end), excluded));
        i = end + 1;
      } else {
        end = from;
        while (end < text.length() && !Character.isWhitespace(text.charAt(end))) {
          end++;
        }
        boolean prefix = end - from > 1 && text.charAt(end - 1) == '*';
        String word = text.substring(from, prefix ? end - 1 : end);
        parts.add(prefix ? new Prefix(word, excluded) : new Phrase(word, excluded));
        i = end;
      }
    }
    if (parts.size() > MAX_PARTS) {
      throw CoreException.invalid(
          "query must have at most " + MAX_PARTS + " words, but has " + parts.size());
    }
    if (parts.stream().allMatch(Part::excluded)) {
      throw CoreException.invalid("query must have a word to look for");
    }
    return new TextQuery(List.copyOf(parts), field);
  }
}
