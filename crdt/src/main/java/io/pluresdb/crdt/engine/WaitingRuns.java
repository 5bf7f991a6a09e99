package io.pluresdb.crdt.engine;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.RunOutcome;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/**
 * Foreign changes that arrived before what they depend on, or from too far in the future: bounded,
 * in memory only, since whoever sent them still has them.
 */
final class WaitingRuns {
  static final int MAX_RUNS = 1_024;
  static final int MAX_BYTES = 16 << 20;

  private final List<ChangeRun> runs = new ArrayList<>();
  private int bytes;

  int changes() {
    int changes = 0;
    for (ChangeRun run : runs) {
      changes += run.changes().size();
    }
    return changes;
  }

  /** Takes a run in; false when the buffer is full and the run is dropped. */
  boolean add(ChangeRun run) {
    for (ChangeRun known : runs) {
      if (known.actor().equals(run.actor())
          && known.fromSeq() == run.fromSeq()
          && known.toSeq() == run.toSeq()) {
        return true;
      }
    }
    int size = run.encodedBytes();
    if (runs.size() >= MAX_RUNS || bytes + size > MAX_BYTES) {
      return false;
    }
    runs.add(run);
    bytes += size;
    return true;
  }

  /**
   * Stages what can be staged now; returns the number of new changes.
   *
   * @param learn told an actor that is waited for; whether that need not be any more
   */
  int retry(Replica replica, Predicate<ActorId> learn) {
    int applied = 0;
    boolean progress = !runs.isEmpty();
    while (progress) {
      progress = false;
      for (int i = 0; i < runs.size(); i++) {
        ChangeRun run = runs.get(i);
        switch (replica.stage(run)) {
          case RunOutcome.Waiting(var actor, var seq) -> progress |= learn.test(actor);
          case RunOutcome.Ahead ahead -> {}
          case RunOutcome.Applied(int changes) -> {
            applied += changes;
            progress = true;
            remove(i--);
          }
          case RunOutcome.Known known -> remove(i--);
          case RunOutcome.Rejected rejected -> remove(i--);
        }
      }
    }
    return applied;
  }

  private void remove(int index) {
    bytes -= runs.remove(index).encodedBytes();
  }
}
