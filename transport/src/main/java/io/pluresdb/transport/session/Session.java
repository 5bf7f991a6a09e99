package io.pluresdb.transport.session;

import io.pluresdb.transport.identity.DeviceId;
import io.pluresdb.transport.topic.DatabaseKeys;
import java.net.SocketAddress;
import java.util.concurrent.CompletionStage;

/**
 * An authenticated, encrypted, ordered channel of messages with one device about one database.
 *
 * <p>Every method may be called from any thread.
 */
public interface Session {
  DeviceId peer();

  /** A copy of the peer's 32-byte Ed25519 key. */
  byte[] peerPublicKey();

  /**
   * A copy of the 32-byte Noise key of the peer's program: another after each start, so two copies
   * of one device that both run have different ones.
   */
  byte[] peerNoiseKey();

  /** A copy of what the peer's policy attached to its handshake, 0 to 1,024 bytes. */
  byte[] peerAttachment();

  String databaseId();

  /** The keys it was made with: of which epoch of the database it is. */
  DatabaseKeys keys();

  /** Whether we dialled. */
  boolean initiator();

  /** The peer's, or that of the relay or proxy in between. */
  SocketAddress remoteAddress();

  SessionPath path();

  /**
   * Whether less than the high water mark is queued. When false, stop sending until {@link
   * SessionListener#writabilityChanged}; going on is possible up to {@link
   * SessionLimits#queuedBytes}, where the session ends.
   */
  boolean isWritable();

  /**
   * Queues {@code message}, which must not be modified afterwards; {@link #flush} sends it. Does
   * nothing once the session is closed.
   *
   * @throws IllegalArgumentException when it is larger than {@link SessionLimits#messageBytes}
   */
  void send(byte[] message);

  /** Sends what is queued, small messages together. */
  void flush();

  /**
   * Stops reading from the socket, so that the peer stops sending. At most what was read already,
   * about one socket buffer, still arrives. The peer is not judged silent meanwhile.
   */
  void pauseReading();

  void resumeReading();

  /**
   * Ends the session. Queued messages are lost; the peer is told {@link CloseReason#farewell}. A
   * later call does nothing.
   */
  void close(CloseReason reason);

  /** Completes, after {@link SessionListener#closed}, with why the session ended. */
  CompletionStage<CloseReason> closure();

  /** Bytes written to the socket so far, handshake, framing and tags included. */
  long bytesSent();

  /** Bytes read from the socket so far, handshake, framing and tags included. */
  long bytesReceived();
}
