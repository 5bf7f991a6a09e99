package io.pluresdb.daemon.api;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.daemon.access.AccessException;
import io.pluresdb.daemon.node.NodeException;
import io.pluresdb.daemon.query.QueryException;
import io.pluresdb.storage.backup.BackupException;
import io.pluresdb.storage.crypto.EncryptionException;
import io.pluresdb.storage.embedding.EmbeddingException;
import io.pluresdb.storage.search.IndexBehindException;
import io.pluresdb.transport.identity.IdentityException;
import io.pluresdb.transport.net.ListenFailedException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;

/** A request that was not carried out, as the interfaces show it: status, code, message, hint. */
public final class ApiException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final int status;
  private final String code;
  private final String hint;
  private final long retryAfterSeconds;

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
    this.retryAfterSeconds = status == 429 ? 1 : 0;
  }

  private ApiException(int status, String code, String hint, Throwable cause) {
    super(String.valueOf(cause.getMessage()), cause);
    this.status = status;
    this.code = code;
    this.hint = hint;
    this.retryAfterSeconds =
        cause instanceof AccessException access
            ? access.retryAfterSeconds()
            : status == 429 ? 1 : 0;
  }

  /** When to try again; 0 when that is of no use. */
  long retryAfterSeconds() {
    return retryAfterSeconds;
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
      case QueryException query ->
          new ApiException(
              400, query.code(), "docs/reference/query.md says what a query may hold", query);
      case NodeException node ->
          new ApiException(nodeStatus(node.code()), node.code(), node.hint(), node);
      case AccessException access ->
          new ApiException(access.status(), access.code(), access.hint(), access);
      case BackupException backup ->
          new ApiException(
              backup.code().equals("BACKUP_FAILED") ? 500 : 409,
              backup.code(),
              backup.hint(),
              backup);
      case EncryptionException encryption ->
          new ApiException(403, encryption.code(), encryption.hint(), encryption);
      case IdentityException identity ->
          new ApiException(503, identity.code(), hint(identity), identity);
      case EmbeddingException embedding ->
          new ApiException(
              502,
              EmbeddingException.CODE,
              "see embedding.* in `pluresdb config list`; status shows how it goes",
              embedding);
      case ListenFailedException listen ->
          new ApiException(
              503,
              ListenFailedException.CODE,
              "another daemon may have it: choose another with --listen ADDRESS:PORT (relay: --port"
                  + " too), or port 0 for a free one",
              listen);
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

  private static String hint(IdentityException identity) {
    return switch (identity) {
      case IdentityException.Exposed e -> "make it yours alone: chmod 600";
      case IdentityException.Damaged e ->
          "restore a backup made with --keys; without one, init makes a new device";
      case IdentityException.NotFound e -> "pluresdb init makes one";
      case IdentityException.Exists e -> "name another data directory";
      case IdentityException.Failed e -> "check the data directory and its permissions";
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
          new ApiException(
              400, core.code(), "docs/reference/configuration.md says what can be set", core);
      case CLOSED -> new ApiException(503, core.code(), "start the daemon again", core);
      case PRECONDITION_FAILED ->
          new ApiException(
              412, core.code(), "get the document again and repeat what was changed", core);
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
          switch (storage.code()) {
            case "STORAGE_LOCKED" ->
                "stop the process that has it open, or send the command to its daemon";
            case "STORAGE_WAL_CORRUPT_ENTRY", "STORAGE_WAL_MISSING" ->
                "restore a backup, or keep what precedes the damage: pluresdb wal recover";
            case "STORAGE_NEWER_FORMAT" -> "install the newer PluresDB that wrote it";
            case "STORAGE_ENCRYPTED", "STORAGE_NOT_ENCRYPTED", "STORAGE_WRONG_KEY" ->
                "put encryption.json and the store of the same data directory together";
            default ->
                "check the disk and the permissions of the data directory; if files are damaged,"
                    + " restore a backup, or start over with an empty one and join again";
          };
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
      case "NODE_QUOTA_EXCEEDED" -> 507;
      case "NODE_INVITE_INVALID" -> 400;
      case "NODE_INVITE_EXPIRED" -> 410;
      case "NODE_PEER_UNREACHABLE", "NODE_NOT_REPLICATED" -> 504;
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
