package io.pluresdb.transport.session;

/**
 * Hears of the sessions of one database, on an event loop, of each session one call at a time and
 * in order: {@code established} first, {@code closed} last. Must not block. An exception closes the
 * session.
 */
public interface SessionListener {
  void established(Session session);

  /**
   * @param message whole and now the listener's
   */
  void message(Session session, byte[] message);

  /** {@link Session#isWritable} changed; it may have changed back meanwhile. */
  void writabilityChanged(Session session);

  void closed(Session session, CloseReason reason);
}
