package io.pluresdb.daemon.api;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.handler.codec.http.HttpResponseStatus;
import java.nio.charset.StandardCharsets;

/**
 * A response with a JSON body as the bytes that are sent, head and body in one buffer (RFC 9112).
 * Going through Netty's header objects and encoder took a tenth of the event loop's own work.
 */
final class ResponseBytes {
  /** What is said of the connection after the response. */
  enum Connection {
    /** What HTTP/1.1 takes for granted. */
    UNSAID(""),
    KEPT("connection: keep-alive\r\n"),
    CLOSED("connection: close\r\n");

    private final String line;

    Connection(String line) {
      this.line = line;
    }
  }

  private static final byte[] OK = statusLine(HttpResponseStatus.OK);
  private static final byte[] LENGTH = ascii("content-length: ");
  private static final byte[] ALWAYS =
      ascii(
          "\r\ncontent-type: "
              + Answer.JSON
              + "\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n");
  private static final byte[] END = ascii("\r\n");
  private static final int MAX_DIGITS = 10;

  private ResponseBytes() {}

  /**
   * The caller releases it.
   *
   * @param more header lines of this response, each with its end
   * @param bare whether the body is left out, as the answer to HEAD
   */
  static ByteBuf of(
      ByteBufAllocator buffers,
      HttpResponseStatus status,
      Connection connection,
      String more,
      byte[] json,
      boolean bare) {
    byte[] first = status.equals(HttpResponseStatus.OK) ? OK : statusLine(status);
    int size =
        first.length
            + LENGTH.length
            + MAX_DIGITS
            + ALWAYS.length
            + connection.line.length()
            + more.length()
            + END.length
            + json.length;
    ByteBuf out = buffers.directBuffer(size);
    out.writeBytes(first).writeBytes(LENGTH);
    digits(out, json.length);
    out.writeBytes(ALWAYS);
    line(out, connection.line);
    line(out, more);
    out.writeBytes(END);
    return bare ? out : out.writeBytes(json);
  }

  private static void line(ByteBuf out, String line) {
    if (!line.isEmpty()) {
      out.writeCharSequence(line, StandardCharsets.US_ASCII);
    }
  }

  private static void digits(ByteBuf out, int number) {
    int unit = 1;
    while (number / unit >= 10) {
      unit *= 10;
    }
    for (; unit > 0; unit /= 10) {
      out.writeByte('0' + number / unit % 10);
    }
  }

  private static byte[] statusLine(HttpResponseStatus status) {
    return ascii("HTTP/1.1 " + status.code() + " " + status.reasonPhrase() + "\r\n");
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }
}
