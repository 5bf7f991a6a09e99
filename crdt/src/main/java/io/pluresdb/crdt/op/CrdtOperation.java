package io.pluresdb.crdt.op;

import io.pluresdb.crdt.causal.Dot;
import java.util.List;

/**
 * One step on one register of one document.
 *
 * <p>{@code observed} are the dots the author saw in the register; they were computed where the
 * operation was made, never where it is applied. An operation that makes a dot takes the next index
 * of its change.
 */
public sealed interface CrdtOperation {
  /** The key of the register, as {@link Register} builds it. */
  byte[] register();

  /** Replaces what was observed by {@code value}: canonical JSON, or empty, or an embedding. */
  record Assign(byte[] register, List<Dot> observed, byte[] value) implements CrdtOperation {}

  /** Takes away what was observed. */
  record Remove(byte[] register, List<Dot> observed) implements CrdtOperation {}

  /** Adds to the counter at the register; replaces nothing. */
  record Increment(byte[] register, long amount) implements CrdtOperation {
    /** Greatest magnitude of one increment. */
    public static final long MAX_AMOUNT = 1L << 53;
  }

  /** An edit of a sequence. */
  sealed interface OnSequence extends CrdtOperation {
    /** The dots in the register that the one of this operation replaces. */
    default List<Dot> observed() {
      return List.of();
    }
  }

  /**
   * New characters in a row: the first at {@code place}, each further one right of the last. Its
   * dot asserts the text, so that a removal that did not see it leaves the field alive.
   *
   * @param text the empty one only declares the text
   */
  record TextInsert(byte[] register, List<Dot> observed, Place place, String text)
      implements OnSequence {}

  /**
   * Characters are deleted. Makes no dot, so it keeps no field alive.
   *
   * @param ranges ascending and apart
   */
  record TextDelete(byte[] register, List<ElementRange> ranges) implements OnSequence {}

  /** New list elements in a row, placed like characters; canonical JSON each, or none. */
  record ListInsert(byte[] register, List<Dot> observed, Place place, List<byte[]> values)
      implements OnSequence {}

  /**
   * The values in a range of list elements that {@code seen} covers are taken away; an element
   * without values is not shown. Makes no dot.
   *
   * @param seen per actor the last change the author had seen, ascending by actor
   * @param ranges ascending and apart
   */
  record ListDelete(byte[] register, List<Change.Dependency> seen, List<ElementRange> ranges)
      implements OnSequence {}

  /** A list element gets a value in place of the ones observed. */
  record ListSet(
      byte[] register, List<Dot> observed, ElementId element, List<Dot> replaced, byte[] value)
      implements OnSequence {}

  /**
   * A list element goes to a new slot. The move with the greatest {@code (hybrid time, dot)} says
   * where it is (Kleppmann, Moving elements in list CRDTs, PaPoC 2020).
   */
  record ListMove(byte[] register, List<Dot> observed, ElementId element, Place place)
      implements OnSequence {}

  /**
   * An operation of a later version: kept and forwarded, not applied.
   *
   * @param tag at least {@link ChangeBody#FIRST_UNKNOWN_TAG}
   */
  record Unknown(int tag, byte[] register, byte[] payload) implements CrdtOperation {}

  /** Whether this operation takes a dot. */
  default boolean makesDot() {
    return switch (this) {
      case Assign a -> true;
      case Increment i -> true;
      case Remove r -> false;
      case TextInsert t -> true;
      case TextDelete t -> false;
      case ListInsert l -> true;
      case ListDelete l -> false;
      case ListSet l -> true;
      case ListMove l -> true;
      case Unknown u -> true;
    };
  }

  /** The dots its author saw in the register and took away. */
  default List<Dot> observedDots() {
    return switch (this) {
      case Assign assign -> assign.observed();
      case Remove remove -> remove.observed();
      case Increment increment -> List.of();
      case OnSequence onSequence -> onSequence.observed();
      case Unknown unknown -> List.of();
    };
  }
}
