package io.pluresdb.daemon.query;

import io.pluresdb.storage.index.DocumentQuery;

/** The most of everything in a query; docs/reference/query.md lists them. */
public final class QueryLimits {
  /** Characters of a query. */
  public static final int MAX_CHARACTERS = 65_536;

  /** Parentheses, brackets and {@code not} around each other. */
  public static final int MAX_DEPTH = 32;

  /** Comparisons of a query. */
  public static final int MAX_COMPARISONS = 256;

  /** Values of one {@code IN}. */
  public static final int MAX_VALUES = 1_000;

  /** Parameters of a statement. */
  public static final int MAX_PARAMETERS = 1_000;

  /** Columns, sort fields and steps. */
  public static final int MAX_COLUMNS = 64;

  /** Rows, nodes or groups of an answer, skipped ones included. */
  public static final int MAX_ROWS = DocumentQuery.MAX_SORTED;

  /** Bytes of JSON of an answer, and of what is held to sort or group. */
  public static final int MAX_ANSWER_BYTES = 4 << 20;

  /** Queries that are carried out at once; others wait. */
  public static final int MAX_AT_ONCE = 4;

  private QueryLimits() {}
}
