package io.pluresdb.storage.text;

import io.pluresdb.storage.text.Highlight.Match;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.tokenattributes.CharTermAttribute;
import org.apache.lucene.analysis.tokenattributes.OffsetAttribute;
import org.jspecify.annotations.Nullable;

/** Finds the words of a query in the text of a document. */
final class Highlighter {
  /** Longest piece of text, in UTF-16 units, before it is widened to whole words. */
  private static final int PIECE = 200;

  /** Most pieces of a document. */
  private static final int MAX_PIECES = 3;

  private final Words words;
  private final Set<String> terms;
  private final List<String> prefixes;
  private final @Nullable String field;

  Highlighter(Words words, Set<String> terms, List<String> prefixes, @Nullable String field) {
    this.words = words;
    this.terms = terms;
    this.prefixes = prefixes;
    this.field = field;
  }

  private record Found(int from, int to, String term) {}

  private record Piece(Highlight highlight, int distinct) {}

  /** The best pieces of a document, best first; none when it has none of the words. */
  List<Highlight> of(byte[] json) {
    var pieces = new ArrayList<Piece>();
    TextFields.of(
        json,
        (name, text) -> {
          if (field == null || field.equals(name)) {
            List<Found> found = find(text);
            if (!found.isEmpty()) {
              pieces.add(best(name, text, found));
            }
          }
        });
    pieces.sort((a, b) -> Integer.compare(b.distinct, a.distinct));
    return pieces.stream().limit(MAX_PIECES).map(Piece::highlight).toList();
  }

  private List<Found> find(String text) {
    var found = new ArrayList<Found>();
    try (TokenStream stream = words.tokenStream("", text)) {
      CharTermAttribute term = stream.addAttribute(CharTermAttribute.class);
      OffsetAttribute offset = stream.addAttribute(OffsetAttribute.class);
      stream.reset();
      while (stream.incrementToken()) {
        String word = term.toString();
        if (terms.contains(word) || prefixes.stream().anyMatch(word::startsWith)) {
          found.add(new Found(offset.startOffset(), offset.endOffset(), word));
        }
      }
      stream.end();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return found;
  }

  /** The piece with the most different words, the first of those. */
  private static Piece best(String name, String text, List<Found> found) {
    int bestAt = 0;
    int most = 0;
    for (int i = 0; i < found.size(); i++) {
      var distinct = new HashSet<String>();
      for (int j = i; j < found.size() && found.get(j).to - found.get(i).from <= PIECE; j++) {
        distinct.add(found.get(j).term);
      }
      if (distinct.size() > most) {
        most = distinct.size();
        bestAt = i;
      }
    }
    Found first = found.get(bestAt);
    int last = bestAt;
    while (last + 1 < found.size() && found.get(last + 1).to - first.from <= PIECE) {
      last++;
    }
    int room = Math.max(0, PIECE - (found.get(last).to - first.from));
    int from = wordStart(text, Math.max(0, first.from - room / 3), first.from);
    int to = wordEnd(text, Math.min(text.length(), from + PIECE), found.get(last).to);
    var matches = new ArrayList<Match>();
    for (Found one : found.subList(bestAt, last + 1)) {
      matches.add(
          new Match(text.codePointCount(from, one.from), text.codePointCount(from, one.to)));
    }
    return new Piece(new Highlight(name, text.substring(from, to), matches), most);
  }

  private static int wordStart(String text, int at, int latest) {
    int start = at;
    while (start > 0 && start < latest && !Character.isWhitespace(text.charAt(start - 1))) {
      start++;
    }
    return start;
  }

  private static int wordEnd(String text, int at, int earliest) {
    int end = Math.max(at, earliest);
    while (end < text.length() && end > earliest && !Character.isWhitespace(text.charAt(end))) {
      end--;
    }
    return end;
  }
}
