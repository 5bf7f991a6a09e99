package io.pluresdb.daemon.migration;

/** What keeps a database from being read, with what to do. */
public final class MigrationException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final String hint;

  MigrationException(String message, String hint) {
    super(message);
    this.hint = hint;
  }

  public String hint() {
    return hint;
  }
}
