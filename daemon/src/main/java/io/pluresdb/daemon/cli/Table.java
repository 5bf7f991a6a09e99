package io.pluresdb.daemon.cli;

import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;

/** Rows under a heading, in columns as wide as their content. */
final class Table {
  /** Wider cells are cut, except in the last column. */
  private static final int MAX_WIDTH = 64;

  private final List<String[]> rows = new ArrayList<>();

  Table(String... heading) {
    rows.add(heading);
  }

  /** One cell for each column. */
  void row(String... cells) {
    rows.add(cells);
  }

  /** Prints nothing but the heading when there are no rows. */
  void print(PrintStream out) {
    int columns = rows.getFirst().length;
    int[] widths = new int[columns];
    for (String[] row : rows) {
      for (int i = 0; i < columns - 1; i++) {
        row[i] = row[i].length() > MAX_WIDTH ? row[i].substring(0, MAX_WIDTH - 1) + "…" : row[i];
        widths[i] = Math.max(widths[i], row[i].length());
      }
    }
    for (String[] row : rows) {
      var line = new StringBuilder();
      for (int i = 0; i < columns - 1; i++) {
        line.append(row[i]).repeat(' ', widths[i] - row[i].length() + 2);
      }
      out.println(line.append(row[columns - 1]).toString().stripTrailing());
    }
  }
}
