package io.pluresdb.crdt.engine;

import io.pluresdb.crdt.overlay.Contact;

/**
 * Makes the connections that the view of neighbours asks for. Called by the engine's thread only.
 */
public interface Neighbourhood {
  /**
   * Connect this one. Answered by {@link ReplicaEngine#connect} with a link to it, or by {@link
   * ReplicaEngine#unreachable}; by nothing when it is connected already.
   */
  void connect(Contact contact);
}
