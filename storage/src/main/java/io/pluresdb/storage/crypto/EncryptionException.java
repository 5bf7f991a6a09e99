package io.pluresdb.storage.crypto;

/** An encrypted data directory that cannot be unlocked or changed; it is as it was. */
public final class EncryptionException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final String code;
  private final String hint;

  /**
   * @param code {@code ENCRYPTION_WRONG_PASSWORD}, {@code ENCRYPTION_WRONG_KEY_FILE}, {@code
   *     ENCRYPTION_SECRET_NEEDED}, {@code ENCRYPTION_SECRET_REFUSED}, {@code
   *     ENCRYPTION_METADATA_DAMAGED}, {@code ENCRYPTION_FILE_DAMAGED}, {@code
   *     ENCRYPTION_NOT_ENABLED}, {@code ENCRYPTION_ENABLED_ALREADY}, {@code ENCRYPTION_PLAIN_FILES}
   * @param message what was wrong and what is allowed
   * @param hint what to do next
   */
  public EncryptionException(String code, String message, String hint) {
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
