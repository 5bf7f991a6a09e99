package io.pluresdb.daemon.api;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.daemon.node.NodeException;
import io.pluresdb.storage.backup.BackupException;
import io.pluresdb.storage.crypto.EncryptionException;
import io.pluresdb.storage.search.IndexBehindException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;

/** A request that was not carried out, as the interfaces show it: status, code, message, hint. */
public final class ApiException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final int status;
  private final String code;
  private final String hint;

  /**
   * @param status HTTP status, 400 to 599
   * @param code public, upper case, for example {@code API_UNKNOWN_ROUTE}
   * @param message what was wrong and what is allowed
   * @param hint what to do next
   */
  public ApiException(int status, String code, String message, String hint) {
    super(message);
    this.status = status;
    this.code = code;
    this.hint = hint;
  }

  private ApiException(int status, String code, String hint, Throwable cause) {
    super(String.valueOf(cause.getMessage()), cause);
    this.status = status;
    this.code = code;
    this.hint = hint;
  }

  public int status() {
    return status;
  }

  public String code() {
    return code;
  }

  public String hint() {
    return hint;
  }

  /** {@link Throwable#getMessage}, which is never null here. */
  public String message() {
    return String.valueOf(getMessage());
  }

  /** A 400 that the caller corrects. */
  static ApiException invalid(String message) {
    return new ApiException(
        400, "CORE_INVALID_INPUT", message, "docs/reference/http.md lists what each route takes");
  }

  /** The body's JSON cannot be read. */
  static ApiException malformed(String message) {
    return new ApiException(
        400, "CORE_SERIALIZATION_ERROR", message, "send one JSON value in UTF-8 (RFC 8259)");
  }

  /** A 413. {@code setting} names the limit. */
  static ApiException tooLarge(String what, long limitBytes, String advice) {
    return new ApiException(
        413, "CORE_LIMIT_EXCEEDED", what + " must be at most " + limitBytes + " bytes", advice);
  }

  /**
   * Whatever a node or store threw, with its status and hint; an exception nobody expected becomes
   * a 500 {@code API_INTERNAL_ERROR} that does not show its message.
   */
  public static ApiException of(Throwable thrown) {
    return switch (thrown) {
      case ApiException api -> api;
      case CompletionException wrapper when wrapper.getCause() != null -> of(wrapper.getCause());
      case ExecutionException wrapper when wrapper.getCause() != null -> of(wrapper.getCause());
      case CoreException core -> ofCore(core);
      case StorageException storage -> ofStorage(storage);
      case NodeException node ->
          new ApiException(nodeStatus(node.code()), node.code(), node.hint(), node);
      case BackupException backup ->
          new ApiException(
              backup.code().equals("BACKUP_FAILED") ? 500 : 409,
              backup.code(),
              backup.hint(),
              backup);
      case EncryptionException encryption ->
          new ApiException(403, encryption.code(), encryption.hint(), encryption);
      case IndexBehindException behind ->
          new ApiException(
              503,
              IndexBehindException.CODE,
              "try again in a moment; indexes shows how far each one is",
              behind);
      default -> {
        var internal =
            new ApiException(
                500,
                "API_INTERNAL_ERROR",
                "the daemon met an error it does not know: " + thrown.getClass().getSimpleName(),
                "its log has the details; please report it");
        internal.initCause(thrown);
        yield internal;
      }
    };
  }

  private static ApiException ofCore(CoreException core) {
    return switch (core.kind()) {
      case INVALID_INPUT -> new ApiException(400, core.code(), "correct the request", core);
      case SERIALIZATION -> new ApiException(400, core.code(), "correct the JSON", core);
      case NOT_FOUND ->
          new ApiException(404, core.code(), "list shows the documents that exist", core);
      case VERSION_NOT_FOUND ->
          new ApiException(404, core.code(), "history shows the versions of a document", core);
      case CONFLICT_NOT_FOUND ->
          new ApiException(404, core.code(), "conflicts shows where values compete", core);
      case HISTORY_TRUNCATED -> new ApiException(410, core.code(), "ask for a later moment", core);
      case TOO_LARGE ->
          new ApiException(413, core.code(), "split it into several documents or batches", core);
      case NOT_ALLOWED ->
          new ApiException(
              403, core.code(), "devices shows the roles; an admin can change them", core);
      case BEHIND ->
          new ApiException(
              409,
              core.code(),
              "connect it with another device, peers shows them; then again",
              core);
      case FEATURE_DISABLED ->
          new ApiException(400, core.code(), "docs/design/encryption.md has the reasons", core);
      case CLOSED -> new ApiException(503, core.code(), "start the daemon again", core);
      case OVERLOADED ->
          new ApiException(429, core.code(), "try again in a moment, with fewer at once", core);
    };
  }

  private static ApiException ofStorage(StorageException storage) {
    if (storage instanceof StorageException.Full) {
      return new ApiException(507, storage.code(), "free disk space and try again", storage);
    }
    if (storage instanceof StorageException.OpenFailed) {
      String hint =
          storage.code().equals("STORAGE_LOCKED")
              ? "stop the process that has it open, or send the command to its daemon"
              : "check the data directory and its permissions";
      return new ApiException(503, storage.code(), hint, storage);
    }
    return new ApiException(
        500, storage.code(), "check the disk, then restart the daemon", storage);
  }

  private static int nodeStatus(String code) {
    return switch (code) {
      case "NODE_UNKNOWN_DATABASE",
          "NODE_UNKNOWN_DEVICE",
          "NODE_UNKNOWN_ADDRESS",
          "NODE_PEER_NOT_CONNECTED" ->
          404;
      case "NODE_NOT_ALLOWED" -> 403;
      case "NODE_INVITE_INVALID" -> 400;
      case "NODE_INVITE_EXPIRED" -> 410;
      case "NODE_PEER_UNREACHABLE" -> 504;
      default -> 409;
    };
  }

  /** The body of an error answer. */
  byte[] json() {
    return new JsonWriter()
        .beginObject()
        .name("error")
        .beginObject()
        .name("code")
        .string(code)
        .name("message")
        .string(message())
        .name("hint")
        .string(hint)
        .endObject()
        .endObject()
        .toByteArray();
  }
}
