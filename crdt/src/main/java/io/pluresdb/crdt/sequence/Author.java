package io.pluresdb.crdt.sequence;

import io.pluresdb.crdt.causal.ActorId;
import java.util.ArrayList;
import java.util.List;

/** A writer of this sequence. */
final class Author {
  final ActorId actor;
  final int index;
  final List<Chunk> chunks = new ArrayList<>();
  int count;

  Author(ActorId actor, int index) {
    this.actor = actor;
    this.index = index;
  }

  long key(int counter) {
    return (long) index << 32 | counter;
  }
}
