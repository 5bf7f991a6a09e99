package io.pluresdb.crdt.doc;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.Register;
import io.pluresdb.crdt.value.CanonicalJson;
import io.pluresdb.crdt.value.Leaf;
import io.pluresdb.crdt.value.Path;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A document that joins two others: {@code {"_edge":true,"from":ID,"to":ID,"relation":TEXT}} and
 * whatever else it holds; without a relation it is the empty one.
 *
 * <p>Which edge a document is depends on its registers alone, so every replica says the same.
 *
 * @param from id of the document it leads from, 1 to 1,024 bytes of UTF-8
 * @param relation at most 1,024 bytes of UTF-8
 * @param to id of the document it leads to, as {@code from}
 */
public record Edge(String from, String relation, String to) {
  /** The members that make a document an edge. */
  public static final List<String> MEMBERS = List.of("_edge", "from", "relation", "to");

  /** Longest relation in bytes of UTF-8. */
  public static final int MAX_RELATION_BYTES = 1_024;

  private static final byte[] MARK_PATH = Path.parse("_edge");
  private static final byte[] MARK = Register.field(MARK_PATH);
  private static final byte[] FROM = Path.parse("from");
  private static final byte[] RELATION = Path.parse("relation");
  private static final byte[] TO = Path.parse("to");
  private static final byte[] TRUE = {'t', 'r', 'u', 'e'};

  /**
   * An edge that is to be written.
   *
   * @throws CoreException when a part is too short or too long
   */
  public static Edge checked(String from, String relation, String to) {
    for (String end : List.of(from, to)) {
      if (!isId(end)) {
        throw CoreException.invalid(
            "an edge joins documents whose ids have 1 to "
                + ChangeBody.MAX_ID_BYTES
                + " bytes, but one has "
                + bytes(end).length);
      }
    }
    if (bytes(relation).length > MAX_RELATION_BYTES) {
      throw CoreException.invalid(
          "relation must have at most "
              + MAX_RELATION_BYTES
              + " bytes, but has "
              + bytes(relation).length);
    }
    return new Edge(from, relation, to);
  }

  /**
   * The id of the document that this edge is, made of the edge alone: devices that make the same
   * edge make the same document.
   */
  public String id() {
    byte[] parts =
        new ByteWriter().block(bytes(from)).block(bytes(relation)).block(bytes(to)).toByteArray();
    return "edge:" + Hash.of("pluresdb edge 1", parts).hex();
  }

  /**
   * The document that this edge is.
   *
   * @param data what it holds besides, a JSON object
   * @throws CoreException when {@code data} is no object, or has a member of an edge
   */
  public byte[] document(byte[] data) {
    byte[] rest = CanonicalJson.canonical(data);
    if (rest[0] != '{') {
      throw CoreException.invalid("data of an edge must be an object");
    }
    for (Leaf leaf : CanonicalJson.leaves(rest)) {
      for (String member : MEMBERS) {
        byte[] path = Path.parse(member);
        if (Arrays.equals(
            leaf.path(), 0, Math.min(path.length, leaf.path().length), path, 0, path.length)) {
          throw CoreException.invalid(
              "data of an edge must not have the member \"" + member + "\": it is the edge's own");
        }
      }
    }
    var out = new ByteWriter(64 + rest.length);
    out.bytes(bytes("{\"_edge\":true,\"from\":"));
    CanonicalJson.string(out, from);
    out.bytes(bytes(",\"relation\":"));
    CanonicalJson.string(out, relation);
    out.bytes(bytes(",\"to\":"));
    CanonicalJson.string(out, to);
    if (rest.length > 2) {
      out.u8(',').bytes(rest, 1, rest.length - 1);
    }
    return out.u8('}').toByteArray();
  }

  /** The edge that a document is, or null. */
  public static @Nullable Edge of(DocumentState state) {
    if (state.register(MARK) == null || !state.exists()) {
      return null;
    }
    boolean marked = false;
    byte[] from = null;
    byte[] to = null;
    byte[] relation = null;
    for (Leaf leaf : DocumentView.withoutSequences(state).leaves()) {
      if (Arrays.equals(leaf.path(), MARK_PATH)) {
        marked = Arrays.equals(leaf.value(), TRUE);
      } else if (Arrays.equals(leaf.path(), FROM)) {
        from = leaf.value();
      } else if (Arrays.equals(leaf.path(), TO)) {
        to = leaf.value();
      } else if (Arrays.equals(leaf.path(), RELATION)) {
        relation = leaf.value();
      }
    }
    if (!marked || from == null || to == null) {
      return null;
    }
    String start = text(from);
    String end = text(to);
    String kind = relation == null ? "" : text(relation);
    return start != null
            && end != null
            && kind != null
            && isId(start)
            && isId(end)
            && bytes(kind).length <= MAX_RELATION_BYTES
        ? new Edge(start, kind, end)
        : null;
  }

  /** The edge that the document with this row is, or null. */
  public static @Nullable Edge ofRow(byte[] row) {
    return mentionsMark(row) ? of(DocumentState.read(row)) : null;
  }

  /** Whether the row has the register of the mark; most have not, and are not decoded. */
  private static boolean mentionsMark(byte[] row) {
    var in = new ByteReader(row);
    in.u8();
    for (int left = in.count("contexts of a document", row.length); left > 0; left--) {
      in.skip(ActorId.BYTES);
      in.varint();
      in.skip(Long.BYTES);
    }
    for (int left = in.count("registers of a document", row.length); left > 0; left--) {
      int length = in.count("register bytes", row.length);
      int key = in.position();
      in.skip(length);
      int order = Arrays.compareUnsigned(row, key, key + length, MARK, 0, MARK.length);
      if (order >= 0) {
        return order == 0;
      }
      for (int siblings = in.count("siblings", row.length); siblings > 0; siblings--) {
        in.varint();
        in.varint();
        in.skip(in.count("value bytes", row.length));
      }
    }
    return false;
  }

  private static @Nullable String text(byte[] value) {
    return value.length > 0 && value[0] == '"' ? CanonicalJson.text(value) : null;
  }

  private static boolean isId(String id) {
    int length = bytes(id).length;
    return length >= 1 && length <= ChangeBody.MAX_ID_BYTES;
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
