package io.pluresdb.daemon.access;

/** What a caller may not do, or asked of tokens that cannot be. */
public final class AccessException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final int status;
  private final String code;
  private final String hint;
  private final long retryAfterSeconds;

  public AccessException(
      int status, String code, String message, String hint, long retryAfterSeconds) {
    super(message);
    this.status = status;
    this.code = code;
    this.hint = hint;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  AccessException(int status, String code, String message, String hint) {
    this(status, code, message, hint, 0);
  }

  static AccessException invalid(String message) {
    return new AccessException(400, "CORE_INVALID_INPUT", message, "correct the request");
  }

  /** The HTTP status that says it. */
  public int status() {
    return status;
  }

  public String code() {
    return code;
  }

  public String hint() {
    return hint;
  }

  /** When to try again; 0 when that is of no use. */
  public long retryAfterSeconds() {
    return retryAfterSeconds;
  }
}
