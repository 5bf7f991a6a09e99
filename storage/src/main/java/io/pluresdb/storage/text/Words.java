package io.pluresdb.storage.text;

import java.io.IOException;
import java.text.Normalizer;
import java.util.Locale;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.TokenFilter;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.standard.StandardTokenizer;
import org.apache.lucene.analysis.tokenattributes.CharTermAttribute;

/**
 * Text to words, the same for every language: cut at the word boundaries of Unicode (UAX 29), in
 * lower case, in compatibility form and without the accents of Latin, Greek and Cyrillic letters.
 * No stemming and no stop words, which differ by language.
 */
final class Words extends Analyzer {
  /** Changes whenever the same text would give other words: older indexes are made anew. */
  static final int VERSION = 1;

  /** Unset between the values of one field, so no phrase reaches from one into the next. */
  private static final int GAP = 100;

  @Override
  protected TokenStreamComponents createComponents(String field) {
    var tokenizer = new StandardTokenizer();
    return new TokenStreamComponents(tokenizer, new Folding(tokenizer));
  }

  @Override
  protected TokenStream normalize(String field, TokenStream in) {
    return new Folding(in);
  }

  @Override
  public int getPositionIncrementGap(String field) {
    return GAP;
  }

  private static final class Folding extends TokenFilter {
    private final CharTermAttribute term = addAttribute(CharTermAttribute.class);

    Folding(TokenStream in) {
      super(in);
    }

    @Override
    public boolean incrementToken() throws IOException {
      if (!input.incrementToken()) {
        return false;
      }
      char[] letters = term.buffer();
      int length = term.length();
      boolean ascii = true;
      for (int i = 0; i < length; i++) {
        char c = letters[i];
        ascii &= c < 0x80;
        if (c >= 'A' && c <= 'Z') {
          letters[i] = (char) (c + ('a' - 'A'));
        }
      }
      if (!ascii) {
        String folded = fold(new String(letters, 0, length));
        term.setEmpty().append(folded);
      }
      return true;
    }
  }

  private static String fold(String word) {
    String apart = Normalizer.normalize(word, Normalizer.Form.NFKD);
    var kept = new StringBuilder(apart.length());
    for (int i = 0; i < apart.length(); i++) {
      char c = apart.charAt(i);
      // Only accents: in other scripts such marks are vowels.
      if (c < 0x300 || c > 0x36f) {
        kept.append(c);
      }
    }
    return Normalizer.normalize(kept, Normalizer.Form.NFC).toLowerCase(Locale.ROOT);
  }
}
