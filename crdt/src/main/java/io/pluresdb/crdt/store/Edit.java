package io.pluresdb.crdt.store;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.CrdtOperation;
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
import java.util.List;
import org.jspecify.annotations.Nullable;

/** One thing to do to one document. Made and checked on the caller's thread. */
public sealed interface Edit {
  /** UTF-8 of the document's id. */
  byte[] id();

  /** The document becomes {@code leaves}. {@code embedding} is raw little-endian floats. */
  record Put(byte[] id, List<Leaf> leaves, byte @Nullable [] embedding) implements Edit {}

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
    byte[] encoded = Path.parse(path);
    if (Path.keys(encoded).size() > Path.MAX_DEPTH) {
      throw CoreException.tooLarge(
          "path of a counter must have at most "
              + Path.MAX_DEPTH
              + " keys, but has "
              + Path.keys(encoded).size());
    }
    if (encoded.length == 0) {
      throw CoreException.invalid("path of a counter must name a field");
    }
    return new Increment(checkedId(id), encoded, amount);
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
