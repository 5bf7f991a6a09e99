package io.pluresdb.crdt.engine;

import io.pluresdb.crdt.overlay.Contact;
import io.pluresdb.crdt.overlay.PeerId;

/** Makes and ends the connections that the view of neighbours asks for. Called by the engine. */
public interface Neighbourhood {
  /**
   * Connect this one. Answered by {@link ReplicaEngine#connect} with a link to it, or by {@link
   * ReplicaEngine#unreachable}; by nothing when it is connected already.
   */
  void connect(Contact contact);

  /** Does not have to be connected any more; its link is closed by the engine. */
  void release(PeerId peer);
}
