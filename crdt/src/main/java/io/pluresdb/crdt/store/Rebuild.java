package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.DocumentEdit;
import io.pluresdb.crdt.op.ElementId;
import io.pluresdb.crdt.store.ChangeLog.Arrived;
import io.pluresdb.crdt.store.Staging.DocumentKey;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Makes documents anew from the changes that count, beginning where the log does. A void change may
 * have overwritten what counts, and only the log and the {@link Base} still have that.
 *
 * <p>Changes are applied in the order of arrival. Those that others were allowed to overtake stand
 * too late in it: they come where their hybrid time puts them, and before what names them.
 */
final class Rebuild {
  private record Key(ActorId actor, long seq) {}

  private static final class Piece {
    final Arrived arrived;
    final List<DocumentEdit> edits;
    boolean applied;

    Piece(Arrived arrived, List<DocumentEdit> edits) {
      this.arrived = arrived;
      this.edits = edits;
    }
  }

  /** Where what happens in texts and lists goes. */
  interface Sequences {
    void apply(byte[] id, CrdtOperation.OnSequence operation, Dot dot, long timestamp);

    /** How many elements an actor put into the sequence that an operation is on. */
    int count(byte[] id, CrdtOperation.OnSequence operation, ActorId actor);
  }

  private final Sequences sequences;
  private final Map<DocumentKey, DocumentState> documents = new HashMap<>();
  private final Map<Key, Piece> pieces = new HashMap<>();
  private final List<Piece> order = new ArrayList<>();
  private final List<Piece> late = new ArrayList<>();
  private final Map<ActorId, TreeMap<Long, Piece>> byActor = new HashMap<>();

  /**
   * @param sequences where the texts and lists of the documents were begun anew
   */
  Rebuild(Sequences sequences) {
    this.sequences = sequences;
  }

  /** Asks for a document, beginning with {@code base}; before the first change. */
  void want(DocumentKey id, DocumentState base) {
    documents.put(id, base);
  }

  /**
   * Takes a change that counts.
   *
   * @param overtaken whether changes that depend on it may have arrived before it
   */
  void add(Arrived arrived, boolean overtaken) {
    var key = new Key(arrived.actor(), arrived.seq());
    if (pieces.containsKey(key)) {
      return;
    }
    List<DocumentEdit> edits = ChangeBody.decode(arrived.actor(), arrived.change().body());
    if (edits.stream().anyMatch(edit -> documents.containsKey(new DocumentKey(edit.id())))) {
      var piece = new Piece(arrived, edits);
      pieces.put(key, piece);
      (overtaken ? late : order).add(piece);
      byActor.computeIfAbsent(arrived.actor(), a -> new TreeMap<>()).put(arrived.seq(), piece);
    }
  }

  /** The documents; one of which nothing survives is empty. */
  Map<DocumentKey, DocumentState> documents() {
    late.sort(Comparator.comparingLong(piece -> piece.arrived.change().timestamp()));
    int next = 0;
    for (Piece piece : order) {
      long timestamp = piece.arrived.change().timestamp();
      while (next < late.size() && late.get(next).arrived.change().timestamp() < timestamp) {
        apply(late.get(next++));
      }
      apply(piece);
    }
    late.subList(next, late.size()).forEach(this::apply);
    return documents;
  }

  private void apply(Piece piece) {
    if (piece.applied) {
      return;
    }
    piece.applied = true;
    ActorId actor = piece.arrived.actor();
    long seq = piece.arrived.seq();
    for (DocumentEdit edit : piece.edits) {
      for (CrdtOperation operation : edit.operations()) {
        for (Dot dot : operation.namedDots()) {
          applyUpTo(dot.actor(), dot.seq());
        }
        if (operation instanceof CrdtOperation.ListDelete delete) {
          delete.seen().forEach(last -> applyUpTo(last.actor(), last.seq()));
        }
        if (operation instanceof CrdtOperation.OnSequence onSequence
            && documents.containsKey(new DocumentKey(edit.id()))) {
          for (ElementId element : onSequence.namedElements()) {
            applyUntilThere(edit.id(), onSequence, element);
          }
        }
      }
    }
    int index = 0;
    for (DocumentEdit edit : piece.edits) {
      DocumentState state = documents.get(new DocumentKey(edit.id()));
      for (CrdtOperation operation : edit.operations()) {
        if (state != null) {
          long timestamp = piece.arrived.change().timestamp();
          var dot = new Dot(actor, seq, index);
          state.apply(operation, dot, timestamp);
          if (operation instanceof CrdtOperation.OnSequence onSequence) {
            sequences.apply(edit.id(), onSequence, dot, timestamp);
          }
        }
        index += operation.makesDot() ? 1 : 0;
      }
    }
  }

  private void applyUpTo(ActorId actor, long seq) {
    TreeMap<Long, Piece> same = byActor.get(actor);
    Map.Entry<Long, Piece> last = same == null ? null : same.floorEntry(seq);
    if (same != null && last != null && !last.getValue().applied) {
      same.headMap(seq, true).values().forEach(this::apply);
    }
  }

  private void applyUntilThere(byte[] id, CrdtOperation.OnSequence operation, ElementId element) {
    var same = byActor.get(element.actor());
    if (same == null || sequences.count(id, operation, element.actor()) > element.counter()) {
      return;
    }
    for (Piece piece : same.values()) {
      apply(piece);
      if (sequences.count(id, operation, element.actor()) > element.counter()) {
        return;
      }
    }
  }
}
