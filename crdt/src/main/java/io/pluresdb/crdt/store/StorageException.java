package io.pluresdb.crdt.store;

/** What a storage could not do, split by what the caller may do about it. */
public sealed class StorageException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final String code;

  private StorageException(String code, String message, Throwable cause) {
    super(message, cause);
    this.code = code;
  }

  /** The public error code, as the interfaces document lists it. */
  public String code() {
    return code;
  }

  /** The disk is full: free space and try again; nothing was written. */
  public static final class Full extends StorageException {
    private static final long serialVersionUID = 1;

    public Full(String message, Throwable cause) {
      super("STORAGE_FULL", message, cause);
    }
  }

  /** The storage cannot be opened as it is: locked, damaged, or of a newer format. */
  public static final class OpenFailed extends StorageException {
    private static final long serialVersionUID = 1;

    /**
     * @param code {@code STORAGE_OPEN_FAILED}, {@code STORAGE_LOCKED}, {@code
     *     STORAGE_NEWER_FORMAT}, {@code STORAGE_WAL_CORRUPT_ENTRY} or {@code STORAGE_WAL_MISSING}
     */
    public OpenFailed(String code, String message, Throwable cause) {
      super(code, message, cause);
    }
  }

  /** Reading or writing failed; stop using this storage. */
  public static final class Failed extends StorageException {
    private static final long serialVersionUID = 1;

    public Failed(String message, Throwable cause) {
      super("STORAGE_OPERATION_FAILED", message, cause);
    }
  }
}
