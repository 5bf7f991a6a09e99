package io.pluresdb.harness.sim;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.store.CrdtStore.Receipt;

/** A write that was acknowledged. */
final class Acknowledged {
  final int node;
  final ActorId actor;
  final long seq;
  final boolean relaxed;
  final Hash hash;

  /** Whether its author lost it from its disk. */
  boolean rolledBack;

  /** Whether no other disk had it then. */
  boolean mayBeLost;

  Acknowledged(int node, Receipt receipt, Hash hash, boolean relaxed) {
    this.node = node;
    this.hash = hash;
    this.actor = receipt.actor();
    this.seq = receipt.seq();
    this.relaxed = relaxed;
  }
}
