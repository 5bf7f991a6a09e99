package io.pluresdb.storage.search;

import org.jspecify.annotations.Nullable;

/** An index does not hold yet what had been written when the search began: try again. */
public final class IndexBehindException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** The code of this error. */
  public static final String CODE = "SEARCH_INDEX_BEHIND";

  IndexBehindException(String index, long arrivals, long wanted, @Nullable RuntimeException cause) {
    super(
        index
            + " holds "
            + arrivals
            + " of "
            + wanted
            + " changes"
            + (cause == null ? "" : " and cannot follow: " + cause.getMessage()),
        cause);
  }
}
