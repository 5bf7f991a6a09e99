package io.pluresdb.crdt.engine;

import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.reconcile.Differences;

/** How comparing documents with a peer went. */
public sealed interface Comparison {
  /**
   * Both sides know where they differ.
   *
   * @param frontier hash of our frontier at the moment that was compared
   * @param peerFrontier the peer's; where both are equal, every difference is a divergence, else it
   *     may be of changes that one of them still lacks
   */
  record Compared(Differences differences, Hash frontier, Hash peerFrontier) implements Comparison {
    public boolean sameFrontier() {
      return frontier.equals(peerFrontier);
    }
  }

  /** It did not come to an end; {@code why} in words. */
  record Failed(String why) implements Comparison {}
}
