package io.pluresdb.transport.frame;

import java.nio.ByteBuffer;
import java.util.Arrays;

/**
 * What a side says when it has authorised its peer: whether the path begins a session or continues
 * one. The initiator speaks first.
 *
 * <pre>
 * of the initiator
 *   begin      nothing
 *   go on      session 16 | received u64 | path u32 | own gone u32 | other gone u32
 * of the responder
 *   begun      session 16
 *   going on   received u64
 * </pre>
 */
public sealed interface Ready {
  /** Length of the name of a session. */
  int SESSION_BYTES = 16;

  int GO_ON_BYTES = SESSION_BYTES + Long.BYTES + 3 * Integer.BYTES;

  /** Initiator: a session begins. */
  record Begin() implements Ready {}

  /**
   * Initiator: let this path go on with a session.
   *
   * @param session its name
   * @param received messages of the session that arrived at the sender
   * @param path number of this path among those the sender initiated for the session
   * @param ownGone paths the sender initiated with numbers below this are gone
   * @param otherGone paths the receiver initiated with numbers below this are gone
   */
  record GoOn(byte[] session, long received, int path, int ownGone, int otherGone)
      implements Ready {}

  /** Responder: a session with this name has begun; also where there is none to go on with. */
  record Begun(byte[] session) implements Ready {}

  /** Responder: the session goes on. */
  record GoingOn(long received) implements Ready {}

  /** The frame's content. */
  default byte[] encode() {
    return switch (this) {
      case Begin ignored -> new byte[0];
      case GoOn(var session, var received, var path, var ownGone, var otherGone) ->
          ByteBuffer.allocate(GO_ON_BYTES)
              .put(session)
              .putLong(received)
              .putInt(path)
              .putInt(ownGone)
              .putInt(otherGone)
              .array();
      case Begun(var session) -> session.clone();
      case GoingOn(var received) -> ByteBuffer.allocate(Long.BYTES).putLong(received).array();
    };
  }

  /**
   * Reads what {@link #encode} wrote from {@code in[offset, end)}.
   *
   * @param ofInitiator who sent it
   * @throws FrameException {@code MALFORMED_CONTROL}
   */
  static Ready decode(byte[] in, int offset, int end, boolean ofInitiator) throws FrameException {
    int length = end - offset;
    ByteBuffer content = ByteBuffer.wrap(in, offset, length);
    if (ofInitiator && length == 0) {
      return new Begin();
    }
    if (ofInitiator && length == GO_ON_BYTES) {
      byte[] session = new byte[SESSION_BYTES];
      content.get(session);
      return new GoOn(
          session,
          number(content.getLong()),
          (int) number(content.getInt()),
          (int) number(content.getInt()),
          (int) number(content.getInt()));
    }
    if (!ofInitiator && length == SESSION_BYTES) {
      return new Begun(Arrays.copyOfRange(in, offset, end));
    }
    if (!ofInitiator && length == Long.BYTES) {
      return new GoingOn(number(content.getLong()));
    }
    throw new FrameException(FrameException.Kind.MALFORMED_CONTROL, length);
  }

  private static long number(long value) throws FrameException {
    if (value < 0) {
      throw new FrameException(FrameException.Kind.MALFORMED_CONTROL, value);
    }
    return value;
  }
}
