package io.pluresdb.crdt.op;

import io.pluresdb.crdt.causal.Dot;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

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

    /** The elements that must be here, of a range the last. */
    default List<ElementId> namedElements() {
      return switch (this) {
        case TextInsert insert -> insert.text().isEmpty() ? List.of() : origin(insert.place());
        case ListInsert insert -> insert.values().isEmpty() ? List.of() : origin(insert.place());
        case TextDelete delete -> lasts(delete.ranges());
        case ListDelete delete -> lasts(delete.ranges());
        case ListSet set -> List.of(set.element());
        case ListMove move -> {
          var named = new ArrayList<>(List.of(move.element()));
          named.addAll(origin(move.place()));
          yield named;
        }
      };
    }

    private static List<ElementId> origin(Place place) {
      ElementId origin = place.origin();
      return origin == null ? List.of() : List.of(origin);
    }

    private static List<ElementId> lasts(List<ElementRange> ranges) {
      return ranges.stream().map(range -> new ElementId(range.actor(), range.end() - 1)).toList();
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

  /** What names in an operation are to another author. */
  interface Names {
    /** A dot that was seen; null when it is nothing. */
    @Nullable Dot dot(Dot dot);

    /** An element of the sequence; null when it is not there. */
    @Nullable ElementId element(ElementId element);

    /** Dots in the register that were seen besides those that are named. */
    default List<Dot> alsoSeen() {
      return List.of();
    }

    /** What had been seen of each actor, ascending by actor. */
    List<Change.Dependency> seen(List<Change.Dependency> seen);
  }

  /** The same step by another author, or null when nothing is left of it. */
  default @Nullable CrdtOperation renamed(Names names) {
    return switch (this) {
      case Assign(var register, var observed, var value) ->
          new Assign(register, observed(observed, names), value);
      case Remove(var register, var observed) -> new Remove(register, observed(observed, names));
      case Increment increment -> increment;
      case TextInsert(var register, var observed, var place, var text) ->
          new TextInsert(register, observed(observed, names), place(place, names), text);
      case TextDelete(var register, var ranges) -> {
        List<ElementRange> known = ranges(ranges, names);
        yield known.isEmpty() ? null : new TextDelete(register, known);
      }
      case ListInsert(var register, var observed, var place, var values) ->
          new ListInsert(register, observed(observed, names), place(place, names), values);
      case ListDelete(var register, var seen, var ranges) -> {
        List<ElementRange> known = ranges(ranges, names);
        yield known.isEmpty() ? null : new ListDelete(register, names.seen(seen), known);
      }
      case ListSet(var register, var observed, var element, var replaced, var value) -> {
        ElementId known = names.element(element);
        yield known == null
            ? new ListInsert(register, observed(observed, names), Place.START, List.of(value))
            : new ListSet(register, observed(observed, names), known, dots(replaced, names), value);
      }
      case ListMove(var register, var observed, var element, var place) -> {
        ElementId known = names.element(element);
        yield known == null
            ? new ListInsert(register, observed(observed, names), Place.START, List.of())
            : new ListMove(register, observed(observed, names), known, place(place, names));
      }
      case Unknown unknown -> unknown;
    };
  }

  private static List<Dot> observed(List<Dot> observed, Names names) {
    List<Dot> all = dots(observed, names);
    for (Dot dot : names.alsoSeen()) {
      if (!all.contains(dot)) {
        all.add(dot);
      }
    }
    return all;
  }

  private static List<Dot> dots(List<Dot> dots, Names names) {
    var renamed = new ArrayList<Dot>(dots.size());
    for (Dot dot : dots) {
      Dot name = names.dot(dot);
      if (name != null) {
        renamed.add(name);
      }
    }
    return renamed;
  }

  private static Place place(Place place, Names names) {
    ElementId origin = place.origin();
    ElementId known = origin == null ? null : names.element(origin);
    return known == null ? Place.START : new Place(known, place.isLeft());
  }

  private static List<ElementRange> ranges(List<ElementRange> ranges, Names names) {
    var elements = new TreeSet<ElementId>();
    for (ElementRange range : ranges) {
      for (int counter = range.from(); counter < range.end(); counter++) {
        ElementId known = names.element(new ElementId(range.actor(), counter));
        if (known != null) {
          elements.add(known);
        }
      }
    }
    var renamed = new ArrayList<ElementRange>();
    for (ElementId element : elements) {
      ElementRange last = renamed.isEmpty() ? null : renamed.getLast();
      if (last != null && last.actor().equals(element.actor()) && last.end() == element.counter()) {
        renamed.removeLast();
        renamed.add(new ElementRange(last.actor(), last.from(), last.length() + 1));
      } else {
        renamed.add(new ElementRange(element.actor(), element.counter(), 1));
      }
    }
    return renamed;
  }

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

  /** All dots that must be here: those observed, and values of a list element it replaces. */
  default List<Dot> namedDots() {
    if (this instanceof ListSet set && !set.replaced().isEmpty()) {
      var named = new ArrayList<>(set.observed());
      named.addAll(set.replaced());
      return named;
    }
    return observedDots();
  }
}
