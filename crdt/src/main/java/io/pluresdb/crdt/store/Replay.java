package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.doc.Content;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.CrdtOperation.OnSequence;
import io.pluresdb.crdt.op.DocumentEdit;
import io.pluresdb.crdt.sequence.Sequence;
import io.pluresdb.crdt.store.Staging.DocumentKey;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Builds a document as it was out of its changes.
 *
 * <p>Where the beginning of the log is gone, it starts from what survives of it today. A value from
 * there that was replaced after the wanted moment is gone; then the replay cannot tell and says so.
 */
final class Replay {
  private final byte[] id;
  private final Floor floor;
  private final DocumentState state;
  private final Content.Source stored;
  private final Map<DocumentKey, Sequence> sequences = new HashMap<>();

  // Newest edit of a text or list after the moment; matters below the floor, where what its rows
  // hold cannot be taken back.
  private long edited = -1;

  // Of the dots below the floor: those that went in the moment, and those that went after it.
  private final Set<Dot> gone = new HashSet<>();
  private final Map<Dot, Long> lost = new HashMap<>();

  Replay(Storage.Snapshot snapshot, byte[] id, Floor floor) {
    this.id = id;
    this.floor = floor;
    byte[] row = floor.isEmpty() ? null : snapshot.get(Table.STATE, id);
    stored = OpenSequences.in(snapshot, id);
    state = row == null ? new DocumentState() : DocumentState.read(row).where(floor::covers);
  }

  /**
   * Takes in the next change, in causal order.
   *
   * @param counts whether it belongs to the moment
   */
  void change(ActorId actor, long seq, long timestamp, List<DocumentEdit> edits, boolean counts) {
    int index = 0;
    for (DocumentEdit edit : edits) {
      boolean about = Arrays.equals(edit.id(), id);
      for (CrdtOperation operation : edit.operations()) {
        if (about && counts) {
          var dot = new Dot(actor, seq, index);
          state.apply(operation, dot, timestamp);
          if (operation instanceof OnSequence onSequence && floor.isEmpty()) {
            sequences
                .computeIfAbsent(
                    new DocumentKey(onSequence.register()),
                    r -> Sequence.empty(onSequence.register()))
                .applyRest(onSequence, dot, timestamp);
          }
        } else if (about && operation instanceof OnSequence) {
          edited = Math.max(edited, timestamp);
        }
        if (about && !floor.isEmpty()) {
          for (Dot dot : operation.observedDots()) {
            if (floor.covers(dot)) {
              note(dot, timestamp, counts);
            }
          }
        }
        if (operation.makesDot()) {
          index++;
        }
      }
    }
  }

  private void note(Dot dot, long timestamp, boolean counts) {
    if (counts) {
      gone.add(dot);
    } else {
      lost.merge(dot, timestamp, Math::max);
    }
  }

  /**
   * The document.
   *
   * @throws io.pluresdb.crdt.CoreException when a value it had is no longer kept
   */
  DocumentState state() {
    long latest = floor.isEmpty() ? -1 : edited;
    for (var entry : lost.entrySet()) {
      if (!gone.contains(entry.getKey())) {
        latest = Math.max(latest, entry.getValue());
      }
    }
    if (latest >= 0) {
      throw Floor.tooOld(latest);
    }
    return state;
  }

  /** The content of its texts and lists at the moment. */
  Content.Source sequences() {
    if (!floor.isEmpty()) {
      return stored;
    }
    return register -> {
      Sequence sequence = sequences.get(new DocumentKey(register));
      return (sequence == null ? Sequence.empty(register) : sequence).content();
    };
  }
}
