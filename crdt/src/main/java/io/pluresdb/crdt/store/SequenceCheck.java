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
import io.pluresdb.crdt.op.ElementRange;
import io.pluresdb.crdt.op.Place;
import io.pluresdb.crdt.sequence.SequenceRows;
import io.pluresdb.crdt.store.Staging.DocumentKey;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiPredicate;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * Checks that the operations of a foreign run name only elements that are here, before any of them
 * is applied. Knows what the run itself adds on the way.
 */
final class SequenceCheck {
  private final OpenSequences sequences;
  private final ActorId author;
  private final ToLongFunction<ActorId> lastSeq;
  private final BiPredicate<ActorId, Long> missing;
  private final Map<DocumentKey, Integer> counts = new HashMap<>();

  /**
   * @param lastSeq the newest change that was applied, by actor
   * @param missing whether a change must be waited for
   */
  SequenceCheck(
      OpenSequences sequences,
      ActorId author,
      ToLongFunction<ActorId> lastSeq,
      BiPredicate<ActorId, Long> missing) {
    this.sequences = sequences;
    this.author = author;
    this.lastSeq = lastSeq;
    this.missing = missing;
  }

  /** What stands in the way of an operation, or null. */
  sealed interface Problem {
    /** The operation is wrong on every replica. */
    record Malformed(String what) implements Problem {}

    /** An element is not here; the actor's next change may bring it. */
    record Missing(ActorId actor, long seq) implements Problem {}
  }

  @Nullable Problem check(byte[] id, OnSequence operation, long seq) {
    return switch (operation) {
      case TextInsert insert -> {
        int length = insert.text().codePointCount(0, insert.text().length());
        Problem problem = length == 0 ? null : checkPlace(id, operation, insert.place());
        yield problem != null ? problem : grow(id, operation, length);
      }
      case ListInsert insert -> {
        int length = insert.values().size();
        Problem problem = length == 0 ? null : checkPlace(id, operation, insert.place());
        yield problem != null ? problem : grow(id, operation, length);
      }
      case ListMove move -> {
        Problem problem = checkElement(id, operation, move.element());
        if (problem == null) {
          problem = checkPlace(id, operation, move.place());
        }
        yield problem != null ? problem : grow(id, operation, 1);
      }
      case ListSet set -> checkElement(id, operation, set.element());
      case TextDelete delete -> checkRanges(id, operation, delete.ranges());
      case ListDelete delete -> {
        Problem problem = checkSeen(delete.seen(), seq);
        yield problem != null ? problem : checkRanges(id, operation, delete.ranges());
      }
    };
  }

  private @Nullable Problem checkSeen(List<Change.Dependency> seen, long seq) {
    for (Change.Dependency last : seen) {
      if (last.actor().equals(author)) {
        if (last.seq() > seq) {
          return new Problem.Malformed("has seen a change of its own future");
        }
      } else if (missing.test(last.actor(), last.seq())) {
        return new Problem.Missing(last.actor(), last.seq());
      }
    }
    return null;
  }

  private @Nullable Problem checkPlace(byte[] id, OnSequence operation, Place place) {
    ElementId origin = place.origin();
    return origin == null ? null : checkElement(id, operation, origin);
  }

  private @Nullable Problem checkRanges(
      byte[] id, OnSequence operation, List<ElementRange> ranges) {
    for (ElementRange range : ranges) {
      Problem problem = checkElement(id, operation, new ElementId(range.actor(), range.end() - 1));
      if (problem != null) {
        return problem;
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
    long next = lastSeq.applyAsLong(element.actor()) + 1;
    return missing.test(element.actor(), next) ? new Problem.Missing(element.actor(), next) : null;
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
