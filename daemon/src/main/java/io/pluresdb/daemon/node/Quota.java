package io.pluresdb.daemon.node;

import io.pluresdb.crdt.CoreException;

/**
 * How much of this device a database may take. It binds who writes here; what other devices wrote
 * is taken in all the same, or devices would differ. 0 is no limit.
 *
 * @param bytes on disk, indexes included, {@value #LEAST_BYTES} to {@value #MOST_BYTES}; looked at
 *     once a second
 * @param documents that exist, 1 to {@value #MOST_DOCUMENTS}
 */
public record Quota(long bytes, long documents) {
  public static final long LEAST_BYTES = 1L << 20;
  public static final long MOST_BYTES = 1L << 50;
  public static final long MOST_DOCUMENTS = 1L << 40;

  /** No limit. */
  public static final Quota NONE = new Quota(0, 0);

  public Quota {
    if (bytes != 0 && (bytes < LEAST_BYTES || bytes > MOST_BYTES)) {
      throw CoreException.invalid(
          "quota.bytes must be 0 for none, or "
              + LEAST_BYTES
              + " to "
              + MOST_BYTES
              + ", but is "
              + bytes);
    }
    if (documents < 0 || documents > MOST_DOCUMENTS) {
      throw CoreException.invalid(
          "quota.documents must be 0 for none, or 1 to "
              + MOST_DOCUMENTS
              + ", but is "
              + documents);
    }
  }
}
