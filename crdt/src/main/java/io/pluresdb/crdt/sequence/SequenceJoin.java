package io.pluresdb.crdt.sequence;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.doc.Sibling;
import io.pluresdb.crdt.op.ElementId;
import io.pluresdb.crdt.op.Register;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Joins single rows of what two replicas hold of a text or list, without the changes they came
 * from.
 *
 * <p>Where elements hang never changes, so of two chunks of an author the longer one holds the
 * other. A character is visible if nobody who has it deleted it; deleting is final. The values of a
 * list element join by the dot rule, and of its moves the newest counts.
 */
public final class SequenceJoin {
  private SequenceJoin() {}

  /** The least of a sequence row that says what it is. */
  private record Kind(byte space, int kind) {
    static Kind of(byte[] key) {
      int prefix = SequenceRows.prefixLength(key);
      return new Kind(SequenceRows.register(key)[0], SequenceRows.Key.read(key, prefix).kind());
    }
  }

  /**
   * The joined row, or null when none is left.
   *
   * @param mine this replica's row, or null
   * @param seenHere whether this replica has the change of a dot
   * @param theirs the other's
   * @param seenThere whether the other has
   */
  public static byte @Nullable [] join(
      byte[] key,
      byte @Nullable [] mine,
      Predicate<Dot> seenHere,
      byte @Nullable [] theirs,
      Predicate<Dot> seenThere) {
    if (Arrays.equals(mine, theirs)) {
      return mine;
    }
    Kind kind = Kind.of(key);
    if (kind.kind == SequenceRows.ELEMENT_KIND) {
      return joined(element(mine), seenHere, element(theirs), seenThere);
    }
    if (mine == null || theirs == null) {
      return mine == null ? theirs : mine;
    }
    if (kind.space == Register.TEXT) {
      return joined(Characters.read(mine), Characters.read(theirs));
    }
    return SequenceRows.elements(new ByteReader(mine))
            >= SequenceRows.elements(new ByteReader(theirs))
        ? mine
        : theirs;
  }

  /** A chunk of a text. */
  private record Characters(byte[] head, int count, BitSet visible, int[] text) {
    static Characters read(byte[] row) {
      var in = new ByteReader(row);
      int count = SequenceRows.elements(in);
      byte[] head = Arrays.copyOf(row, in.position());
      var visible = new BitSet();
      int at = 0;
      int pieces = in.count("pieces of a chunk", Chunk.ELEMENTS + 1);
      for (int i = 0; i < pieces; i++) {
        int length = in.count("length of a piece", count - at);
        if (i % 2 == 0) {
          visible.set(at, at + length);
        }
        at += length;
      }
      int[] shown =
          new String(in.block("bytes of a chunk", 4 * Chunk.ELEMENTS), StandardCharsets.UTF_8)
              .codePoints()
              .toArray();
      if (shown.length != visible.cardinality()) {
        throw new CodecException("a chunk of a text has other characters than pieces");
      }
      int[] text = new int[count];
      int next = 0;
      for (int i = visible.nextSetBit(0); i >= 0; i = visible.nextSetBit(i + 1)) {
        text[i] = shown[next++];
      }
      return new Characters(head, count, visible, text);
    }
  }

  private static byte[] joined(Characters mine, Characters theirs) {
    return mine.count >= theirs.count ? both(mine, theirs) : both(theirs, mine);
  }

  private static byte[] both(Characters longer, Characters shorter) {
    var visible = (BitSet) longer.visible.clone();
    for (int i = 0; i < shorter.count; i++) {
      visible.set(i, visible.get(i) && shorter.visible.get(i));
    }
    var out = new ByteWriter(512).bytes(longer.head);
    var text = new StringBuilder(Chunk.ELEMENTS);
    var pieces = new ByteWriter(16);
    int count = 1;
    int length = 0;
    boolean shown = true;
    for (int i = 0; i < longer.count; i++) {
      if (visible.get(i) != shown) {
        pieces.varint(length);
        count++;
        length = 0;
        shown = !shown;
      }
      length++;
      if (shown) {
        text.appendCodePoint(longer.text[i]);
      }
    }
    pieces.varint(length);
    out.varint(count).bytes(pieces.array(), 0, pieces.size());
    return out.block(text.toString().getBytes(StandardCharsets.UTF_8)).toByteArray();
  }

  /** A slot an element was moved to. */
  private record Move(long timestamp, Dot dot, ActorId actor, int counter) {
    boolean isAfter(@Nullable Move other) {
      return other == null
          || (timestamp != other.timestamp
              ? timestamp > other.timestamp
              : dot.compareTo(other.dot) > 0);
    }
  }

  /** A list element. */
  private record Element(@Nullable Move move, List<Sibling> values) {}

  private static Element element(byte @Nullable [] row) {
    if (row == null) {
      return new Element(null, List.of());
    }
    var in = new ByteReader(row);
    if (in.u8() != ListSequence.VERSION) {
      throw new CodecException("element row version must be " + ListSequence.VERSION);
    }
    Move move = null;
    if (in.count("moved", 1) == 1) {
      long timestamp = in.i64();
      Dot dot = ListSequence.readDot(in);
      move = new Move(timestamp, dot, ActorId.read(in), in.count("counter", ElementId.MAX_COUNTER));
    }
    int count = in.count("values of an element", in.remaining());
    var values = new ArrayList<Sibling>(count);
    for (int i = 0; i < count; i++) {
      Dot dot = ListSequence.readDot(in);
      long timestamp = in.i64();
      values.add(new Sibling(dot, timestamp, in.block("value bytes", in.remaining())));
    }
    in.end();
    return new Element(move, values);
  }

  private static byte @Nullable [] joined(
      Element mine, Predicate<Dot> seenHere, Element theirs, Predicate<Dot> seenThere) {
    var values = new TreeMap<Dot, Sibling>();
    var held = new TreeMap<Dot, Sibling>();
    theirs.values.forEach(value -> held.put(value.dot(), value));
    for (Sibling value : mine.values) {
      if (held.remove(value.dot()) != null || !seenThere.test(value.dot())) {
        values.put(value.dot(), value);
      }
    }
    held.values().stream()
        .filter(value -> !seenHere.test(value.dot()))
        .forEach(value -> values.put(value.dot(), value));
    Move other = theirs.move;
    Move move = other != null && other.isAfter(mine.move) ? other : mine.move;
    if (values.isEmpty() && move == null) {
      return null;
    }
    var out = new ByteWriter(256).u8(ListSequence.VERSION).u8(move == null ? 0 : 1);
    if (move != null) {
      ListSequence.write(move.dot, out.i64(move.timestamp));
      move.actor.write(out);
      out.varint(move.counter);
    }
    out.varint(values.size());
    for (Sibling value : values.values()) {
      ListSequence.write(value.dot(), out);
      out.i64(value.timestamp()).block(value.value());
    }
    return out.toByteArray();
  }

  /**
   * Checks all rows of one text or list that another replica made.
   *
   * @param rows ascending, of one register of one document
   * @param seen whether the other replica has the change of a dot
   * @throws CodecException when they are not the rows of a sequence in canonical form, or hold what
   *     their maker cannot have seen
   */
  public static void checkForeign(List<Sequence.Row> rows, Predicate<Dot> seen) {
    byte[] first = rows.getFirst().key();
    byte[] register = SequenceRows.register(first);
    Register.check(register);
    if (!Register.isSequence(register)) {
      throw new CodecException("a sequence row belongs to a register that holds none");
    }
    byte[] prefix = Arrays.copyOf(first, SequenceRows.prefixLength(first));
    for (Sequence.Row row : rows) {
      Kind kind = Kind.of(row.key());
      if (kind.kind == SequenceRows.ELEMENT_KIND) {
        Element element = element(row.value());
        if (element.move != null && !seen.test(element.move.dot)) {
          throw new CodecException("a list holds a move its maker has not seen");
        }
        if (element.values.stream().anyMatch(value -> !seen.test(value.dot()))) {
          throw new CodecException("a list holds a value its maker has not seen");
        }
      }
    }
    var expected = new TreeMap<byte[], byte[]>(Arrays::compareUnsigned);
    rows.forEach(row -> expected.put(row.key(), row.value()));
    Sequence sequence = Sequence.read(register, prefix, rows);
    sequence.everythingChanged();
    sequence.flush(
        prefix,
        (key, row) -> {
          if (!Arrays.equals(expected.remove(key), row)) {
            throw new CodecException("a sequence row is not canonical");
          }
        });
    if (!expected.isEmpty()) {
      throw new CodecException("a sequence row is not canonical");
    }
  }
}
