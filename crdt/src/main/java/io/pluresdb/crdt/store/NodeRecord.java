package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.causal.HybridClock;
import io.pluresdb.crdt.doc.Content;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.doc.DocumentState.RegisterState;
import io.pluresdb.crdt.doc.DocumentView;
import io.pluresdb.crdt.doc.Sibling;
import io.pluresdb.crdt.op.Register;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.NavigableMap;
import org.jspecify.annotations.Nullable;

/**
 * A document as a reader sees it.
 *
 * @param id its id
 * @param data canonical JSON, UTF-8
 * @param timestamp wall part of the greatest surviving hybrid timestamp, milliseconds since 1970
 * @param clock the dots of all surviving operations, joined: equal on equal replicas
 * @param embedding the one the caller supplied, or null
 * @param conflicts values that lost against concurrent ones
 * @param typed registers of its texts, lists and sets, ascending by path
 */
public record NodeRecord(
    String id,
    byte[] data,
    long timestamp,
    NavigableMap<ActorId, Long> clock,
    float @Nullable [] embedding,
    List<Conflict> conflicts,
    List<byte[]> typed) {

  /**
   * A value that lost.
   *
   * @param path keys joined by dots
   * @param value canonical JSON; an increment as {@code +N}
   * @param dot who wrote it
   * @param timestamp milliseconds since 1970
   */
  public record Conflict(String path, String value, Dot dot, long timestamp) {}

  /**
   * The view of a stored document, or null when it does not exist.
   *
   * @param sequences the content of its texts and lists
   */
  public static @Nullable NodeRecord of(byte[] id, DocumentState state, Content.Source sequences) {
    if (!state.exists()) {
      return null;
    }
    DocumentView view = DocumentView.of(state, sequences);
    // Nearly always there are none.
    List<Conflict> conflicts =
        view.conflicts().isEmpty()
            ? List.of()
            : view.conflicts().stream()
                .map(
                    c ->
                        new Conflict(
                            DocumentView.pathText(c),
                            new String(c.sibling().value(), StandardCharsets.UTF_8),
                            c.sibling().dot(),
                            HybridClock.wallMillis(c.sibling().timestamp())))
                .toList();
    return new NodeRecord(
        new String(id, StandardCharsets.UTF_8),
        view.json(),
        HybridClock.wallMillis(state.timestamp()),
        state.clock(),
        embedding(state),
        conflicts,
        view.typed());
  }

  /** The embedding as raw little-endian floats, or null. */
  static byte @Nullable [] rawEmbedding(DocumentState state) {
    RegisterState register = state.register(Register.embedding());
    return register == null
        ? null
        : register.siblings().stream().max(Sibling.BY_TIME).orElseThrow().value();
  }

  private static float @Nullable [] embedding(DocumentState state) {
    byte[] raw = rawEmbedding(state);
    if (raw == null) {
      return null;
    }
    float[] embedding = new float[raw.length / 4];
    ByteBuffer.wrap(raw).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(embedding);
    return embedding;
  }

  /** {@link #data} as text. */
  public String json() {
    return new String(data, StandardCharsets.UTF_8);
  }
}
