package io.pluresdb.daemon.config;

import java.util.Collection;
import java.util.Comparator;

/** The allowed word that is most like a mistyped one, for error messages. */
public final class Nearest {
  private Nearest() {}

  /**
   * The word of {@code allowed} with the least edit distance; the first of several in their order.
   *
   * @param allowed one word or more
   */
  public static String to(String word, Collection<String> allowed) {
    return allowed.stream().min(Comparator.comparingInt(a -> distance(word, a))).orElseThrow();
  }

  /** Levenshtein distance, one row at a time. */
  private static int distance(String a, String b) {
    int[] row = new int[b.length() + 1];
    for (int j = 0; j <= b.length(); j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int replace = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(replace, 1 + Math.min(row[j], row[j - 1]));
      }
    }
    return row[b.length()];
  }
}
