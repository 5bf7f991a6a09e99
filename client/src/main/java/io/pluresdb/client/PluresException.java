package io.pluresdb.client;

/**
 * What a daemon refused, or {@code API_UNREACHABLE} with status 503 when it does not answer.
 * docs/reference/errors.md lists the codes.
 */
public final class PluresException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final int status;
  private final String code;
  private final String hint;

  PluresException(int status, String code, String message, String hint) {
    super(message);
    this.status = status;
    this.code = code;
    this.hint = hint;
  }

  PluresException(Throwable cause) {
    super("the daemon does not answer: " + cause.getMessage(), cause);
    status = 503;
    code = "API_UNREACHABLE";
    hint = "see whether it still runs, then try again";
  }

  /** The HTTP status. */
  public int status() {
    return status;
  }

  public String code() {
    return code;
  }

  public String hint() {
    return hint;
  }
}
