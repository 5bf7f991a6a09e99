package io.pluresdb.transport.session;

import io.pluresdb.transport.topic.DatabaseKeys;
import io.pluresdb.transport.topic.Hint;
import org.jspecify.annotations.Nullable;

/**
 * What the node decides about sessions. Called from several handshake threads; may block briefly.
 */
public interface SessionPolicy {
  /** The keys a peer's hint names; null when we do not take part in that database. */
  @Nullable DatabaseKeys keysFor(Hint hint);

  /** What our side of a handshake carries for the peer's {@link #authorize}: 0 to 1,024 bytes. */
  byte[] attachment(DatabaseKeys database);

  /**
   * Judges a peer that proved the sync key, its device key and that both are live. No message flows
   * before both sides accepted.
   */
  Decision authorize(DatabaseKeys database, byte[] peerPublicKey, byte[] peerAttachment);

  SessionListener listener(DatabaseKeys database);
}
