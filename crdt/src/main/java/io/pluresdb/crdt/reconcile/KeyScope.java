package io.pluresdb.crdt.reconcile;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.op.ChangeBody;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.StringJoiner;

/**
 * Which documents a replica holds: all, or those whose ids begin with one of some prefixes.
 *
 * <p>Encoded as {@code count varint, block *}, ascending; no prefixes stand for all documents.
 *
 * @param prefixes ascending, none the beginning of another, none empty
 */
public record KeyScope(List<byte[]> prefixes) {
  /** Most prefixes of one scope. */
  public static final int MAX_PREFIXES = 64;

  /** All documents. */
  public static final KeyScope ALL = new KeyScope(List.of());

  public KeyScope {
    if (prefixes.size() > MAX_PREFIXES) {
      throw new CodecException(
          "prefixes must be at most " + MAX_PREFIXES + ", but are " + prefixes.size());
    }
    byte[] before = null;
    for (byte[] prefix : prefixes) {
      if (prefix.length == 0 || prefix.length > ChangeBody.MAX_ID_BYTES) {
        throw new CodecException(
            "a prefix must be 1 to " + ChangeBody.MAX_ID_BYTES + " bytes, but is " + prefix.length);
      }
      if (before != null
          && (Arrays.compareUnsigned(before, prefix) >= 0 || startsWith(prefix, before))) {
        throw new CodecException("prefixes must ascend, and none be the beginning of another");
      }
      before = prefix;
    }
    prefixes = List.copyOf(prefixes);
  }

  /** The scope of some prefixes, in any order and with repetitions; none stand for all. */
  public static KeyScope of(List<String> prefixes) {
    var sorted = new ArrayList<byte[]>();
    prefixes.stream()
        .map(prefix -> prefix.getBytes(StandardCharsets.UTF_8))
        .sorted(Arrays::compareUnsigned)
        .forEach(
            prefix -> {
              if (sorted.isEmpty() || !startsWith(prefix, sorted.getLast())) {
                sorted.add(prefix);
              }
            });
    return new KeyScope(sorted);
  }

  private static boolean startsWith(byte[] bytes, byte[] prefix) {
    return bytes.length >= prefix.length
        && Arrays.equals(bytes, 0, prefix.length, prefix, 0, prefix.length);
  }

  public boolean isAll() {
    return prefixes.isEmpty();
  }

  /** Whether it holds a document of this id, and every document whose id begins with it. */
  public boolean contains(byte[] id) {
    return isAll() || prefixes.stream().anyMatch(prefix -> startsWith(id, prefix));
  }

  /** Whether it holds all that {@code other} does. */
  public boolean covers(KeyScope other) {
    return isAll() || (!other.isAll() && other.prefixes.stream().allMatch(this::contains));
  }

  /** The ranges of ids that both hold, ascending. */
  public List<KeyRange> common(KeyScope other) {
    if (isAll() && other.isAll()) {
      return List.of(KeyRange.ALL);
    }
    var all = new ArrayList<byte[]>();
    prefixes.stream().filter(other::contains).forEach(all::add);
    other.prefixes.stream()
        .filter(this::contains)
        .filter(prefix -> all.stream().noneMatch(known -> Arrays.equals(known, prefix)))
        .forEach(all::add);
    all.sort(Arrays::compareUnsigned);
    return all.stream().map(KeyRange::ofPrefix).toList();
  }

  public void write(ByteWriter out) {
    out.varint(prefixes.size());
    prefixes.forEach(out::block);
  }

  public static KeyScope read(ByteReader in) {
    int count = in.count("prefixes", MAX_PREFIXES);
    var prefixes = new ArrayList<byte[]>(count);
    for (int i = 0; i < count; i++) {
      prefixes.add(in.block("bytes of a prefix", ChangeBody.MAX_ID_BYTES));
    }
    return new KeyScope(prefixes);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof KeyScope scope
        && Arrays.deepEquals(prefixes.toArray(), scope.prefixes.toArray());
  }

  @Override
  public int hashCode() {
    return Arrays.deepHashCode(prefixes.toArray());
  }

  /** The prefixes in quotes, for messages. */
  @Override
  public String toString() {
    if (isAll()) {
      return "all documents";
    }
    var text = new StringJoiner(", ");
    prefixes.forEach(prefix -> text.add("\"" + new String(prefix, StandardCharsets.UTF_8) + "\""));
    return text.toString();
  }
}
