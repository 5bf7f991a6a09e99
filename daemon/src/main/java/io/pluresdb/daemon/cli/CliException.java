package io.pluresdb.daemon.cli;

/** Something the person at the command line can correct. */
final class CliException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final String code;
  private final String hint;
  private final int exitCode;

  CliException(int exitCode, String code, String message, String hint) {
    super(message);
    this.exitCode = exitCode;
    this.code = code;
    this.hint = hint;
  }

  /** An option or argument that cannot be used. */
  static CliException usage(String message, String hint) {
    return new CliException(Main.USAGE, "CLI_USAGE", message, hint);
  }

  /** A file that cannot be read or written. */
  static CliException file(String message, String hint) {
    return new CliException(Main.FAILURE, "CLI_FILE", message, hint);
  }

  String code() {
    return code;
  }

  String hint() {
    return hint;
  }

  int exitCode() {
    return exitCode;
  }
}
