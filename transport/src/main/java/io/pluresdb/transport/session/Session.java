package io.pluresdb.transport.session;

import io.pluresdb.transport.identity.DeviceId;
import io.pluresdb.transport.topic.DatabaseKeys;
import java.net.SocketAddress;
import java.time.Duration;
import java.util.concurrent.CompletionStage;
import org.jspecify.annotations.Nullable;

/**
 * An authenticated, encrypted, ordered channel of messages with one device about one database, over
 * one path after another: each message is delivered once, in order, whatever happens to the paths,
 * until the session ends.
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

  /** The peer's, or that of the relay or proxy in between, on the newest path. */
  SocketAddress remoteAddress();

  /** Whether we dialled the newest path. */
  boolean dialledPath();

  /** The newest path: a session moves to better ones, and from one that broke to another. */
  SessionPath path();

  /** Whether the newest path is up; without one, messages wait until there is another. */
  boolean hasPath();

  /** How long the newest answer of the peer to a probe took; null before the first on this path. */
  @Nullable Duration roundTrip();

  /**
   * Asks the peer to show that the path is up: one that brings nothing within {@code wait} is left.
   */
  void probe(Duration wait);

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

  /** Bytes written to sockets so far, handshake, framing and tags included. */
  long bytesSent();

  /** Bytes read from sockets so far, handshake, framing and tags included. */
  long bytesReceived();
}
