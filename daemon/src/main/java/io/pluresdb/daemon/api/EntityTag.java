package io.pluresdb.daemon.api;

import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.store.NodeRecord;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Entity tags of documents (RFC 9110, 8.8.3): equal tags mean the same data, embedding and
 * operations. Strong, and equal on equal replicas.
 */
final class EntityTag {
  private static final int BYTES = 16;

  private EntityTag() {}

  /** What must hold of a document before it is written. */
  interface Condition extends Predicate<Optional<NodeRecord>> {}

  /** The tag of a document, in quotes: half a SHA-256 of its data, embedding and clock. */
  static String of(NodeRecord document) {
    byte[] data = document.data();
    float[] embedding = document.embedding();
    int dimensions = embedding == null ? 0 : embedding.length;
    int restBytes =
        Integer.BYTES + Float.BYTES * dimensions + document.clock().size() * 3 * Long.BYTES;
    byte[] whole = Arrays.copyOf(data, data.length + restBytes);
    ByteBuffer rest = ByteBuffer.wrap(whole, data.length, restBytes);
    // Lengths stand between parts, so that no two documents hash the same bytes.
    rest.putInt(embedding == null ? -1 : dimensions);
    for (int i = 0; i < dimensions; i++) {
      rest.putFloat(embedding == null ? 0 : embedding[i]);
    }
    document
        .clock()
        .forEach(
            (actor, seq) -> {
              rest.putLong(actor.high()).putLong(actor.low()).putLong(seq);
            });
    byte[] hash = Hash.bulk(whole, whole.length).bytes();
    return "\"" + HexFormat.of().formatHex(hash, 0, BYTES) + "\"";
  }

  /** Whether {@code If-None-Match} names a tag: what the caller has is what it would get. */
  static boolean isKnown(Map<String, String> headers, String etag) {
    String known = headers.get("if-none-match");
    return known != null && matches(known, etag);
  }

  /** What {@code If-Match} and {@code If-None-Match} demand of a write; null for nothing. */
  static @Nullable Condition condition(Map<String, String> headers) {
    String match = headers.get("if-match");
    String none = headers.get("if-none-match");
    if (match == null && none == null) {
      return null;
    }
    return document -> {
      String etag = document.map(EntityTag::of).orElse("");
      boolean there = document.isPresent();
      return (match == null || (there && matches(match, etag)))
          && (none == null || !there || !matches(none, etag));
    };
  }

  private static boolean matches(String header, String etag) {
    return header.strip().equals("*")
        || Arrays.stream(header.split(",", -1)).map(String::strip).anyMatch(etag::equals);
  }
}
