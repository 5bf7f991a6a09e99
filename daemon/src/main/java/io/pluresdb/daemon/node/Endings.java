package io.pluresdb.daemon.node;

import io.pluresdb.transport.session.CloseReason;

/** Why sessions end, in words for people. */
final class Endings {
  private Endings() {}

  static String text(CloseReason reason) {
    return switch (reason) {
      case CloseReason.Ended(var code, var message) -> "ended here: " + message;
      case CloseReason.Shutdown() -> "this daemon was stopping";
      case CloseReason.Duplicate() -> "another session with the same device goes on";
      case CloseReason.Moved() -> "the session goes on by a better path";
      case CloseReason.EndedByPeer(var code, var message) -> message + " [" + code + "]";
      case CloseReason.Rejected(var code, var message) -> "refused: " + message + " [" + code + "]";
      case CloseReason.Disconnected(var cause) -> "the connection broke: " + cause;
      case CloseReason.ConnectFailed(var cause) -> "no connection: " + cause;
      case CloseReason.Silent(var silence) -> "nothing was heard for " + silence.toSeconds() + " s";
      case CloseReason.HandshakeTimedOut() -> "the handshake did not end in time";
      case CloseReason.HandshakeFailed(var failure) ->
          "the handshake failed, perhaps for another sync key [" + failure + "]";
      case CloseReason.Refused(var limit) -> "refused by our own limit " + limit;
      case CloseReason.SelfConnection() -> "the address is this device itself";
      case CloseReason.FrameViolation(var kind, var value) ->
          "the peer broke the format [" + kind + "]";
      case CloseReason.DecryptionFailed() -> "a frame was changed on the way";
      case CloseReason.QueueFull(var queuedBytes) -> "the peer reads too slowly";
      case CloseReason.LocalFault(var what) -> "a fault in this daemon: " + what;
    };
  }
}
