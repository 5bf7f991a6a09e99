package io.pluresdb.crdt;

/**
 * A request this database cannot carry out as it was put; nothing was changed.
 *
 * <p>The message names what was wrong and what is allowed; {@link #code()} is stable and public.
 */
public final class CoreException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** What the caller can do about it. */
  public enum Kind {
    /** Correct the request. */
    INVALID_INPUT("CORE_INVALID_INPUT"),
    /** Correct the encoding of the document. */
    SERIALIZATION("CORE_SERIALIZATION_ERROR"),
    /** The document does not exist. */
    NOT_FOUND("CORE_NODE_NOT_FOUND"),
    /** No change of that name is known. */
    VERSION_NOT_FOUND("CORE_VERSION_NOT_FOUND"),
    /** Nothing competes at that path. */
    CONFLICT_NOT_FOUND("CORE_CONFLICT_NOT_FOUND"),
    /** The document is not as the caller thinks it is. */
    PRECONDITION_FAILED("CORE_PRECONDITION_FAILED"),
    /** The changes that would tell are no longer kept. */
    HISTORY_TRUNCATED("CORE_HISTORY_TRUNCATED"),
    /** The document, batch or id is over a named limit. */
    TOO_LARGE("CORE_LIMIT_EXCEEDED"),
    /** This device may not do that in this database, or not any more. */
    NOT_ALLOWED("CORE_NOT_ALLOWED"),
    /** This replica was put back to an earlier state; connect it with another device first. */
    BEHIND("CORE_REPLICA_BEHIND"),
    /** This database does not do that. */
    FEATURE_DISABLED("CORE_FEATURE_DISABLED"),
    /** The replica has been closed; open it again. */
    CLOSED("CORE_CLOSED"),
    /** More requests wait than the named limit; try again. */
    OVERLOADED("CORE_OVERLOADED");

    private final String code;

    Kind(String code) {
      this.code = code;
    }

    /** The public error code. */
    public String code() {
      return code;
    }
  }

  private final Kind kind;

  public CoreException(Kind kind, String message) {
    super(message);
    this.kind = kind;
  }

  public CoreException(Kind kind, String message, Throwable cause) {
    super(message, cause);
    this.kind = kind;
  }

  public Kind kind() {
    return kind;
  }

  public String code() {
    return kind.code();
  }

  public static CoreException invalid(String message) {
    return new CoreException(Kind.INVALID_INPUT, message);
  }

  public static CoreException notFound(String id) {
    return new CoreException(Kind.NOT_FOUND, "document \"" + id + "\" does not exist");
  }

  public static CoreException tooLarge(String message) {
    return new CoreException(Kind.TOO_LARGE, message);
  }
}
