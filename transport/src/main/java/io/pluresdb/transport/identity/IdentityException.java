package io.pluresdb.transport.identity;

import org.jspecify.annotations.Nullable;

/** Why a device key file could not be used, split by what the operator can do about it. */
public abstract sealed class IdentityException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final String code;

  private IdentityException(String code, String message, @Nullable Throwable cause) {
    super(message, cause);
    this.code = code;
  }

  /** The public error code. */
  public String code() {
    return code;
  }

  /** There is no key file: create an identity. */
  public static final class NotFound extends IdentityException {
    private static final long serialVersionUID = 1;

    public NotFound(String message) {
      super("IDENTITY_NOT_FOUND", message, null);
    }
  }

  /** A key file is there already; nothing was written over it. */
  public static final class Exists extends IdentityException {
    private static final long serialVersionUID = 1;

    public Exists(String message) {
      super("IDENTITY_EXISTS", message, null);
    }
  }

  /** Others may read or write the key file: narrow its permissions. */
  public static final class Exposed extends IdentityException {
    private static final long serialVersionUID = 1;

    public Exposed(String message) {
      super("IDENTITY_EXPOSED", message, null);
    }
  }

  /** The file is not a device key: restore it from a backup. */
  public static final class Damaged extends IdentityException {
    private static final long serialVersionUID = 1;

    public Damaged(String message) {
      super("IDENTITY_DAMAGED", message, null);
    }
  }

  /** Reading or writing failed. */
  public static final class Failed extends IdentityException {
    private static final long serialVersionUID = 1;

    public Failed(String message, Throwable cause) {
      super("IDENTITY_IO_FAILED", message, cause);
    }
  }
}
