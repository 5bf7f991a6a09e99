package io.pluresdb.storage.backup;

/** A backup that was not made or is not to be used; what was there before is as it was. */
public final class BackupException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final String code;
  private final String hint;

  /**
   * @param code {@code BACKUP_DAMAGED}, {@code BACKUP_NOT_FOUND}, {@code BACKUP_EXISTS}, {@code
   *     BACKUP_NEWER_FORMAT}, {@code BACKUP_WITHOUT_KEYS}, {@code BACKUP_TARGET_EXISTS} or {@code
   *     BACKUP_FAILED}
   * @param message what was wrong, with the file it is about
   * @param hint what to do next
   */
  public BackupException(String code, String message, String hint) {
    super(message);
    this.code = code;
    this.hint = hint;
  }

  static BackupException damaged(String file, String how) {
    return new BackupException(
        "BACKUP_DAMAGED",
        "the backup is damaged: " + file + " " + how,
        "take another backup, or another copy of this one");
  }

  static BackupException failed(Object file, Exception cause) {
    var failure =
        new BackupException(
            "BACKUP_FAILED",
            file + " cannot be read or written: " + cause,
            "check the disk and its room, then repeat the command");
    failure.initCause(cause);
    return failure;
  }

  public String code() {
    return code;
  }

  public String hint() {
    return hint;
  }
}
