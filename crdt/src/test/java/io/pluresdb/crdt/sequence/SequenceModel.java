package io.pluresdb.crdt.sequence;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.CrdtOperation.ListDelete;
import io.pluresdb.crdt.op.CrdtOperation.ListInsert;
import io.pluresdb.crdt.op.CrdtOperation.ListMove;
import io.pluresdb.crdt.op.CrdtOperation.ListSet;
import io.pluresdb.crdt.op.CrdtOperation.TextDelete;
import io.pluresdb.crdt.op.CrdtOperation.TextInsert;
import io.pluresdb.crdt.op.ElementId;
import io.pluresdb.crdt.op.ElementRange;
import io.pluresdb.crdt.op.Place;
import io.pluresdb.crdt.sequence.SequenceHistory.Event;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What a set of operations means, told naively: an element's way down the tree from the root is a
 * word, the order is that of the words, and nothing is kept but facts.
 */
final class SequenceModel {
  /** A rule of the model, broken. */
  enum Mutant {
    /** Everything hangs on the right. */
    SIDE_IGNORED,
    /** Left children come after their parent. */
    SIDES_SWAPPED,
    /** Siblings descend. */
    SIBLINGS_DESCENDING,
    /** Siblings come in the order in which they arrive. */
    SIBLINGS_BY_ARRIVAL,
    /** A delete takes away what stands at its index where it is applied. */
    DELETE_BY_INDEX,
    /** A delete is an element's last word, whatever it had seen. */
    DELETE_WINS_OVER_SET,
    /** A move makes a deleted element return. */
    MOVE_REVIVES,
    /** A move deletes here and inserts there. */
    MOVE_AS_DELETE_AND_INSERT,
    /** The move that arrives last says where an element is. */
    MOVE_BY_ARRIVAL,
    /** A set replaces what it finds where it is applied. */
    SET_REPLACES_ALL
  }

  /** One step down the tree, or the element itself between its children. */
  private record Step(int side, ElementId id, int arrival) {}

  private record Value(Dot dot, long timestamp, String json) {}

  private record Move(long timestamp, Dot dot, ElementId slot) {}

  private final @Nullable Mutant mutant;
  private final Map<ElementId, List<Step>> ways = new HashMap<>();
  private final Map<ActorId, Integer> counts = new HashMap<>();
  private final Map<ElementId, Integer> characters = new HashMap<>();
  private final Set<ElementId> deleted = new HashSet<>();
  private final Map<ElementId, List<Value>> values = new HashMap<>();
  private final Map<ElementId, List<Move>> moves = new HashMap<>();
  private final Set<ElementId> slotsOfMoves = new HashSet<>();

  SequenceModel(@Nullable Mutant mutant) {
    this.mutant = mutant;
  }

  private ElementId insert(ActorId actor, Place place) {
    int counter = counts.merge(actor, 1, Integer::sum) - 1;
    var id = new ElementId(actor, counter);
    ElementId origin = place.origin();
    var way =
        new ArrayList<Step>(origin == null ? List.of() : ways.getOrDefault(origin, List.of()));
    boolean left = place.isLeft() && mutant != Mutant.SIDE_IGNORED;
    way.add(new Step((left == (mutant != Mutant.SIDES_SWAPPED)) ? 0 : 2, id, ways.size()));
    ways.put(id, way);
    return id;
  }

  void apply(Event event) {
    switch (event.operation()) {
      case TextInsert(var register, var observed, var place, var text) -> {
        Place next = place;
        for (int character : text.codePoints().toArray()) {
          ElementId id = insert(event.dot().actor(), next);
          characters.put(id, character);
          next = Place.rightOf(id);
        }
      }
      case TextDelete(var register, var ranges) -> {
        if (mutant == Mutant.DELETE_BY_INDEX) {
          List<ElementId> shown = shown();
          int from = Math.min(event.at(), shown.size());
          deleted.addAll(shown.subList(from, Math.min(shown.size(), from + event.count())));
        } else {
          ranges.forEach(range -> deleted.addAll(ids(range)));
        }
      }
      case ListInsert(var register, var observed, var place, var jsons) -> {
        Place next = place;
        for (byte[] json : jsons) {
          ElementId id = insert(event.dot().actor(), next);
          valuesOf(id).add(value(event, json));
          next = Place.rightOf(id);
        }
      }
      case ListDelete delete -> delete(event, delete);
      case ListSet(var register, var observed, var element, var replaced, var json) -> {
        valuesOf(element)
            .removeIf(v -> mutant == Mutant.SET_REPLACES_ALL || replaced.contains(v.dot));
        valuesOf(element).add(value(event, json));
      }
      case ListMove(var register, var observed, var element, var place) -> {
        ElementId slot = insert(event.dot().actor(), place);
        if (mutant == Mutant.MOVE_AS_DELETE_AND_INSERT) {
          valuesOf(slot).addAll(valuesOf(element));
          valuesOf(element).clear();
        } else {
          slotsOfMoves.add(slot);
          moves
              .computeIfAbsent(element, e -> new ArrayList<>())
              .add(new Move(event.timestamp(), event.dot(), slot));
        }
      }
    }
  }

  private void delete(Event event, ListDelete delete) {
    var elements = new ArrayList<ElementId>();
    delete.ranges().forEach(range -> elements.addAll(ids(range)));
    if (mutant == Mutant.DELETE_BY_INDEX) {
      List<ElementId> shown = shown();
      elements.clear();
      int from = Math.min(event.at(), shown.size());
      for (ElementId slot : shown.subList(from, Math.min(shown.size(), from + event.count()))) {
        elements.add(ownerOf(slot));
      }
    }
    var seen = new HashMap<ActorId, Long>();
    for (Change.Dependency last : delete.seen()) {
      seen.put(last.actor(), last.seq());
    }
    for (ElementId element : elements) {
      if (mutant == Mutant.DELETE_WINS_OVER_SET) {
        deleted.add(element);
      }
      valuesOf(element)
          .removeIf(
              v ->
                  mutant != Mutant.MOVE_REVIVES
                      && seen.getOrDefault(v.dot.actor(), 0L) >= v.dot.seq());
      if (mutant == Mutant.MOVE_REVIVES
          && moves.getOrDefault(element, List.of()).stream()
              .allMatch(m -> seen.getOrDefault(m.dot.actor(), 0L) >= m.dot.seq())) {
        valuesOf(element).clear();
      }
    }
  }

  private List<Value> valuesOf(ElementId id) {
    return values.computeIfAbsent(id, i -> new ArrayList<>());
  }

  private static Value value(Event event, byte[] json) {
    return new Value(event.dot(), event.timestamp(), new String(json, StandardCharsets.UTF_8));
  }

  private static List<ElementId> ids(ElementRange range) {
    var ids = new ArrayList<ElementId>();
    for (int c = range.from(); c < range.end(); c++) {
      ids.add(new ElementId(range.actor(), c));
    }
    return ids;
  }

  /** All elements in order, deleted ones too. */
  List<ElementId> ordered() {
    var all = new ArrayList<>(ways.keySet());
    all.sort((a, b) -> compare(word(a), word(b)));
    return all;
  }

  /** The way to an element, ended by a step that lies between its left and right children. */
  private List<Step> word(ElementId id) {
    var word = new ArrayList<>(ways.getOrDefault(id, List.of()));
    word.add(new Step(1, id, 0));
    return word;
  }

  private int compare(List<Step> a, List<Step> b) {
    Comparator<Step> siblings = Comparator.comparing(Step::id);
    if (mutant == Mutant.SIBLINGS_DESCENDING) {
      siblings = siblings.reversed();
    } else if (mutant == Mutant.SIBLINGS_BY_ARRIVAL) {
      siblings = Comparator.comparingInt(Step::arrival);
    }
    Comparator<Step> steps = Comparator.comparingInt(Step::side).thenComparing(siblings);
    for (int i = 0; i < Math.min(a.size(), b.size()); i++) {
      int order = steps.compare(a.get(i), b.get(i));
      if (order != 0) {
        return order;
      }
    }
    return 0;
  }

  private ElementId ownerOf(ElementId slot) {
    for (var entry : moves.entrySet()) {
      if (entry.getValue().stream().anyMatch(m -> m.slot.equals(slot))) {
        return entry.getKey();
      }
    }
    return slot;
  }

  private ElementId slotOf(ElementId element) {
    List<Move> all = moves.getOrDefault(element, List.of());
    if (all.isEmpty()) {
      return element;
    }
    return mutant == Mutant.MOVE_BY_ARRIVAL
        ? all.getLast().slot
        : all.stream()
            .max(Comparator.comparingLong(Move::timestamp).thenComparing(Move::dot))
            .orElseThrow()
            .slot;
  }

  /** The slots or characters a reader sees, in order. */
  private List<ElementId> shown() {
    var places = new TreeMap<ElementId, Boolean>();
    characters.keySet().forEach(id -> places.put(id, !deleted.contains(id)));
    values.forEach(
        (element, all) -> {
          if (!all.isEmpty() && !deleted.contains(element) && !slotsOfMoves.contains(element)) {
            places.put(slotOf(element), true);
          }
        });
    return ordered().stream().filter(id -> places.getOrDefault(id, false)).toList();
  }

  String text() {
    var text = new StringBuilder();
    shown().forEach(id -> text.appendCodePoint(characters.getOrDefault(id, 0)));
    return text.toString();
  }

  String list() {
    var shown = new ArrayList<String>();
    for (ElementId slot : shown()) {
      shown.add(
          valuesOf(ownerOf(slot)).stream()
              .max(Comparator.comparingLong(Value::timestamp).thenComparing(Value::dot))
              .orElseThrow()
              .json);
    }
    return "[" + String.join(",", shown) + "]";
  }

  /** Number of elements that are alive, counted without regard to where they are. */
  long alive() {
    return values.entrySet().stream()
        .filter(e -> !e.getValue().isEmpty() && !slotsOfMoves.contains(e.getKey()))
        .count();
  }
}
