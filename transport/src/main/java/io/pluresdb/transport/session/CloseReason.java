package io.pluresdb.transport.session;

import io.pluresdb.transport.frame.FrameException;
import io.pluresdb.transport.frame.Goodbye;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Why a session, or the attempt at one, ended. Each kind has a counter named by its code. */
public sealed interface CloseReason {
  /** The goodbye code of {@link Duplicate}. */
  String DUPLICATE_CODE = "DUPLICATE_SESSION";

  /** The goodbye code of {@link Moved}. */
  String MOVED_CODE = "MOVED";

  /** The code of a session that ends because one side has enough others for this database. */
  String PARTING_CODE = "ENOUGH_NEIGHBOURS";

  /** Most connections of the transport. */
  String LIMIT_SESSIONS = "sessions";

  /** Most half-open connections. */
  String LIMIT_HALF_OPEN = "half-open";

  /** Most half-open connections of one address. */
  String LIMIT_HALF_OPEN_PER_ADDRESS = "half-open-per-address";

  /** Most steps of handshakes that wait to be computed. */
  String LIMIT_HANDSHAKE_STEPS = "handshake-steps";

  /** No limit: the transport takes nothing more. */
  String LIMIT_CLOSING = "closing";

  /** Every {@link Refused#limit}. */
  List<String> LIMITS =
      List.of(
          LIMIT_SESSIONS,
          LIMIT_HALF_OPEN,
          LIMIT_HALF_OPEN_PER_ADDRESS,
          LIMIT_HANDSHAKE_STEPS,
          LIMIT_CLOSING);

  /** Every {@link #counter}, in the order metrics list them. */
  List<String> COUNTERS =
      List.of(
          "ended",
          "shutdown",
          "duplicate",
          "moved",
          "ended_by_peer",
          "rejected",
          "disconnected",
          "connect_failed",
          "silent",
          "handshake_timeout",
          "handshake_failed",
          "refused",
          "self",
          "frame_violation",
          "decryption_failed",
          "queue_full",
          "local_fault");

  /** The counter's name. */
  default String counter() {
    return switch (this) {
      case Ended ignored -> "ended";
      case Shutdown ignored -> "shutdown";
      case Duplicate ignored -> "duplicate";
      case Moved ignored -> "moved";
      case EndedByPeer ignored -> "ended_by_peer";
      case Rejected ignored -> "rejected";
      case Disconnected ignored -> "disconnected";
      case ConnectFailed ignored -> "connect_failed";
      case Silent ignored -> "silent";
      case HandshakeTimedOut ignored -> "handshake_timeout";
      case HandshakeFailed ignored -> "handshake_failed";
      case Refused ignored -> "refused";
      case SelfConnection ignored -> "self";
      case FrameViolation ignored -> "frame_violation";
      case DecryptionFailed ignored -> "decryption_failed";
      case QueueFull ignored -> "queue_full";
      case LocalFault ignored -> "local_fault";
    };
  }

  /** What an authenticated peer is told; null when it is only cut off. */
  default @Nullable Goodbye farewell() {
    return switch (this) {
      case Ended(var code, var message) -> new Goodbye(code, message);
      case Rejected(var code, var message) -> new Goodbye(code, message);
      case Shutdown ignored -> new Goodbye("SHUTDOWN", "the peer is stopping");
      case Duplicate ignored -> new Goodbye(DUPLICATE_CODE, "another session goes on");
      case Moved ignored -> new Goodbye(MOVED_CODE, "the session goes on by a better path");
      case QueueFull ignored -> new Goodbye("TOO_SLOW", "the peer reads too slowly");
      case FrameViolation(var kind, var value) -> new Goodbye(kind.name(), "value " + value);
      case EndedByPeer ignored -> null;
      case Disconnected ignored -> null;
      case ConnectFailed ignored -> null;
      case Silent ignored -> null;
      case HandshakeTimedOut ignored -> null;
      case HandshakeFailed ignored -> null;
      case Refused ignored -> null;
      case SelfConnection ignored -> null;
      case DecryptionFailed ignored -> null;
      case LocalFault ignored -> null;
    };
  }

  /** Whether it ended because another session or path to the same peer goes on. */
  default boolean isDuplicate() {
    return this instanceof Duplicate
        || isMove()
        || (this instanceof EndedByPeer(var code, var message) && code.equals(DUPLICATE_CODE));
  }

  /** Whether only the path ended, and its session goes on by another. */
  default boolean isMove() {
    return this instanceof Moved
        || (this instanceof EndedByPeer(var code, var message) && code.equals(MOVED_CODE));
  }

  /** Whether it ended because one side has enough others: nothing to be dialled again. */
  default boolean isParting() {
    return (this instanceof Ended(var code, var message) && code.equals(PARTING_CODE))
        || (this instanceof EndedByPeer(var peerCode, var text) && peerCode.equals(PARTING_CODE));
  }

  /** We ended it; the peer was told the code (see {@link Goodbye} for its form) and message. */
  record Ended(String code, String message) implements CloseReason {
    public Ended {
      new Goodbye(code, message);
    }
  }

  /** This transport was closed. */
  record Shutdown() implements CloseReason {}

  /** We keep another session with the same peer; see {@link Sessions#preferred}. */
  record Duplicate() implements CloseReason {}

  /** Of a path: its session goes on by another. */
  record Moved() implements CloseReason {}

  /** The peer ended or rejected it and said why; for people, not for decisions of trust. */
  record EndedByPeer(String code, String message) implements CloseReason {}

  /** We did not authorise the peer; it was told the code and message. */
  record Rejected(String code, String message) implements CloseReason {
    public Rejected {
      new Goodbye(code, message);
    }
  }

  /** The connection broke, or the peer closed it without a word. */
  record Disconnected(String cause) implements CloseReason {}

  /** There never was a connection. */
  record ConnectFailed(String cause) implements CloseReason {}

  /** Nothing arrived for this long. */
  record Silent(Duration silence) implements CloseReason {}

  /** The handshake did not end in time. */
  record HandshakeTimedOut() implements CloseReason {}

  /** The peer's handshake was wrong; it was told nothing. */
  record HandshakeFailed(HandshakeFailure failure) implements CloseReason {}

  /** Too many half-open handshakes or sessions; the connection was closed unread. */
  record Refused(String limit) implements CloseReason {}

  /** The peer is this device. */
  record SelfConnection() implements CloseReason {}

  /** An authenticated peer broke the format. */
  record FrameViolation(FrameException.Kind kind, long value) implements CloseReason {}

  /** A frame was not encrypted by the peer: changed, replayed or reordered on the way. */
  record DecryptionFailed() implements CloseReason {}

  /** More was sent than the peer takes, against {@link Session#isWritable}. */
  record QueueFull(long queuedBytes) implements CloseReason {}

  /** Code of this device threw; see the log. */
  record LocalFault(String what) implements CloseReason {}

  /** What was wrong with a handshake. */
  enum HandshakeFailure {
    NOT_OUR_PROTOCOL,
    UNSUPPORTED_VERSION,
    UNSUPPORTED_SUITE,
    UNKNOWN_DATABASE,
    /** A length outside the limits of a handshake message. */
    BAD_LENGTH,
    /** A tag or key was wrong: another sync key, another prologue, or changed bytes. */
    NOT_AUTHENTIC,
    /** The payload is not a credential. */
    MALFORMED_CREDENTIAL,
    /** The device key did not sign this session's Noise key for this database. */
    BAD_SIGNATURE
  }
}
