package io.pluresdb.daemon.api;

import io.pluresdb.daemon.access.AuditLog;
import io.pluresdb.daemon.access.Tokens;
import io.pluresdb.daemon.node.Node;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.Random;

/** A server over a fake node on real sockets, and raw connections to it. */
final class Served implements AutoCloseable {
  static final String TOKEN = "token-of-this-test";
  static final Duration SHORT = Duration.ofMillis(300);
  static final Duration LONG = Duration.ofSeconds(30);
  static final InstantSource CLOCK = InstantSource.fixed(FakeNode.STARTED.plusMillis(1_500));

  final FakeNode node = new FakeNode();
  final Path directory;
  final Tokens tokens;
  final AuditLog audit;
  final HttpServer server;

  private Served(ApiOptions options, Path directory) {
    this.directory = directory;
    tokens = Tokens.inMemory(TOKEN, CLOCK, new Random(1));
    audit = AuditLog.at(directory.resolve("audit.log"));
    server = HttpServer.start(api(node, options.keepAlive(), tokens, audit), options, tokens);
  }

  /** The routes over a node. */
  private static Api api(Node node, Duration keepAlive, Tokens tokens, AuditLog audit) {
    return new Api(node, "0.0.0-test", CLOCK, keepAlive, tokens, audit);
  }

  static Api api(Node node) {
    return api(node, LONG, Tokens.inMemory(TOKEN, CLOCK, new Random(1)), AuditLog.none());
  }

  /** With a limit on what one caller may ask at once and in a second. */
  static Served limited(int concurrent, int perSecond) throws IOException {
    Path directory = Files.createTempDirectory("pluresdb-api");
    var anywhere = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
    return new Served(
        ApiOptions.at(anywhere, directory.resolve("pluresdb.sock"))
            .limitedTo(256, concurrent, perSecond),
        directory);
  }

  /** For callers without a token. */
  static Served open() throws IOException {
    Path directory = Files.createTempDirectory("pluresdb-api");
    var anywhere = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
    return new Served(ApiOptions.at(anywhere, null).withoutAuth(), directory);
  }

  static Served withDefaults() throws IOException {
    return with(256, LONG, LONG, LONG, LONG);
  }

  static Served with(
      int maxConnections, Duration head, Duration idle, Duration body, Duration keepAlive)
      throws IOException {
    Path directory = Files.createTempDirectory("pluresdb-api");
    return new Served(
        new ApiOptions(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
            directory.resolve("pluresdb.sock"),
            maxConnections,
            maxConnections,
            0,
            head,
            idle,
            body,
            keepAlive,
            Duration.ofSeconds(1),
            false),
        directory);
  }

  int port() {
    return server.address().getPort();
  }

  LocalClient tcp() throws IOException {
    return LocalClient.tcp(server.address(), TOKEN);
  }

  LocalClient unix() throws IOException {
    return LocalClient.unix(directory.resolve("pluresdb.sock"));
  }

  Raw raw() throws IOException {
    return new Raw(new Socket(server.address().getAddress(), port()));
  }

  /** A request's head with everything a good TCP request has; more header lines end with CRLF. */
  String head(String requestLine, String moreHeaders) {
    return requestLine
        + " HTTP/1.1\r\nHost: 127.0.0.1:"
        + port()
        + "\r\nAuthorization: Bearer "
        + TOKEN
        + "\r\n"
        + moreHeaders
        + "\r\n";
  }

  @Override
  public void close() throws IOException {
    server.close();
    try (var files = Files.list(directory)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(directory);
  }

  /** An answer as it stood on the wire. */
  record Reply(int status, String head, String body) {}

  /** A connection that sends any bytes. Reading gives up after 20 seconds. */
  static final class Raw implements AutoCloseable {
    final Socket socket;
    final InputStream in;

    Raw(Socket socket) throws IOException {
      this.socket = socket;
      socket.setSoTimeout(20_000);
      in = new BufferedInputStream(socket.getInputStream());
    }

    Raw send(String text) throws IOException {
      socket.getOutputStream().write(text.getBytes(StandardCharsets.UTF_8));
      return this;
    }

    Reply reply() throws IOException {
      var head = new StringBuilder();
      for (String line = line(); !line.isEmpty(); line = line()) {
        head.append(line).append('\n');
      }
      String text = head.toString();
      int status = Integer.parseInt(text, 9, 12, 10);
      int at = text.indexOf("content-length: ");
      if (at < 0) {
        at = text.indexOf("Content-Length: ");
      }
      if (at < 0) {
        return new Reply(status, text, "");
      }
      int length = Integer.parseInt(text, at + 16, text.indexOf('\n', at), 10);
      return new Reply(status, text, new String(in.readNBytes(length), StandardCharsets.UTF_8));
    }

    String line() throws IOException {
      var line = new StringBuilder();
      for (int b = in.read(); b != '\n'; b = in.read()) {
        if (b < 0) {
          throw new java.io.EOFException("closed after " + line);
        }
        line.append((char) b);
      }
      return line.toString().stripTrailing();
    }

    /** Whether the server closes without another byte. */
    boolean isClosed() throws IOException {
      try {
        return in.read() < 0;
      } catch (java.net.SocketException e) {
        return true;
      }
    }

    @Override
    public void close() throws IOException {
      socket.close();
    }
  }
}
