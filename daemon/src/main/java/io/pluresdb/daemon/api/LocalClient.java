package io.pluresdb.daemon.api;

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
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * A blocking HTTP/1.1 client for one daemon on this machine, over its Unix socket or loopback TCP.
 * It keeps its connection between requests. Small on purpose: the JDK's client has no Unix sockets,
 * and the command line must not pay for Netty.
 */
public final class LocalClient implements ApiClient {
  private static final int BUFFER_BYTES = 64 << 10;
  private static final int MAX_LINE_BYTES = 16 << 10;
  private static final int MAX_HEADERS = 64;

  private final SocketAddress address;
  private final String host;
  private final @Nullable String token;
  private @Nullable Connection connection;

  private LocalClient(SocketAddress address, String host, @Nullable String token) {
    this.address = address;
    this.host = host;
    this.token = token;
  }

  /**
   * Connects to a Unix socket.
   *
   * @throws IOException when nobody listens there
   */
  public static LocalClient unix(Path socket) throws IOException {
    return new LocalClient(UnixDomainSocketAddress.of(socket), "localhost", null).connected();
  }

  /**
   * Connects to a loopback address.
   *
   * @throws IOException when nobody listens there
   */
  public static LocalClient tcp(InetSocketAddress address, String token) throws IOException {
    String literal = address.getAddress().getHostAddress();
    String host = literal.contains(":") ? "[" + literal + "]" : literal;
    return new LocalClient(address, host + ":" + address.getPort(), token).connected();
  }

  private LocalClient connected() throws IOException {
    connection = new Connection(address);
    return this;
  }

  private static final class Connection implements AutoCloseable {
    final SocketChannel channel;
    final InputStream in;
    final OutputStream out;

    Connection(SocketAddress address) throws IOException {
      channel =
          address instanceof UnixDomainSocketAddress
              ? SocketChannel.open(StandardProtocolFamily.UNIX)
              : SocketChannel.open();
      try {
        channel.connect(address);
      } catch (IOException e) {
        channel.close();
        throw e;
      }
      in = new BufferedInputStream(Channels.newInputStream(channel), BUFFER_BYTES);
      out = Channels.newOutputStream(channel);
    }

    @Override
    public void close() throws IOException {
      channel.close();
    }
  }

  private record Head(int status, Map<String, String> headers) {
    boolean keepsAlive() {
      return !"close".equalsIgnoreCase(headers.get("connection"));
    }
  }

  @Override
  public void exchange(Request request, Sink sink) throws IOException {
    boolean reused = connection != null;
    Connection current;
    Head head;
    try {
      current = open();
      head = send(request, current);
    } catch (UncheckedIOException e) {
      close();
      throw e;
    } catch (IOException e) {
      close();
      // A kept connection may have timed out; what can be asked twice is asked on a fresh one.
      if (!reused || !request.method().equals("GET")) {
        throw unreachable(e);
      }
      try {
        current = open();
        head = send(request, current);
      } catch (IOException again) {
        close();
        throw unreachable(again);
      }
    }
    boolean whole = false;
    try {
      if (head.status == 200) {
        body(head, current, sink);
        sink.flush();
      } else {
        refused(head, current);
      }
      whole = head.keepsAlive();
    } catch (ApiException e) {
      whole = head.keepsAlive() && head.status != 200;
      throw e;
    } finally {
      if (!whole) {
        close();
      }
    }
  }

  private Connection open() throws IOException {
    Connection current = connection;
    if (current == null) {
      current = new Connection(address);
      connection = current;
    }
    return current;
  }

  private static ApiException unreachable(IOException cause) {
    var unreachable =
        new ApiException(
            503,
            "API_UNREACHABLE",
            "the daemon does not answer: " + cause.getMessage(),
            "see whether it still runs, then try again");
    unreachable.initCause(cause);
    return unreachable;
  }

  private Head send(Request request, Connection to) throws IOException {
    var head = new StringBuilder(256);
    head.append(request.method()).append(' ').append(request.path());
    char separator = '?';
    for (Map.Entry<String, String> parameter : request.query().entrySet()) {
      head.append(separator)
          .append(encode(parameter.getKey()))
          .append('=')
          .append(encode(parameter.getValue()));
      separator = '&';
    }
    head.append(" HTTP/1.1\r\nHost: ").append(host).append("\r\n");
    if (token != null) {
      head.append("Authorization: Bearer ").append(token).append("\r\n");
    }
    request.headers().forEach((name, value) -> head.append(name + ": " + value + "\r\n"));
    return switch (request.body()) {
      case Request.Body.Bytes(byte[] bytes) -> {
        if (!request.method().equals("GET")) {
          head.append("Content-Type: application/json\r\nContent-Length: ")
              .append(bytes.length)
              .append("\r\n");
        }
        byte[] start = head.append("\r\n").toString().getBytes(StandardCharsets.UTF_8);
        var all = ByteBuffer.allocate(start.length + bytes.length).put(start).put(bytes);
        to.out.write(all.array());
        yield head(to.in);
      }
      case Request.Body.Stream(InputStream stream) -> {
        head.append("Transfer-Encoding: chunked\r\n\r\n");
        yield sendChunked(head.toString(), stream, to);
      }
    };
  }

  private static String encode(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8);
  }

  /** Listens while it sends: an answer that comes early is a refusal, and ends the sending. */
  private static Head sendChunked(String start, InputStream body, Connection to)
      throws IOException {
    var answer = new CompletableFuture<Head>();
    Thread.ofVirtual()
        .start(
            () -> {
              try {
                answer.complete(head(to.in));
              } catch (IOException e) {
                answer.completeExceptionally(e);
              }
            });
    boolean complete = false;
    IOException broken = null;
    try {
      to.out.write(start.getBytes(StandardCharsets.UTF_8));
      byte[] chunk = new byte[BUFFER_BYTES];
      for (int count = read(body, chunk);
          count >= 0 && !answer.isDone();
          count = read(body, chunk)) {
        if (count > 0) {
          byte[] size = (Integer.toHexString(count) + "\r\n").getBytes(StandardCharsets.US_ASCII);
          var framed = ByteBuffer.allocate(size.length + count + 2);
          framed.put(size).put(chunk, 0, count).put((byte) '\r').put((byte) '\n');
          to.out.write(framed.array());
        }
      }
      if (!answer.isDone()) {
        to.out.write("0\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
        complete = true;
      }
    } catch (IOException e) {
      broken = e;
    }
    try {
      if (broken != null && !answer.isDone()) {
        // Nothing more is sent: the daemon answers what it has, or the read below fails.
        to.channel.shutdownOutput();
      }
      Head head = answer.join();
      if (!complete) {
        head.headers.put("connection", "close");
      }
      return head;
    } catch (java.util.concurrent.CompletionException e) {
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

  private static void body(Head head, Connection from, Sink sink) throws IOException {
    String length = head.headers.get("content-length");
    if (length != null) {
      copy(from, Long.parseLong(length), sink);
      return;
    }
    while (true) {
      String line = receiving(() -> line(from.in));
      long size = Long.parseLong(line, 16);
      if (size == 0) {
        receiving(() -> line(from.in));
        return;
      }
      copy(from, size, sink);
      receiving(() -> line(from.in));
      if (from.in.available() == 0) {
        sink.flush();
      }
    }
  }

  private static void copy(Connection from, long count, Sink sink) throws IOException {
    byte[] buffer = new byte[(int) Math.min(count, BUFFER_BYTES)];
    for (long left = count; left > 0; ) {
      int most = (int) Math.min(left, buffer.length);
      int read =
          receiving(
              () -> {
                int got = from.in.read(buffer, 0, most);
                if (got < 0) {
                  throw new EOFException("the answer broke off");
                }
                return got;
              });
      sink.write(buffer, 0, read);
      left -= read;
    }
  }

  @FunctionalInterface
  private interface Receiving<T> {
    T receive() throws IOException;
  }

  /** Keeps a lost daemon apart from a sink that fails. */
  private static <T> T receiving(Receiving<T> step) {
    try {
      return step.receive();
    } catch (IOException e) {
      throw unreachable(e);
    }
  }

  private static void refused(Head head, Connection from) throws IOException {
    var out = new MemorySink();
    body(head, from, out);
    var all = List.of("code", "message", "hint");
    var error =
        JsonMembers.read(
            JsonMembers.read(out.bytes(), "the answer", List.of("error")).required("error"),
            "the error",
            all);
    throw new ApiException(
        head.status, error.string("code"), error.string("message"), error.string("hint"));
  }

  @Override
  public void close() {
    Connection current = connection;
    connection = null;
    if (current != null) {
      try {
        current.close();
      } catch (IOException e) {
        // It is of no use any more either way.
      }
    }
  }
}
