package io.pluresdb.daemon.node;

/** What the node refuses or cannot do, with its public code and the next step. */
public final class NodeException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final String code;
  private final String hint;

  /**
   * @param code public, upper case, for example {@code NODE_UNKNOWN_DATABASE}
   * @param message what was wrong and what is allowed
   * @param hint what to do next
   */
  public NodeException(String code, String message, String hint) {
    super(message);
    this.code = code;
    this.hint = hint;
  }

  public String code() {
    return code;
  }

  public String hint() {
    return hint;
  }
}
