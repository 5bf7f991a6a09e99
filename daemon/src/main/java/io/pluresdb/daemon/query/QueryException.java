package io.pluresdb.daemon.query;

/** A query that is not understood; the message says where, what was found and what is allowed. */
public final class QueryException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final String code;

  private QueryException(String code, String message) {
    super(message);
    this.code = code;
  }

  /** Text that is no SQL, or SQL that is not spoken here. */
  static QueryException sql(int position, String message) {
    return new QueryException("CORE_SQLITE_ERROR", "SQL at character " + position + ": " + message);
  }

  /** SQL that cannot be carried out. */
  static QueryException sql(String message) {
    return new QueryException("CORE_SQLITE_ERROR", message);
  }

  /** Text that is no pipeline. */
  static QueryException pipeline(int position, String message) {
    return pipeline("pipeline at character " + position + ": " + message);
  }

  /** Steps that are no pipeline. */
  static QueryException pipeline(String message) {
    return new QueryException("CORE_INVALID_INPUT", message);
  }

  /** The public error code. */
  public String code() {
    return code;
  }
}
