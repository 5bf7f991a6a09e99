package io.pluresdb.crdt.sequence;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.doc.Content;
import io.pluresdb.crdt.doc.Sibling;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.CrdtOperation.OnSequence;
import io.pluresdb.crdt.op.ElementId;
import io.pluresdb.crdt.op.ElementRange;
import io.pluresdb.crdt.op.Place;
import io.pluresdb.crdt.value.CanonicalJson;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A list whose elements have an identity (Kleppmann, "Moving elements in list CRDTs", PaPoC 2020).
 *
 * <p>The order holds <i>slots</i>. Inserting an element makes its first slot, whose name is the
 * element's; moving it makes another. Of its slots the one with the greatest {@code (hybrid time,
 * dot)} holds it, so it is never in two places and never in none. Its value is a multi-value
 * register; without a value it is not shown. So a concurrent set survives a delete, wherever the
 * element was moved, and a move alone does not.
 *
 * <pre>
 * chunk row   := head | actors varint | actor 16 * | (own varint | moved element) * | own varint
 *                       own: so many elements; moved: a slot of that element
 * element row := version u8 = 1 | moved u8 | (timestamp u64 | dot | slot) if moved
 *              | values varint | (dot | timestamp u64 | valueLength varint | value) *   ascending by dot
 * dot         := actor 16 | seq varint | index varint
 * slot        := actor 16 | counter varint
 * </pre>
 *
 * An element that has no value and was never moved has no row.
 */
public final class ListSequence extends Sequence {
  static final int VERSION = 1;

  /** A slot an element was moved to, and when. */
  private record Position(long timestamp, Dot dot, long slot) {
    boolean isAfter(@Nullable Position other) {
      if (other == null) {
        return true;
      }
      return timestamp != other.timestamp
          ? timestamp > other.timestamp
          : dot.compareTo(other.dot) > 0;
    }
  }

  /** An element: immutable, replaced when it changes. */
  private record Element(List<Sibling> values, @Nullable Position position) {
    static final Element GONE = new Element(List.of(), null);
  }

  // By the key of the first slot; an element that needs no row has no entry.
  private final Map<Long, Element> elements = new HashMap<>();
  // Slots made by moves, and whose they are.
  private final Map<Long, Long> movedTo = new HashMap<>();
  private final LinkedHashSet<Long> dirtyElements = new LinkedHashSet<>();

  @Override
  public void apply(OnSequence operation, Dot dot, long timestamp) {
    switch (operation) {
      case CrdtOperation.ListInsert(var register, var observed, var place, var values) -> {
        int counter = insert(dot.actor(), values.size(), place, true);
        Author author = order.author(dot.actor());
        for (int i = 0; i < values.size(); i++) {
          replace(
              author.key(counter + i),
              new Element(List.of(new Sibling(dot, timestamp, values.get(i))), null));
        }
      }
      case CrdtOperation.ListDelete(var register, var seen, var ranges) -> {
        var bounds = new HashMap<ActorId, Long>();
        for (Change.Dependency last : seen) {
          bounds.put(last.actor(), last.seq());
        }
        for (ElementRange range : ranges) {
          Author author = order.author(range.actor());
          for (int c = range.from(); c < range.end(); c++) {
            delete(author.key(c), bounds);
          }
        }
      }
      case CrdtOperation.ListSet(
              var register,
              var observed,
              var element,
              var replaced,
              var value) ->
          set(order.key(element), replaced, new Sibling(dot, timestamp, value));
      case CrdtOperation.ListMove(var register, var observed, var element, var place) -> {
        Author author = order.author(dot.actor());
        long slot = author.key(insert(dot.actor(), 1, place, false));
        long key = order.key(element);
        movedTo.put(slot, key);
        undoable(() -> movedTo.remove(slot));
        var position = new Position(timestamp, dot, slot);
        Element old = elements.getOrDefault(key, Element.GONE);
        if (position.isAfter(old.position) && !movedTo.containsKey(key)) {
          replace(key, new Element(old.values, position));
        }
      }
      default -> throw new IllegalArgumentException("not an operation on a list: " + operation);
    }
  }

  private void delete(long key, Map<ActorId, Long> seen) {
    Element old = elements.get(key);
    if (old == null) {
      return;
    }
    var left = new ArrayList<Sibling>(old.values);
    left.removeIf(value -> seen.getOrDefault(value.dot().actor(), 0L) >= value.dot().seq());
    if (left.size() < old.values.size()) {
      replace(key, new Element(left, old.position));
    }
  }

  private void set(long key, Collection<Dot> replaced, Sibling value) {
    if (movedTo.containsKey(key)) {
      return; // The name of a slot, not of an element: nothing to set, on every replica.
    }
    Element old = elements.getOrDefault(key, Element.GONE);
    var values = new ArrayList<Sibling>(old.values);
    values.removeIf(sibling -> replaced.contains(sibling.dot()));
    values.add(value);
    values.sort(Comparator.comparing(Sibling::dot));
    replace(key, new Element(values, old.position));
  }

  /** Puts an element's new state in, shows it where it is and nowhere else. */
  private void replace(long key, Element element) {
    Element old = put(key, element);
    undoable(() -> put(key, old));
    dirtyElements.add(key);
    long before = old.position == null ? key : old.position.slot;
    long after = element.position == null ? key : element.position.slot;
    if (before != after) {
      show(before, false);
    }
    show(after, !element.values.isEmpty());
  }

  private Element put(long key, Element element) {
    Element old =
        element.values.isEmpty() && element.position == null
            ? elements.remove(key)
            : elements.put(key, element);
    return old == null ? Element.GONE : old;
  }

  private void show(long slot, boolean visible) {
    setVisible(order.authorOf(slot), Order.counterOf(slot), 1, visible);
  }

  private long ownerOf(long slot) {
    Long owner = movedTo.get(slot);
    return owner == null ? slot : owner;
  }

  private Element at(int position) {
    return elements.getOrDefault(ownerOf(order.keyAt(position)), Element.GONE);
  }

  /** The element at {@code position} in [0, length), by the name it keeps when it moves. */
  @Override
  public ElementId elementAt(int position) {
    return order.id(ownerOf(order.keyAt(position)));
  }

  /** The dots of the values of the element at {@code position}. */
  public List<Dot> valuesAt(int position) {
    return at(position).values.stream().map(Sibling::dot).toList();
  }

  /** The value shown at {@code position}, canonical JSON. */
  public byte[] valueAt(int position) {
    return shown(at(position)).value();
  }

  /** The values shown, in order. */
  public List<byte[]> values() {
    var values = new ArrayList<byte[]>(order.length());
    forEachShown(element -> values.add(shown(element).value()));
    return values;
  }

  /** The elements at {@code [position, position + count)} as ranges that ascend by id. */
  @Override
  public List<ElementRange> rangesAt(int position, int count) {
    return owners(super.rangesAt(position, count));
  }

  /** Slots made by moves in exchange for the elements in them. */
  private List<ElementRange> owners(List<ElementRange> slots) {
    if (movedTo.isEmpty()) {
      return slots;
    }
    var owners = new ArrayList<ElementRange>();
    for (ElementRange range : slots) {
      Author author = order.author(range.actor());
      for (int c = range.from(); c < range.end(); c++) {
        ElementId id = order.id(ownerOf(author.key(c)));
        owners.add(new ElementRange(id.actor(), id.counter(), 1));
      }
    }
    return joined(owners);
  }

  /** Per actor the newest change among the values of some elements, ascending by actor. */
  public List<Change.Dependency> seen(List<ElementRange> ranges) {
    var seen = new TreeMap<ActorId, Long>();
    for (ElementRange range : ranges) {
      Author author = order.author(range.actor());
      for (int c = range.from(); c < range.end(); c++) {
        for (Sibling value : elements.getOrDefault(author.key(c), Element.GONE).values) {
          seen.merge(value.dot().actor(), value.dot().seq(), Math::max);
        }
      }
    }
    return seen.entrySet().stream()
        .map(entry -> new Change.Dependency(entry.getKey(), entry.getValue()))
        .toList();
  }

  private interface ShownElement {
    void visit(Element element);
  }

  private void forEachShown(ShownElement visitor) {
    order.forEach(
        span -> {
          for (int c = span.from; span.visible && c < span.end(); c++) {
            visitor.visit(elements.getOrDefault(ownerOf(span.key(c)), Element.GONE));
          }
          return true;
        });
  }

  private static Sibling shown(Element element) {
    return Collections.max(element.values, Sibling.BY_TIME);
  }

  @Override
  public Content content() {
    var json = new ByteWriter(256).u8('[');
    var conflicts = new ArrayList<Sibling>();
    forEachShown(
        element -> {
          Sibling shown = shown(element);
          if (json.size() > 1) {
            json.u8(',');
          }
          json.bytes(shown.value());
          for (Sibling value : element.values) {
            if (!value.equals(shown)) {
              conflicts.add(value);
            }
          }
        });
    return new Content(json.u8(']').toByteArray(), conflicts);
  }

  /** The operations that insert {@code values} at {@code at}, 0 to the length. */
  public List<CrdtOperation> insert(
      byte[] register, List<Dot> observed, int at, List<byte[]> values) {
    requirePosition("at", at, length(), "list of " + length());
    Place place = values.isEmpty() ? Place.START : placeAt(at);
    return List.of(new CrdtOperation.ListInsert(register, observed, place, values));
  }

  /** The operations that delete the {@code count} elements from {@code at} on. */
  public List<CrdtOperation> delete(byte[] register, int at, int count) {
    requirePosition("at", at, length(), "list of " + length());
    requirePosition("count", count, length() - at, "list of " + length() + " from " + at + " on");
    return count == 0 ? List.of() : delete(register, rangesAt(at, count));
  }

  private List<CrdtOperation> delete(byte[] register, List<ElementRange> ranges) {
    return List.of(new CrdtOperation.ListDelete(register, seen(ranges), ranges));
  }

  /** The operations after which the element at {@code from} stands at {@code to}. */
  public List<CrdtOperation> move(byte[] register, List<Dot> observed, int from, int to) {
    requireElement("from", from);
    requireElement("to", to);
    return List.of(
        new CrdtOperation.ListMove(
            register, observed, elementAt(from), placeAt(to > from ? to + 1 : to)));
  }

  /** The operations that give the element at {@code at} another value. */
  public List<CrdtOperation> set(byte[] register, List<Dot> observed, int at, byte[] value) {
    requireElement("at", at);
    return List.of(
        new CrdtOperation.ListSet(register, observed, elementAt(at), valuesAt(at), value));
  }

  private void requireElement(String what, int position) {
    if (length() == 0) {
      throw CoreException.invalid(what + " must name an element, but the list is empty");
    }
    requirePosition(what, position, length() - 1, "list of " + length());
  }

  @Override
  public List<CrdtOperation> become(byte[] register, List<Dot> observed, byte[] json) {
    List<byte[]> wanted = CanonicalJson.elements(json);
    if (wanted.isEmpty() && observed.isEmpty()) {
      return insert(register, observed, 0, wanted);
    }
    return new ListDifference(this, register, observed).become(wanted);
  }

  @Override
  public List<CrdtOperation> clear(byte[] register) {
    List<ElementRange> all = all();
    return all.isEmpty() ? List.of() : delete(register, all);
  }

  @Override
  public void flush(byte[] prefix, RowSink sink) {
    var out = new ByteWriter(512);
    for (Chunk chunk : order.dirty()) {
      SequenceRows.writeHead(order, chunk, out.clear());
      writeOwners(chunk, out);
      sink.row(
          SequenceRows.key(prefix, SequenceRows.CHUNK_KIND, chunk.author.actor, chunk.number),
          out.toByteArray());
    }
    order.clean();
    for (long key : dirtyElements) {
      Element element = elements.get(key);
      byte[] row = null;
      if (element != null) {
        write(element, out.clear());
        row = out.toByteArray();
      }
      ElementId id = order.id(key);
      sink.row(SequenceRows.key(prefix, SequenceRows.ELEMENT_KIND, id.actor(), id.counter()), row);
    }
    dirtyElements.clear();
  }

  @Override
  public void everythingChanged() {
    super.everythingChanged();
    dirtyElements.addAll(elements.keySet());
  }

  private void writeOwners(Chunk chunk, ByteWriter out) {
    Map<Integer, Integer> table = new LinkedHashMap<>();
    table.put(chunk.author.index, 0);
    var body = new ByteWriter(16);
    int own = 0;
    int from = chunk.number * Chunk.ELEMENTS;
    for (int c = from; c < Math.min(chunk.author.count, from + Chunk.ELEMENTS); c++) {
      Long owner = movedTo.get(chunk.author.key(c));
      if (owner == null) {
        own++;
      } else {
        body.varint(own);
        SequenceRows.writeElement(order, table, owner, body);
        own = 0;
      }
    }
    body.varint(own);
    SequenceRows.writeTable(order, table, out);
    out.bytes(body.array(), 0, body.size());
  }

  private void write(Element element, ByteWriter out) {
    Position position = element.position;
    out.u8(VERSION).u8(position == null ? 0 : 1);
    if (position != null) {
      out.i64(position.timestamp);
      write(position.dot, out);
      ElementId slot = order.id(position.slot);
      slot.actor().write(out);
      out.varint(slot.counter());
    }
    out.varint(element.values.size());
    for (Sibling value : element.values) {
      write(value.dot(), out);
      out.i64(value.timestamp()).block(value.value());
    }
  }

  static void write(Dot dot, ByteWriter out) {
    dot.actor().write(out);
    out.varint(dot.seq()).varint(dot.index());
  }

  static Dot readDot(ByteReader in) {
    return new Dot(ActorId.read(in), in.varint(), in.count("dot index", Integer.MAX_VALUE));
  }

  @Override
  void load(SequenceRows.Key key, ByteReader in) {
    switch (key.kind()) {
      case SequenceRows.CHUNK_KIND -> {
        Chunk chunk = SequenceRows.readHead(order, key, in);
        List<Author> table = SequenceRows.readTable(order, chunk.author, in);
        int slot = key.number() * Chunk.ELEMENTS;
        while (true) {
          slot += in.count("elements of a chunk", chunk.author.count - slot);
          if (slot == chunk.author.count) {
            return;
          }
          movedTo.put(chunk.author.key(slot++), SequenceRows.readElement(table, in));
        }
      }
      case SequenceRows.ELEMENT_KIND ->
          elements.put(order.author(key.actor()).key(key.number()), readElement(in));
      default -> throw new CodecException("a list has no row of kind " + key.kind());
    }
  }

  private Element readElement(ByteReader in) {
    int version = in.u8();
    if (version != VERSION) {
      throw new CodecException("element row version must be " + VERSION + ", but is " + version);
    }
    Position position = null;
    if (in.count("moved", 1) == 1) {
      long timestamp = in.i64();
      Dot dot = readDot(in);
      Author author = order.author(ActorId.read(in));
      position =
          new Position(timestamp, dot, author.key(in.count("counter", ElementId.MAX_COUNTER)));
    }
    int count = in.count("values of an element", in.remaining());
    var values = new ArrayList<Sibling>(count);
    for (int i = 0; i < count; i++) {
      Dot dot = readDot(in);
      long timestamp = in.i64();
      values.add(new Sibling(dot, timestamp, in.block("value bytes", in.remaining())));
    }
    return new Element(values, position);
  }

  @Override
  void loaded() {
    order.build(
        slot -> {
          Element element = elements.get(ownerOf(slot));
          if (element == null || element.values.isEmpty()) {
            return false;
          }
          return slot == (element.position == null ? ownerOf(slot) : element.position.slot);
        });
  }
}
