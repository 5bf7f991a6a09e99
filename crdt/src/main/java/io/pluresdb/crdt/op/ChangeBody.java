package io.pluresdb.crdt.op;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.value.CanonicalJson;
import io.pluresdb.crdt.value.Utf8;
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
 *           | 64..255 unknown:            length varint | payload
 * observed := count varint | (actor index varint | seq varint | index varint) *
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
  // Bounded by the bytes of the body alone, as on the writing side: a dot takes three or more.
  private static final int MAX_OBSERVED = MAX_BYTES / 3;
  private static final int MAX_ACTORS = 65_536;

  private ChangeBody() {}

  /** Encodes the edits of a change by {@code author}. */
  public static byte[] encode(ActorId author, List<DocumentEdit> edits) {
    Map<ActorId, Integer> actors = new LinkedHashMap<>();
    var tail = new ByteWriter(256 * edits.size());
    tail.varint(edits.size());
    for (DocumentEdit edit : edits) {
      tail.block(edit.id()).varint(edit.operations().size());
      for (CrdtOperation operation : edit.operations()) {
        encode(author, actors, operation, tail);
      }
    }
    var out = new ByteWriter(tail.size() + 2 + ActorId.BYTES * actors.size());
    out.u8(VERSION).varint(actors.size());
    actors.keySet().forEach(actor -> actor.write(out));
    return out.bytes(tail.array(), 0, tail.size()).toByteArray();
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
      case CrdtOperation.Unknown(var tag, var register, var payload) ->
          out.u8(tag).block(register).block(payload);
    }
  }

  private static void observed(
      ActorId author, Map<ActorId, Integer> actors, List<Dot> dots, ByteWriter out) {
    out.varint(dots.size());
    for (Dot dot : dots) {
      int index = 0;
      if (!dot.actor().equals(author)) {
        Integer known = actors.get(dot.actor());
        if (known == null) {
          known = actors.size() + 1;
          actors.put(dot.actor(), known);
        }
        index = known;
      }
      out.varint(index).varint(dot.seq()).varint(dot.index());
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
    byte[] register = in.block("register bytes", 1 + io.pluresdb.crdt.value.Path.MAX_BYTES);
    switch (tag) {
      case ASSIGN_FRESH, ASSIGN -> {
        Register.check(register);
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
          case Register.EXISTS -> value.length == 0;
          case Register.EMBEDDING ->
              value.length > 0 && value.length % 4 == 0 && value.length <= 4 * MAX_DIMENSIONS;
          default -> CanonicalJson.isLeafValue(value);
        };
    if (!valid) {
      throw new CodecException("value is not canonical for its register");
    }
  }

  private static List<Dot> observed(List<ActorId> actors, ByteReader in) {
    int count = in.count("observed dots", MAX_OBSERVED);
    var dots = new ArrayList<Dot>(Math.min(count, 64));
    for (int i = 0; i < count; i++) {
      ActorId actor = actors.get(in.count("actor index", actors.size() - 1));
      dots.add(new Dot(actor, in.varint(), in.count("dot index", Integer.MAX_VALUE)));
    }
    return dots;
  }
}
