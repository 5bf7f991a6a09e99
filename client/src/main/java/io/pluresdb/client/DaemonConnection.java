package io.pluresdb.client;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.URLEncoder;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.jspecify.annotations.Nullable;

/**
 * One HTTP/1.1 connection to a daemon, kept between requests; used by one thread. The JDK's client
 * has no Unix sockets, and a command line must not pay for a larger one.
 */
public final class DaemonConnection implements AutoCloseable {
  private static final int BUFFER_BYTES = 64 << 10;
  private static final int MAX_LINE_BYTES = 16 << 10;
  private static final int MAX_HEADERS = 64;

  /** Where a daemon listens, and what it must be sent there. */
  public record Target(SocketAddress address, String host, @Nullable String token) {
    /** A Unix socket. */
    public static Target unix(Path socket) {
      return new Target(UnixDomainSocketAddress.of(socket), "localhost", null);
    }

    /** A loopback address. */
    public static Target tcp(InetSocketAddress address, String token) {
      String literal = address.getAddress().getHostAddress();
      String host = literal.contains(":") ? "[" + literal + "]" : literal;
      return new Target(address, host + ":" + address.getPort(), token);
    }
  }

  /** What a request carries. */
  public sealed interface Body {
    /** Nothing. */
    record None() implements Body {}

    /** JSON, all of it. */
    record Bytes(byte[] bytes) implements Body {}

    /** A stream of any length. */
    record Stream(InputStream stream) implements Body {}
  }

  /**
   * An answer.
   *
   * @param headers names in lower case
   * @param body to be read to its end before the next request
   */
  public record Reply(int status, Map<String, String> headers, InputStream body) {}

  private final Target target;
  private final SocketChannel channel;
  private final InputStream in;
  private final OutputStream out;
  private @Nullable ReplyBody open;
  private boolean closing;

  private DaemonConnection(Target target, SocketChannel channel) {
    this.target = target;
    this.channel = channel;
    in = new BufferedInputStream(Channels.newInputStream(channel), BUFFER_BYTES);
    out = Channels.newOutputStream(channel);
  }

  /**
   * Connects.
   *
   * @throws IOException when nobody listens there
   */
  public static DaemonConnection open(Target target) throws IOException {
    SocketChannel channel =
        target.address() instanceof UnixDomainSocketAddress
            ? SocketChannel.open(StandardProtocolFamily.UNIX)
            : SocketChannel.open();
    try {
      channel.connect(target.address());
    } catch (IOException e) {
      channel.close();
      throw e;
    }
    return new DaemonConnection(target, channel);
  }

  /** Whether another request can be sent: the last answer was read to its end and said so. */
  public boolean isReusable() {
    return !closing && channel.isOpen() && (open == null || open.ended);
  }

  /** A path with query parameters. */
  public static String target(String path, Map<String, String> query) {
    var target = new StringBuilder(path);
    char separator = '?';
    for (Map.Entry<String, String> parameter : query.entrySet()) {
      target
          .append(separator)
          .append(URLEncoder.encode(parameter.getKey(), StandardCharsets.UTF_8))
          .append('=')
          .append(URLEncoder.encode(parameter.getValue(), StandardCharsets.UTF_8));
      separator = '&';
    }
    return target.toString();
  }

  /**
   * Sends a request and reads the head of its answer.
   *
   * @param pathAndQuery encoded; see {@link #target}
   * @throws IOException when the daemon went away; close this then
   * @throws UncheckedIOException when the request's own stream fails; close this then
   */
  public Reply send(String method, String pathAndQuery, Map<String, String> headers, Body body)
      throws IOException {
    var head = new StringBuilder(256);
    head.append(method).append(' ').append(pathAndQuery);
    head.append(" HTTP/1.1\r\nHost: ").append(target.host()).append("\r\n");
    if (target.token() != null) {
      head.append("Authorization: Bearer ").append(target.token()).append("\r\n");
    }
    headers.forEach((name, value) -> head.append(name).append(": ").append(value).append("\r\n"));
    Head answer =
        switch (body) {
          case Body.None none -> whole(head, method, new byte[0]);
          case Body.Bytes(byte[] bytes) -> whole(head, method, bytes);
          case Body.Stream(InputStream stream) -> {
            head.append("Transfer-Encoding: chunked\r\n\r\n");
            yield sendChunked(head.toString(), stream);
          }
        };
    closing |= "close".equalsIgnoreCase(answer.headers.get("connection"));
    var reply = new ReplyBody(answer);
    open = reply;
    return new Reply(answer.status, Map.copyOf(answer.headers), reply);
  }

  private Head whole(StringBuilder head, String method, byte[] bytes) throws IOException {
    if (!method.equals("GET")) {
      head.append("Content-Type: application/json\r\nContent-Length: ")
          .append(bytes.length)
          .append("\r\n");
    }
    byte[] start = head.append("\r\n").toString().getBytes(StandardCharsets.UTF_8);
    var all = ByteBuffer.allocate(start.length + bytes.length).put(start).put(bytes);
    out.write(all.array());
    return head(in);
  }

  /** Listens while it sends: an answer that comes early is a refusal, and ends the sending. */
  private Head sendChunked(String start, InputStream body) throws IOException {
    var answer = new CompletableFuture<Head>();
    Thread.ofVirtual()
        .start(
            () -> {
              try {
                answer.complete(head(in));
              } catch (IOException e) {
                answer.completeExceptionally(e);
              }
            });
    boolean complete = false;
    IOException broken = null;
    try {
      out.write(start.getBytes(StandardCharsets.UTF_8));
      byte[] chunk = new byte[BUFFER_BYTES];
      for (int count = read(body, chunk);
          count >= 0 && !answer.isDone();
          count = read(body, chunk)) {
        if (count > 0) {
          byte[] size = (Integer.toHexString(count) + "\r\n").getBytes(StandardCharsets.US_ASCII);
          var framed = ByteBuffer.allocate(size.length + count + 2);
          framed.put(size).put(chunk, 0, count).put((byte) '\r').put((byte) '\n');
          out.write(framed.array());
        }
      }
      if (!answer.isDone()) {
        out.write("0\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
        complete = true;
      }
    } catch (IOException e) {
      broken = e;
    }
    try {
      if (broken != null && !answer.isDone()) {
        // Nothing more is sent: the daemon answers what it has, or the read below fails.
        channel.shutdownOutput();
      }
      Head head = answer.join();
      closing |= !complete;
      return head;
    } catch (CompletionException e) {
      throw broken != null ? broken : new IOException(e.getCause());
    }
  }

  /** Keeps a source that fails apart from a daemon that is lost. */
  private static int read(InputStream body, byte[] chunk) {
    try {
      return body.read(chunk);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private record Head(int status, Map<String, String> headers) {}

  private static Head head(InputStream in) throws IOException {
    String status = line(in);
    if (!status.startsWith("HTTP/1.1 ") || status.length() < 12) {
      throw new IOException("this is no HTTP/1.1 answer");
    }
    var headers = new HashMap<String, String>();
    for (String line = line(in); !line.isEmpty(); line = line(in)) {
      int colon = line.indexOf(':');
      if (colon < 0 || headers.size() == MAX_HEADERS) {
        throw new IOException("the answer's headers are malformed");
      }
      headers.put(
          line.substring(0, colon).toLowerCase(Locale.ROOT), line.substring(colon + 1).strip());
    }
    int code = Integer.parseInt(status, 9, 12, 10);
    return code == 100 ? head(in) : new Head(code, headers);
  }

  private static String line(InputStream in) throws IOException {
    var line = new ByteArrayOutputStream(80);
    for (int b = in.read(); b != '\n'; b = in.read()) {
      if (b < 0) {
        throw new EOFException("the daemon closed the connection");
      }
      if (line.size() == MAX_LINE_BYTES) {
        throw new IOException("the answer's headers are too long");
      }
      line.write(b);
    }
    return line.toString(StandardCharsets.UTF_8).stripTrailing();
  }

  /** The body of an answer, of a given length or in chunks. */
  private final class ReplyBody extends InputStream {
    private final boolean chunked;
    private long left;
    private boolean ended;

    ReplyBody(Head head) {
      String length = head.headers.get("content-length");
      chunked = length == null && head.status != 304;
      left = length == null ? 0 : Long.parseLong(length);
      ended = !chunked && left == 0;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
      if (length == 0) {
        return 0;
      }
      if (chunked && left == 0 && !ended) {
        left = Long.parseLong(line(in), 16);
        if (left == 0) {
          line(in);
          ended = true;
        }
      }
      if (ended) {
        return -1;
      }
      int got = in.read(target, offset, (int) Math.min(length, left));
      if (got < 0) {
        throw new EOFException("the answer broke off");
      }
      left -= got;
      if (left == 0) {
        if (chunked) {
          line(in);
        } else {
          ended = true;
        }
      }
      return got;
    }

    /** What can be read without waiting. */
    @Override
    public int available() throws IOException {
      return (int) Math.min(in.available(), left);
    }
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      // It is of no use any more either way.
    }
  }
}
