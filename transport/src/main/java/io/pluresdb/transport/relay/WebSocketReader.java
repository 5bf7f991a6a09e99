package io.pluresdb.transport.relay;

import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Cuts the bytes of one direction of a WebSocket into frames, without collecting payloads: those of
 * data frames are unmasked where they lie and reported as they come, so a frame in passing costs no
 * memory. Checks every rule of RFC 6455 section 5, and that text is UTF-8.
 *
 * <pre>
 * BEFORE                                             REPORTED
 * +--------+------+-------------+--------+---        frame(BINARY, true, 300)
 * | header | mask | 100 B of 300| ...                payload at 8, 100 bytes
 * +--------+------+-------------+--------+---        (later) payload at 0, 200 bytes
 * </pre>
 *
 * <p>Not thread-safe. After an exception it must not be used again.
 */
public final class WebSocketReader {
  /** Hears what arrives, in order. */
  public interface Sink {
    /**
     * A data frame begins; {@code length} bytes of payload follow.
     *
     * @param opcode {@link WebSocket#TEXT}, {@link WebSocket#BINARY} or {@link
     *     WebSocket#CONTINUATION}
     */
    void frame(int opcode, boolean last, long length) throws WebSocketException;

    /** {@code length} bytes, one or more, of its payload are at {@code position} of the input. */
    void payload(int position, int length) throws WebSocketException;

    /** The data frame is over. */
    void frameEnd() throws WebSocketException;

    /**
     * A control frame, whole.
     *
     * @param opcode {@link WebSocket#CLOSE}, {@link WebSocket#PING} or {@link WebSocket#PONG}
     */
    void control(int opcode, byte[] payload) throws WebSocketException;
  }

  private static final int SHORTEST_HEADER = 2;
  private static final int RESERVED = 0x70;

  private final boolean masked;
  private final long maxFrameBytes;
  private final ByteBuffer header = ByteBuffer.allocate(WebSocket.MAX_HEADER_BYTES);
  private int headerBytes = SHORTEST_HEADER;
  private boolean inPayload;
  private int opcode;
  private boolean last;
  private long length;
  private long done;
  private int mask;
  private byte @Nullable [] control;
  private boolean inMessage;
  private @Nullable Utf8Check text;
  private boolean closed;

  /**
   * @param masked whether frames must be masked, as a server's input is; otherwise they must not
   * @param maxFrameBytes longest payload of a data frame
   */
  public WebSocketReader(boolean masked, long maxFrameBytes) {
    this.masked = masked;
    this.maxFrameBytes = maxFrameBytes;
  }

  /**
   * Takes all of {@code in}, which is changed where it is unmasked; what follows a close is
   * ignored.
   *
   * @throws WebSocketException what the peer did wrong; what was before it was reported
   */
  public void read(ByteBuffer in, Sink sink) throws WebSocketException {
    while (!closed && (inPayload || in.hasRemaining())) {
      if (!inPayload) {
        header(in, sink);
      } else {
        if (done < length && !in.hasRemaining()) {
          return;
        }
        payload(in, sink);
      }
    }
  }

  private void header(ByteBuffer in, Sink sink) throws WebSocketException {
    while (header.position() < headerBytes && in.hasRemaining()) {
      header.put(in.get());
      if (header.position() == SHORTEST_HEADER) {
        begin(header.get(0), header.get(1));
      }
    }
    if (header.position() < headerBytes) {
      return;
    }
    length = length(header.get(1) & 0x7f);
    mask = masked ? header.getInt(headerBytes - Integer.BYTES) : 0;
    header.clear();
    headerBytes = SHORTEST_HEADER;
    done = 0;
    inPayload = true;
    if (opcode >= WebSocket.CLOSE) {
      control = new byte[(int) length];
      return;
    }
    if (length > maxFrameBytes) {
      throw new WebSocketException(
          WebSocket.TOO_BIG, "a frame has " + length + " bytes, at most " + maxFrameBytes);
    }
    sink.frame(opcode, last, length);
  }

  private void begin(byte first, byte second) throws WebSocketException {
    last = (first & WebSocket.FINAL) != 0;
    opcode = first & 0x0f;
    int shortLength = second & 0x7f;
    if ((first & RESERVED) != 0) {
      throw violation("a reserved bit is set");
    }
    if (((second & WebSocket.MASKED) != 0) != masked) {
      throw violation(masked ? "a frame is not masked" : "a frame is masked");
    }
    switch (opcode) {
      case WebSocket.CONTINUATION -> {
        if (!inMessage) {
          throw violation("there is no message to continue");
        }
      }
      case WebSocket.TEXT, WebSocket.BINARY -> {
        if (inMessage) {
          throw violation("a message begins inside another");
        }
        text = opcode == WebSocket.TEXT ? new Utf8Check() : null;
      }
      case WebSocket.CLOSE, WebSocket.PING, WebSocket.PONG -> {
        if (!last || shortLength > WebSocket.MAX_CONTROL_BYTES) {
          throw violation("a control frame is cut or longer than 125 bytes");
        }
      }
      default -> throw violation("opcode " + opcode + " is reserved");
    }
    if (opcode < WebSocket.CLOSE) {
      inMessage = !last;
    }
    headerBytes =
        SHORTEST_HEADER
            + (shortLength == WebSocket.LENGTH_64
                ? Long.BYTES
                : shortLength == WebSocket.LENGTH_16 ? Short.BYTES : 0)
            + (masked ? Integer.BYTES : 0);
  }

  private long length(int shortLength) throws WebSocketException {
    return switch (shortLength) {
      case WebSocket.LENGTH_16 -> {
        int value = header.getShort(SHORTEST_HEADER) & 0xffff;
        if (value < WebSocket.LENGTH_16) {
          throw violation("a length is longer than it must be");
        }
        yield value;
      }
      case WebSocket.LENGTH_64 -> {
        long value = header.getLong(SHORTEST_HEADER);
        if (value >>> Short.SIZE == 0 || value < 0) {
          throw violation("a length is longer than it must be");
        }
        yield value;
      }
      default -> shortLength;
    };
  }

  private void payload(ByteBuffer in, Sink sink) throws WebSocketException {
    int from = in.position();
    int count = (int) Math.min(length - done, in.remaining());
    if (count > 0 && masked) {
      WebSocket.mask(in, from, from + count, mask, done);
    }
    byte[] collected = control;
    if (collected != null) {
      in.get(collected, (int) done, count);
    } else if (count > 0) {
      Utf8Check check = text;
      if (check != null && !check.take(in, from, from + count)) {
        throw new WebSocketException(WebSocket.INVALID_TEXT, "text is not UTF-8");
      }
      sink.payload(from, count);
      in.position(from + count);
    }
    done += count;
    if (done < length) {
      return;
    }
    inPayload = false;
    if (collected != null) {
      control = null;
      closed = opcode == WebSocket.CLOSE;
      sink.control(opcode, collected);
      return;
    }
    if (last && text != null && !text.isWhole()) {
      throw new WebSocketException(WebSocket.INVALID_TEXT, "text ends inside a character");
    }
    sink.frameEnd();
  }

  private static WebSocketException violation(String message) {
    return new WebSocketException(WebSocket.PROTOCOL_ERROR, message);
  }
}
