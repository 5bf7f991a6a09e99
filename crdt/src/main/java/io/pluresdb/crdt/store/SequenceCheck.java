package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.CrdtOperation.ListDelete;
import io.pluresdb.crdt.op.CrdtOperation.ListInsert;
import io.pluresdb.crdt.op.CrdtOperation.ListMove;
import io.pluresdb.crdt.op.CrdtOperation.ListSet;
import io.pluresdb.crdt.op.CrdtOperation.OnSequence;
import io.pluresdb.crdt.op.CrdtOperation.TextDelete;
import io.pluresdb.crdt.op.CrdtOperation.TextInsert;
import io.pluresdb.crdt.op.ElementId;
import io.pluresdb.crdt.sequence.SequenceRows;
import io.pluresdb.crdt.store.Staging.DocumentKey;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Checks that the operations of a foreign run name only elements that are here, before any of them
 * is applied. Knows what the run itself adds on the way.
 */
final class SequenceCheck {
  private final OpenSequences sequences;
  private final ActorId author;
  private final NamedPast past;
  private final Map<DocumentKey, Integer> counts = new HashMap<>();

  SequenceCheck(OpenSequences sequences, ActorId author, NamedPast past) {
    this.sequences = sequences;
    this.author = author;
    this.past = past;
  }

  /** What stands in the way of an operation, or null. */
  sealed interface Problem {
    /** The operation is wrong on every replica. */
    record Malformed(String what) implements Problem {}

    /** An element is not here; the actor's next change may bring it. */
    record Missing(ActorId actor, long seq) implements Problem {}
  }

  @Nullable Problem check(byte[] id, OnSequence operation, long seq) {
    if (operation instanceof ListDelete delete) {
      Problem problem = checkSeen(delete.seen(), seq);
      if (problem != null) {
        return problem;
      }
    }
    for (ElementId element : operation.namedElements()) {
      Problem problem = checkElement(id, operation, element);
      if (problem != null) {
        return problem;
      }
    }
    return switch (operation) {
      case TextInsert insert ->
          grow(id, operation, insert.text().codePointCount(0, insert.text().length()));
      case ListInsert insert -> grow(id, operation, insert.values().size());
      case ListMove move -> grow(id, operation, 1);
      case ListSet set -> null;
      case TextDelete delete -> null;
      case ListDelete delete -> null;
    };
  }

  private @Nullable Problem checkSeen(List<Change.Dependency> seen, long seq) {
    for (Change.Dependency last : seen) {
      if (last.actor().equals(author)) {
        if (last.seq() > seq) {
          return new Problem.Malformed("has seen a change of its own future");
        }
      } else if (past.lacks(last.actor(), last.seq())) {
        return new Problem.Missing(last.actor(), last.seq());
      }
    }
    return null;
  }

  private @Nullable Problem checkElement(byte[] id, OnSequence operation, ElementId element) {
    if (element.actor().equals(author)) {
      return element.counter() < own(id, operation)
          ? null
          : new Problem.Malformed("names an element of its own future");
    }
    if (element.counter() < sequences.get(id, operation.register()).count(element.actor())) {
      return null;
    }
    long next = past.lacksNext(element.actor());
    return next > 0 ? new Problem.Missing(element.actor(), next) : null;
  }

  private int own(byte[] id, OnSequence operation) {
    return counts.computeIfAbsent(
        new DocumentKey(SequenceRows.prefix(id, operation.register())),
        k -> sequences.get(id, operation.register()).count(author));
  }

  private @Nullable Problem grow(byte[] id, OnSequence operation, int length) {
    int count = own(id, operation) + length;
    if (count > ElementId.MAX_COUNTER + 1) {
      return new Problem.Malformed("puts too many elements into a sequence");
    }
    counts.put(new DocumentKey(SequenceRows.prefix(id, operation.register())), count);
    return null;
  }
}
