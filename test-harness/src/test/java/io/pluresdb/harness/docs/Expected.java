package io.pluresdb.harness.docs;

import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Compares what a page shows with what was printed. */
final class Expected {
  private static final String ANYTHING = "…";

  private Expected() {}

  /**
   * Whether all of {@code printed} fits, line by line, spaces at the ends aside. {@code …} stands
   * for any characters, alone on a line for any number of lines.
   */
  static boolean fits(List<String> expected, List<String> printed) {
    if (expected.isEmpty()) {
      return printed.isEmpty();
    }
    String first = expected.getFirst().strip();
    List<String> rest = expected.subList(1, expected.size());
    if (first.equals(ANYTHING)) {
      return fits(rest, printed)
          || (!printed.isEmpty() && fits(expected, printed.subList(1, printed.size())));
    }
    return !printed.isEmpty()
        && pattern(first).matcher(printed.getFirst().strip()).matches()
        && fits(rest, printed.subList(1, printed.size()));
  }

  private static Pattern pattern(String line) {
    return Pattern.compile(
        Arrays.stream(line.split(ANYTHING, -1))
            .map(Pattern::quote)
            .collect(Collectors.joining(".*")));
  }
}
