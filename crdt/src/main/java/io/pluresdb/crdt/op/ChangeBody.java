package io.pluresdb.crdt.op;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.value.CanonicalJson;
import io.pluresdb.crdt.value.Utf8;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The operations of one change as bytes.
 *
 * <pre>
 * body     := version u8 = 1 | actors varint | actor 16 * | edits varint | edit *
 * edit     := idLength varint | id | operations varint | operation *
 * operation:= tag u8 | registerLength varint | register | rest
 * rest     := 1 assign, nothing observed: valueLength varint | value
 *           | 2 assign:                   observed | valueLength varint | value
 *           | 3 remove:                   observed
 *           | 4 increment:                zigzag varint
 *           | 5 text insert:              observed | place | textLength varint | text
 *           | 6 text delete:              ranges
 *           | 7 list insert:              observed | place | values varint | (valueLength varint | value) *
 *           | 8 list delete:              seen | ranges
 *           | 9 list set:                 observed | element | observed | valueLength varint | value
 *           | 10 list move:               observed | element | place
 *           | 64..255 unknown:            length varint | payload
 * observed := count varint | (actor index varint | seq varint | index varint) *
 * seen     := count varint | (actor index varint | seq varint) *
 * element  := actor index varint | counter varint
 * place    := 0 | 1 right of element | 2 left of element
 * ranges   := count varint | (element | length varint) *
 * </pre>
 *
 * Actor index 0 is the author, 1 the first of the table, and so on. The encoding is canonical: the
 * table names each foreign actor once, in the order of first use.
 */
public final class ChangeBody {
  /** Most document edits in one change. */
  public static final int MAX_EDITS = 1_000;

  /** Largest body, in bytes. */
  public static final int MAX_BYTES = 1 << 20;

  /** Longest document id, in bytes of UTF-8. */
  public static final int MAX_ID_BYTES = 1_024;

  /** Most operations on one document in one change. */
  public static final int MAX_OPERATIONS = 65_536;

  /** Longest embedding, in dimensions. */
  public static final int MAX_DIMENSIONS = 4_096;

  /** Tags from here on belong to later versions. */
  public static final int FIRST_UNKNOWN_TAG = 64;

  private static final int VERSION = 1;
  private static final int ASSIGN_FRESH = 1;
  private static final int ASSIGN = 2;
  private static final int REMOVE = 3;
  private static final int INCREMENT = 4;
  private static final int TEXT_INSERT = 5;
  private static final int TEXT_DELETE = 6;
  private static final int LIST_INSERT = 7;
  private static final int LIST_DELETE = 8;
  private static final int LIST_SET = 9;
  private static final int LIST_MOVE = 10;
  private static final int MEAN_OPERATION_BYTES = 32;
  private static final int AT_START = 0;
  private static final int RIGHT_OF = 1;
  private static final int LEFT_OF = 2;
  // Bounded by the bytes of the body alone, as on the writing side: a dot takes three or more.
  private static final int MAX_OBSERVED = MAX_BYTES / 3;
  private static final int MAX_ACTORS = 65_536;

  private ChangeBody() {}

  /** Encodes the edits of a change by {@code author}. */
  public static byte[] encode(ActorId author, List<DocumentEdit> edits) {
    Map<ActorId, Integer> actors = new LinkedHashMap<>();
    var out = new ByteWriter(2 + bytes(edits));
    out.u8(VERSION).varint(0);
    int head = out.size();
    out.varint(edits.size());
    for (DocumentEdit edit : edits) {
      out.block(edit.id()).varint(edit.operations().size());
      for (CrdtOperation operation : edit.operations()) {
        encode(author, actors, operation, out);
      }
    }
    if (actors.isEmpty()) {
      return out.take();
    }
    var named = new ByteWriter(out.size() + 9 + ActorId.BYTES * actors.size());
    named.u8(VERSION).varint(actors.size());
    actors.keySet().forEach(actor -> actor.write(named));
    return named.bytes(out.array(), head, out.size()).toByteArray();
  }

  /** What they take behind the table of actors; a guess for all but what new documents need. */
  private static int bytes(List<DocumentEdit> edits) {
    int bytes = ByteWriter.varintBytes(edits.size());
    for (DocumentEdit edit : edits) {
      bytes += ByteWriter.blockBytes(edit.id()) + ByteWriter.varintBytes(edit.operations().size());
      for (CrdtOperation operation : edit.operations()) {
        bytes += 1 + ByteWriter.blockBytes(operation.register());
        bytes +=
            operation instanceof CrdtOperation.Assign assign
                ? ByteWriter.blockBytes(assign.value())
                : MEAN_OPERATION_BYTES;
      }
    }
    return bytes;
  }

  private static void encode(
      ActorId author, Map<ActorId, Integer> actors, CrdtOperation operation, ByteWriter out) {
    switch (operation) {
      case CrdtOperation.Assign(var register, var observed, var value) -> {
        out.u8(observed.isEmpty() ? ASSIGN_FRESH : ASSIGN).block(register);
        if (!observed.isEmpty()) {
          observed(author, actors, observed, out);
        }
        out.block(value);
      }
      case CrdtOperation.Remove(var register, var observed) -> {
        out.u8(REMOVE).block(register);
        observed(author, actors, observed, out);
      }
      case CrdtOperation.Increment(var register, var amount) ->
          out.u8(INCREMENT).block(register).varint((amount << 1) ^ (amount >> 63));
      case CrdtOperation.TextInsert(var register, var observed, var place, var text) -> {
        out.u8(TEXT_INSERT).block(register);
        observed(author, actors, observed, out);
        place(author, actors, place, out);
        out.block(text.getBytes(StandardCharsets.UTF_8));
      }
      case CrdtOperation.TextDelete(var register, var ranges) -> {
        out.u8(TEXT_DELETE).block(register);
        ranges(author, actors, ranges, out);
      }
      case CrdtOperation.ListInsert(var register, var observed, var place, var values) -> {
        out.u8(LIST_INSERT).block(register);
        observed(author, actors, observed, out);
        place(author, actors, place, out);
        out.varint(values.size());
        values.forEach(out::block);
      }
      case CrdtOperation.ListDelete(var register, var seen, var ranges) -> {
        out.u8(LIST_DELETE).block(register);
        out.varint(seen.size());
        for (Change.Dependency last : seen) {
          out.varint(index(author, actors, last.actor())).varint(last.seq());
        }
        ranges(author, actors, ranges, out);
      }
      case CrdtOperation.ListSet(
              var register,
              var observed,
              var element,
              var replaced,
              var value) -> {
        out.u8(LIST_SET).block(register);
        observed(author, actors, observed, out);
        element(author, actors, element, out);
        observed(author, actors, replaced, out);
        out.block(value);
      }
      case CrdtOperation.ListMove(var register, var observed, var element, var place) -> {
        out.u8(LIST_MOVE).block(register);
        observed(author, actors, observed, out);
        element(author, actors, element, out);
        place(author, actors, place, out);
      }
      case CrdtOperation.Unknown(var tag, var register, var payload) ->
          out.u8(tag).block(register).block(payload);
    }
  }

  private static void element(
      ActorId author, Map<ActorId, Integer> actors, ElementId element, ByteWriter out) {
    out.varint(index(author, actors, element.actor())).varint(element.counter());
  }

  private static void place(
      ActorId author, Map<ActorId, Integer> actors, Place place, ByteWriter out) {
    ElementId origin = place.origin();
    if (origin == null) {
      out.u8(AT_START);
    } else {
      out.u8(place.isLeft() ? LEFT_OF : RIGHT_OF);
      element(author, actors, origin, out);
    }
  }

  private static void ranges(
      ActorId author, Map<ActorId, Integer> actors, List<ElementRange> ranges, ByteWriter out) {
    out.varint(ranges.size());
    for (ElementRange range : ranges) {
      out.varint(index(author, actors, range.actor())).varint(range.from()).varint(range.length());
    }
  }

  private static int index(ActorId author, Map<ActorId, Integer> actors, ActorId actor) {
    if (actor.equals(author)) {
      return 0;
    }
    Integer known = actors.get(actor);
    if (known == null) {
      known = actors.size() + 1;
      actors.put(actor, known);
    }
    return known;
  }

  private static void observed(
      ActorId author, Map<ActorId, Integer> actors, List<Dot> dots, ByteWriter out) {
    out.varint(dots.size());
    for (Dot dot : dots) {
      out.varint(index(author, actors, dot.actor())).varint(dot.seq()).varint(dot.index());
    }
  }

  /**
   * Decodes and checks a body.
   *
   * @throws CodecException on anything this format does not allow
   */
  public static List<DocumentEdit> decode(ActorId author, byte[] body) {
    if (body.length > MAX_BYTES) {
      throw new CodecException(
          "body must be at most " + MAX_BYTES + " bytes, but is " + body.length);
    }
    var in = new ByteReader(body);
    int version = in.u8();
    if (version != VERSION) {
      throw new CodecException("body version must be " + VERSION + ", but is " + version);
    }
    int actorCount = in.count("actors of a body", MAX_ACTORS);
    var actors = new ArrayList<ActorId>(Math.min(actorCount, 64));
    actors.add(author);
    for (int i = 0; i < actorCount; i++) {
      actors.add(ActorId.read(in));
    }
    int editCount = in.count("edits of a change", MAX_EDITS);
    var edits = new ArrayList<DocumentEdit>(editCount);
    for (int i = 0; i < editCount; i++) {
      byte[] id = in.block("id bytes", MAX_ID_BYTES);
      checkId(id);
      int operationCount = in.count("operations on a document", MAX_OPERATIONS);
      var operations = new ArrayList<CrdtOperation>(Math.min(operationCount, 1_024));
      for (int j = 0; j < operationCount; j++) {
        operations.add(operation(actors, in));
      }
      edits.add(new DocumentEdit(id, operations));
    }
    in.end();
    return edits;
  }

  /**
   * Checks a document id that came from a peer.
   *
   * @throws CodecException unless it is 1 to {@link #MAX_ID_BYTES} bytes of UTF-8
   */
  public static void checkId(byte[] id) {
    if (id.length == 0 || id.length > MAX_ID_BYTES || !Utf8.isValid(id, 0, id.length)) {
      throw new CodecException("document id must be 1 to " + MAX_ID_BYTES + " bytes of UTF-8");
    }
  }

  private static CrdtOperation operation(List<ActorId> actors, ByteReader in) {
    int tag = in.u8();
    byte[] register = in.block("register bytes", Register.MAX_BYTES);
    switch (tag) {
      case ASSIGN_FRESH, ASSIGN -> {
        Register.check(register);
        if (Register.isSequence(register)) {
          throw new CodecException("a sequence takes no assignment");
        }
        List<Dot> observed = tag == ASSIGN ? observed(actors, in) : List.of();
        byte[] value = in.block("value bytes", MAX_BYTES);
        checkValue(register[0], value);
        return new CrdtOperation.Assign(register, observed, value);
      }
      case REMOVE -> {
        Register.check(register);
        return new CrdtOperation.Remove(register, observed(actors, in));
      }
      case INCREMENT -> {
        Register.check(register);
        long zigzag = in.varint();
        long amount = (zigzag >>> 1) ^ -(zigzag & 1);
        if (register[0] != Register.FIELD
            || Math.abs(amount) > CrdtOperation.Increment.MAX_AMOUNT) {
          throw new CodecException("increment is on no field or too large");
        }
        return new CrdtOperation.Increment(register, amount);
      }
      case TEXT_INSERT -> {
        requireSpace(register, Register.TEXT);
        List<Dot> observed = observed(actors, in);
        Place place = place(actors, in);
        byte[] text = in.block("text bytes", MAX_BYTES);
        if (!Utf8.isValid(text, 0, text.length)) {
          throw new CodecException("inserted text must be valid UTF-8");
        }
        return new CrdtOperation.TextInsert(
            register, observed, place, new String(text, StandardCharsets.UTF_8));
      }
      case TEXT_DELETE -> {
        requireSpace(register, Register.TEXT);
        return new CrdtOperation.TextDelete(register, ranges(actors, in));
      }
      case LIST_INSERT -> {
        requireSpace(register, Register.LIST);
        List<Dot> observed = observed(actors, in);
        Place place = place(actors, in);
        int count = in.count("values of an insertion", MAX_OPERATIONS);
        var values = new ArrayList<byte[]>(Math.min(count, 64));
        for (int i = 0; i < count; i++) {
          values.add(listValue(in));
        }
        return new CrdtOperation.ListInsert(register, observed, place, values);
      }
      case LIST_DELETE -> {
        requireSpace(register, Register.LIST);
        return new CrdtOperation.ListDelete(register, seen(actors, in), ranges(actors, in));
      }
      case LIST_SET -> {
        requireSpace(register, Register.LIST);
        return new CrdtOperation.ListSet(
            register,
            observed(actors, in),
            element(actors, in),
            observed(actors, in),
            listValue(in));
      }
      case LIST_MOVE -> {
        requireSpace(register, Register.LIST);
        return new CrdtOperation.ListMove(
            register, observed(actors, in), element(actors, in), place(actors, in));
      }
      default -> {
        if (tag < FIRST_UNKNOWN_TAG) {
          throw new CodecException("unknown operation " + tag);
        }
        return new CrdtOperation.Unknown(tag, register, in.block("payload bytes", MAX_BYTES));
      }
    }
  }

  /**
   * Checks what is assigned to a register.
   *
   * @param space the first byte of the register
   * @throws CodecException unless it is canonical there
   */
  public static void checkValue(byte space, byte[] value) {
    boolean valid =
        switch (space) {
          case Register.EXISTS, Register.SET -> value.length == 0;
          case Register.EMBEDDING ->
              value.length > 0 && value.length % 4 == 0 && value.length <= 4 * MAX_DIMENSIONS;
          default -> CanonicalJson.isLeafValue(value);
        };
    if (!valid) {
      throw new CodecException("value is not canonical for its register");
    }
  }

  private static void requireSpace(byte[] register, byte space) {
    Register.check(register);
    if (register[0] != space) {
      throw new CodecException("operation is on register space " + register[0] + ", not " + space);
    }
  }

  private static byte[] listValue(ByteReader in) {
    byte[] value = in.block("value bytes", MAX_BYTES);
    if (!CanonicalJson.isValue(value)) {
      throw new CodecException("value of a list is not canonical");
    }
    return value;
  }

  private static ElementId element(List<ActorId> actors, ByteReader in) {
    return new ElementId(actor(actors, in), in.count("counter", ElementId.MAX_COUNTER));
  }

  private static Place place(List<ActorId> actors, ByteReader in) {
    int kind = in.u8();
    return switch (kind) {
      case AT_START -> Place.START;
      case RIGHT_OF -> Place.rightOf(element(actors, in));
      case LEFT_OF -> Place.leftOf(element(actors, in));
      default -> throw new CodecException("place must be 0 to 2, but is " + kind);
    };
  }

  private static List<ElementRange> ranges(List<ActorId> actors, ByteReader in) {
    int count = in.count("ranges", MAX_OBSERVED);
    var ranges = new ArrayList<ElementRange>(Math.min(count, 64));
    for (int i = 0; i < count; i++) {
      ElementId first = element(actors, in);
      int length = in.count("length of a range", ElementId.MAX_COUNTER + 1 - first.counter());
      var range = new ElementRange(first.actor(), first.counter(), length);
      if (length == 0 || (i > 0 && !follows(ranges.getLast(), range))) {
        throw new CodecException("ranges must ascend, lie apart and hold an element");
      }
      ranges.add(range);
    }
    return ranges;
  }

  private static boolean follows(ElementRange last, ElementRange next) {
    int order = last.actor().compareTo(next.actor());
    return order < 0 || (order == 0 && last.end() < next.from());
  }

  private static List<Change.Dependency> seen(List<ActorId> actors, ByteReader in) {
    int count = in.count("actors seen", MAX_ACTORS);
    var seen = new ArrayList<Change.Dependency>(Math.min(count, 64));
    for (int i = 0; i < count; i++) {
      var last = new Change.Dependency(actor(actors, in), in.varint());
      if (i > 0 && seen.getLast().actor().compareTo(last.actor()) >= 0) {
        throw new CodecException("actors seen must ascend");
      }
      seen.add(last);
    }
    return seen;
  }

  private static ActorId actor(List<ActorId> actors, ByteReader in) {
    return actors.get(in.count("actor index", actors.size() - 1));
  }

  private static List<Dot> observed(List<ActorId> actors, ByteReader in) {
    int count = in.count("observed dots", MAX_OBSERVED);
    var dots = new ArrayList<Dot>(Math.min(count, 64));
    for (int i = 0; i < count; i++) {
      dots.add(new Dot(actor(actors, in), in.varint(), in.count("dot index", Integer.MAX_VALUE)));
    }
    return dots;
  }
}
