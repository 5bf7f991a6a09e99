package io.pluresdb.daemon.config;

/** A configuration the daemon does not start with; the message says what to correct. */
public final class ConfigException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** The public error code of all of them. */
  public static final String CODE = "CONFIG_INVALID";

  private final String hint;

  public ConfigException(String message, String hint) {
    super(message);
    this.hint = hint;
  }

  public String hint() {
    return hint;
  }
}
