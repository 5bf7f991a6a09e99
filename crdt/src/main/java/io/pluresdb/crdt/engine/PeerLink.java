package io.pluresdb.crdt.engine;

import io.pluresdb.crdt.overlay.Contact;
import io.pluresdb.crdt.sync.SyncMessage;
import org.jspecify.annotations.Nullable;

/** The way to one peer: an ordered channel of messages. Called by the engine's thread only. */
public interface PeerLink {
  /** Queues a message. */
  void send(SyncMessage message);

  /** Whether more changes may be queued now; {@link ReplicaEngine#turn} asks before each. */
  boolean isWritable();

  /** Sends what was queued. */
  void flush();

  /**
   * Told after a turn how far in our arrival log the peer has everything on its disk.
   *
   * @param whole false for a peer that holds some documents only, and has everything of these
   */
  default void reached(long arrival, boolean whole) {}

  /** The Ed25519 key the peer proved to have, or null where nobody asks. */
  default byte @Nullable [] deviceKey() {
    return null;
  }

  /** Ends the session: the peer was removed from the database, and has been told. */
  default void dismiss() {
    close("this device was removed from the database");
  }

  /** Who is at the other end; null for a peer that no view of neighbours decides about. */
  default @Nullable Contact contact() {
    return null;
  }

  /** Whether this side made the connection. */
  default boolean initiator() {
    return false;
  }

  /**
   * Told when the peer has the same operations and other documents: which ones, or why that could
   * not be found out.
   */
  default void diverged(Comparison comparison) {}

  /** Ends the session: there is no room for this peer among the neighbours. */
  default void part() {
    close("no room among the neighbours");
  }

  /** Ends the session: the peer broke a rule, or this replica cannot go on. */
  void close(String reason);
}
