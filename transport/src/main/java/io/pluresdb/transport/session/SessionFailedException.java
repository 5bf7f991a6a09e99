package io.pluresdb.transport.session;

/** A dialled session that was never established. */
public final class SessionFailedException extends Exception {
  private static final long serialVersionUID = 1;

  @SuppressWarnings("serial")
  private final CloseReason reason;

  public SessionFailedException(CloseReason reason) {
    super("no session: " + reason, null, false, false);
    this.reason = reason;
  }

  public CloseReason reason() {
    return reason;
  }
}
