package io.pluresdb.crdt.store;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.FieldType;
import io.pluresdb.crdt.op.Register;
import io.pluresdb.crdt.value.CanonicalJson;
import io.pluresdb.crdt.value.JsonPatch;
import io.pluresdb.crdt.value.Leaf;
import io.pluresdb.crdt.value.Path;
import io.pluresdb.crdt.value.Utf8;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** One thing to do to one document. Made and checked on the caller's thread. */
public sealed interface Edit {
  /** What a leaf or id costs in a change besides its own bytes: tags and lengths. */
  int OVERHEAD_BYTES = 8;

  /** UTF-8 of the document's id. */
  byte[] id();

  /** Bytes of what it holds, with a little for each part. */
  default long bytes() {
    return (long) OVERHEAD_BYTES
        + id().length
        + switch (this) {
          case Put put -> leafBytes(put.leaves) + size(put.typed) + size(put.embedding);
          case Embed embed -> size(embed.embedding);
          case Patch patch -> patch.patch.bytes(OVERHEAD_BYTES);
          case Resolve resolve -> size(resolve.path) + leafBytes(resolve.leaves);
          case Delete delete -> 0;
          case Increment increment -> size(increment.path);
          case TextSplice splice ->
              size(splice.path) + (long) Character.BYTES * splice.insert.length();
          case ListInsert insert -> size(insert.path) + size(insert.values);
          case ListDelete delete -> size(delete.path);
          case ListMove move -> size(move.path);
          case ListSet set -> size(set.path) + size(set.value);
          case SetAdd add -> size(add.path) + size(add.values);
          case SetRemove remove -> size(remove.path) + size(remove.values);
        };
  }

  private static long leafBytes(List<Leaf> leaves) {
    long bytes = 0;
    for (Leaf leaf : leaves) {
      bytes += leaf.path().length + leaf.value().length + OVERHEAD_BYTES;
    }
    return bytes;
  }

  private static long size(byte @Nullable [] bytes) {
    return bytes == null ? 0 : bytes.length;
  }

  private static long size(List<byte[]> parts) {
    long bytes = 0;
    for (byte[] part : parts) {
      bytes += part.length + OVERHEAD_BYTES;
    }
    return bytes;
  }

  /**
   * The document becomes {@code leaves}. {@code embedding} is raw little-endian floats; empty takes
   * a stored one away, null leaves that to whether the document changes. {@code typed} are the
   * registers of texts, lists and sets that leaves become, whatever is at their paths; any other
   * leaf keeps the type that is there, if it could be its content.
   */
  record Put(byte[] id, List<Leaf> leaves, byte @Nullable [] embedding, List<byte[]> typed)
      implements Edit {
    public Put(byte[] id, List<Leaf> leaves, byte @Nullable [] embedding) {
      this(id, leaves, embedding, List.of());
    }
  }

  /**
   * A document that exists gets an embedding, unless it became another meanwhile.
   *
   * @param embedding raw little-endian floats
   * @param clock that of the document that was embedded; with any other nothing changes
   */
  record Embed(byte[] id, byte[] embedding, NavigableMap<ActorId, Long> clock) implements Edit {}

  /** Changes parts of a document that exists. */
  record Patch(byte[] id, JsonPatch patch) implements Edit {}

  /**
   * Assigns a value at a path of a document that exists, in sight of all that competes there.
   *
   * @param leaves at or below the path
   */
  record Resolve(byte[] id, byte[] path, List<Leaf> leaves) implements Edit {}

  /** The document stops existing. */
  record Delete(byte[] id) implements Edit {}

  /** Adds to a counter in a document that exists. */
  record Increment(byte[] id, byte[] path, long amount) implements Edit {}

  /**
   * An edit of a text, list or set in a document that exists. The first one at a path with nothing
   * there declares the type; where another type or a plain value is, it is refused.
   */
  sealed interface Typed extends Edit {
    byte[] path();

    /** The space of {@link Register} that holds the type. */
    byte space();
  }

  /** Stands for the end of a text or list in {@code at}. */
  int END = -1;

  /** Deletes {@code delete} code points at {@code at} and inserts {@code insert} there. */
  record TextSplice(byte[] id, byte[] path, int at, int delete, String insert) implements Typed {
    @Override
    public byte space() {
      return Register.TEXT;
    }
  }

  /** Inserts {@code values}, canonical JSON each, at {@code at}. */
  record ListInsert(byte[] id, byte[] path, int at, List<byte[]> values) implements Typed {
    @Override
    public byte space() {
      return Register.LIST;
    }
  }

  /** Deletes the {@code count} elements from {@code at} on. */
  record ListDelete(byte[] id, byte[] path, int at, int count) implements Typed {
    @Override
    public byte space() {
      return Register.LIST;
    }
  }

  /** The element at {@code from} goes to where it stands at {@code to} afterwards. */
  record ListMove(byte[] id, byte[] path, int from, int to) implements Typed {
    @Override
    public byte space() {
      return Register.LIST;
    }
  }

  /** The element at {@code at} gets another value, canonical JSON. */
  record ListSet(byte[] id, byte[] path, int at, byte[] value) implements Typed {
    @Override
    public byte space() {
      return Register.LIST;
    }
  }

  /** Adds values, canonical JSON each; those that are in already stay. */
  record SetAdd(byte[] id, byte[] path, List<byte[]> values) implements Typed {
    @Override
    public byte space() {
      return Register.SET;
    }
  }

  /** Removes values; those that are not in change nothing. */
  record SetRemove(byte[] id, byte[] path, List<byte[]> values) implements Typed {
    @Override
    public byte space() {
      return Register.SET;
    }
  }

  /**
   * A splice of a text.
   *
   * @param path keys joined by dots
   * @param at code points before it, or {@link #END}
   * @param delete number of code points, 0 or more
   * @param insert no lone surrogates
   */
  static TextSplice spliceText(String id, String path, int at, int delete, String insert) {
    if (!Utf8.isEncodable(insert)) {
      throw CoreException.invalid("insert holds a lone surrogate, which has no UTF-8 form");
    }
    return new TextSplice(checkedId(id), fieldPath(path), at, delete, insert);
  }

  /**
   * An insertion into a list.
   *
   * @param at 0 to the length, or {@link #END}
   * @param values JSON, UTF-8, at most {@link CanonicalJson#MAX_BYTES} each
   */
  static ListInsert insertIntoList(String id, String path, int at, List<byte[]> values) {
    return new ListInsert(
        checkedId(id), fieldPath(path), at, values.stream().map(CanonicalJson::canonical).toList());
  }

  static ListDelete deleteFromList(String id, String path, int at, int count) {
    return new ListDelete(checkedId(id), fieldPath(path), at, count);
  }

  static ListMove moveInList(String id, String path, int from, int to) {
    return new ListMove(checkedId(id), fieldPath(path), from, to);
  }

  /** Another value for an element of a list; {@code value} is JSON. */
  static ListSet setInList(String id, String path, int at, byte[] value) {
    return new ListSet(checkedId(id), fieldPath(path), at, CanonicalJson.canonical(value));
  }

  /**
   * Additions to a set.
   *
   * @param values JSON, at most {@link Register#MAX_ELEMENT_BYTES} each once canonical
   */
  static SetAdd addToSet(String id, String path, List<byte[]> values) {
    return new SetAdd(checkedId(id), fieldPath(path), setElements(values));
  }

  static SetRemove removeFromSet(String id, String path, List<byte[]> values) {
    return new SetRemove(checkedId(id), fieldPath(path), setElements(values));
  }

  private static List<byte[]> setElements(List<byte[]> values) {
    var elements = new TreeSet<byte[]>(Arrays::compareUnsigned);
    for (byte[] value : values) {
      byte[] element = CanonicalJson.canonical(value);
      if (element.length > Register.MAX_ELEMENT_BYTES) {
        throw CoreException.tooLarge(
            "an element of a set must be at most "
                + Register.MAX_ELEMENT_BYTES
                + " bytes of JSON, but is "
                + element.length);
      }
      elements.add(element);
    }
    return List.copyOf(elements);
  }

  /**
   * A put.
   *
   * @param json the whole document, UTF-8, at most {@link CanonicalJson#MAX_BYTES}
   * @throws CoreException when the id or the JSON is not allowed
   */
  static Put put(String id, byte[] json) {
    return new Put(checkedId(id), CanonicalJson.leaves(json), null);
  }

  /**
   * A put with an embedding.
   *
   * @param embedding 1 to {@link ChangeBody#MAX_DIMENSIONS} finite numbers, not all zero
   */
  static Put put(String id, byte[] json, float[] embedding) {
    return new Put(checkedId(id), CanonicalJson.leaves(json), encode(embedding));
  }

  /**
   * A put that also says which fields are texts, lists and sets.
   *
   * @param types by path, keys joined by dots; the document must hold a string there for a text, an
   *     array for a list, an array that holds nothing twice for a set
   * @throws CoreException when it holds something else at a path
   */
  static Put typed(Put put, Map<String, FieldType> types) {
    var registers = new TreeSet<byte[]>(Arrays::compareUnsigned);
    types.forEach(
        (path, type) -> {
          byte[] encoded = fieldPath(path);
          int at = Collections.binarySearch(put.leaves(), new Leaf(encoded, new byte[0]));
          if (at < 0 || !type.holds(put.leaves().get(at).value())) {
            throw CoreException.invalid(
                "field \""
                    + path
                    + "\" is to be a "
                    + type.label()
                    + ", but holds no "
                    + type.content());
          }
          registers.add(Register.at(type.space(), encoded));
        });
    return new Put(put.id(), put.leaves(), put.embedding(), List.copyOf(registers));
  }

  /**
   * An embedding for a document as it was read.
   *
   * @param embedding 1 to {@link ChangeBody#MAX_DIMENSIONS} finite numbers, not all zero
   */
  static Embed embed(NodeRecord document, float[] embedding) {
    return new Embed(checkedId(document.id()), encode(embedding), document.clock());
  }

  /** A put of what a document once was, the lack of an embedding included. */
  static Put exactly(NodeRecord record) {
    float[] embedding = record.embedding();
    return new Put(
        checkedId(record.id()),
        CanonicalJson.leaves(record.data()),
        embedding == null ? new byte[0] : encode(embedding));
  }

  /** A merge patch (RFC 7396). */
  static Patch patch(String id, byte[] json) {
    return new Patch(checkedId(id), JsonPatch.parse(json));
  }

  /**
   * Ends a conflict by a value; also replaces what does not compete there.
   *
   * @param path as {@link Path} encodes it
   * @param json what is to be at the path
   */
  static Resolve resolve(String id, byte[] path, byte[] json) {
    var leaves = new ArrayList<Leaf>();
    for (Leaf leaf : CanonicalJson.leaves(json)) {
      byte[] whole = Arrays.copyOf(path, path.length + leaf.path().length);
      System.arraycopy(leaf.path(), 0, whole, path.length, leaf.path().length);
      leaves.add(new Leaf(whole, leaf.value()));
    }
    // The limits of a document hold for the value at its place.
    CanonicalJson.leaves(CanonicalJson.join(leaves));
    return new Resolve(checkedId(id), path, leaves);
  }

  static Delete delete(String id) {
    return new Delete(checkedId(id));
  }

  /**
   * An increment.
   *
   * @param path keys joined by dots
   * @param amount -2^53 to 2^53
   */
  static Increment increment(String id, String path, long amount) {
    if (Math.abs(amount) > CrdtOperation.Increment.MAX_AMOUNT || amount == Long.MIN_VALUE) {
      throw CoreException.invalid("amount must be -2^53 to 2^53, but is " + amount);
    }
    return new Increment(checkedId(id), fieldPath(path), amount);
  }

  /** The path of a field, which is not the root. */
  private static byte[] fieldPath(String path) {
    byte[] encoded = Path.parse(path);
    int depth = Path.keys(encoded).size();
    if (depth > Path.MAX_DEPTH) {
      throw CoreException.tooLarge(
          "path must have at most " + Path.MAX_DEPTH + " keys, but has " + depth);
    }
    if (encoded.length == 0) {
      throw CoreException.invalid("path must name a field");
    }
    return encoded;
  }

  /**
   * The UTF-8 bytes of a document id.
   *
   * @throws CoreException unless it has 1 to {@link ChangeBody#MAX_ID_BYTES} bytes
   */
  static byte[] checkedId(String id) {
    if (!Utf8.isEncodable(id)) {
      throw CoreException.invalid("id holds a lone surrogate, which has no UTF-8 form");
    }
    byte[] bytes = id.getBytes(StandardCharsets.UTF_8);
    if (bytes.length == 0 || bytes.length > ChangeBody.MAX_ID_BYTES) {
      throw CoreException.invalid(
          "id must be 1 to " + ChangeBody.MAX_ID_BYTES + " bytes of UTF-8, but is " + bytes.length);
    }
    return bytes;
  }

  private static byte[] encode(float[] embedding) {
    if (embedding.length == 0 || embedding.length > ChangeBody.MAX_DIMENSIONS) {
      throw CoreException.invalid(
          "embedding must have 1 to "
              + ChangeBody.MAX_DIMENSIONS
              + " dimensions, but has "
              + embedding.length);
    }
    var out = ByteBuffer.allocate(4 * embedding.length).order(ByteOrder.LITTLE_ENDIAN);
    boolean zero = true;
    for (float value : embedding) {
      if (!Float.isFinite(value)) {
        throw CoreException.invalid("embedding must hold finite numbers, but holds " + value);
      }
      zero &= value == 0;
      out.putFloat(value);
    }
    if (zero) {
      throw CoreException.invalid("embedding must not be all zero: it has no direction");
    }
    return out.array();
  }
}
