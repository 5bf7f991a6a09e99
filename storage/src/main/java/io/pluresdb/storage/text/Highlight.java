package io.pluresdb.storage.text;

import java.util.List;

/**
 * A piece of a document's text with words that were looked for.
 *
 * @param field dotted name
 * @param text the piece
 * @param matches where the words are in it: {@code [from, to)} in Unicode code points
 */
public record Highlight(String field, String text, List<Match> matches) {
  /** A word that was found. */
  public record Match(int from, int to) {}
}
