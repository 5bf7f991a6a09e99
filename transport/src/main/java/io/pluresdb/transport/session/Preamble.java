package io.pluresdb.transport.session;

import io.pluresdb.transport.topic.Hint;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The initiator's first bytes, in the clear and bound by the handshake's prologue.
 *
 * <pre>
 *  0        4         5        6                22
 * +--------+---------+--------+----------------+
 * | "PLUR" | version | suite  | hint           |
 * |  4 B   |  0x01   | 1 or 2 | 16 B           |
 * +--------+---------+--------+----------------+
 * </pre>
 */
record Preamble(Suite suite, Hint hint) {
  static final int PREAMBLE_BYTES = 22;
  static final byte VERSION = 1;

  private static final byte[] MAGIC = "PLUR".getBytes(StandardCharsets.US_ASCII);

  /** What the bytes of a preamble turned out to be. */
  sealed interface Read {
    record Good(Preamble preamble) implements Read {}

    record Bad(CloseReason.HandshakeFailed reason) implements Read {}
  }

  byte[] encode() {
    return ByteBuffer.allocate(PREAMBLE_BYTES)
        .put(MAGIC)
        .put(VERSION)
        .put(suite.code())
        .put(hint.bytes())
        .array();
  }

  static Read decode(byte[] bytes) {
    if (bytes.length != PREAMBLE_BYTES
        || !Arrays.equals(bytes, 0, MAGIC.length, MAGIC, 0, MAGIC.length)) {
      return bad(CloseReason.HandshakeFailure.NOT_OUR_PROTOCOL);
    }
    if (bytes[MAGIC.length] != VERSION) {
      return bad(CloseReason.HandshakeFailure.UNSUPPORTED_VERSION);
    }
    @Nullable Suite suite = Suite.of(bytes[MAGIC.length + 1]);
    if (suite == null) {
      return bad(CloseReason.HandshakeFailure.UNSUPPORTED_SUITE);
    }
    return new Read.Good(
        new Preamble(suite, new Hint(Arrays.copyOfRange(bytes, MAGIC.length + 2, PREAMBLE_BYTES))));
  }

  private static Read bad(CloseReason.HandshakeFailure failure) {
    return new Read.Bad(new CloseReason.HandshakeFailed(failure));
  }
}
