package io.pluresdb.daemon.api;

import io.pluresdb.client.DaemonConnection;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A blocking client for one daemon on this machine, over its Unix socket or loopback TCP. It keeps
 * its connection between requests.
 */
public final class LocalClient implements ApiClient {
  private static final int BUFFER_BYTES = 64 << 10;

  private final DaemonConnection.Target target;
  private @Nullable DaemonConnection connection;

  private LocalClient(DaemonConnection.Target target) throws IOException {
    this.target = target;
    this.connection = DaemonConnection.open(target);
  }

  /**
   * Connects to a Unix socket.
   *
   * @throws IOException when nobody listens there
   */
  public static LocalClient unix(Path socket) throws IOException {
    return new LocalClient(DaemonConnection.Target.unix(socket));
  }

  /**
   * Connects to a loopback address.
   *
   * @throws IOException when nobody listens there
   */
  public static LocalClient tcp(InetSocketAddress address, String token) throws IOException {
    return new LocalClient(DaemonConnection.Target.tcp(address, token));
  }

  @Override
  public void exchange(Request request, Sink sink) throws IOException {
    DaemonConnection.Reply reply = send(request);
    boolean whole = false;
    try {
      if (reply.status() == 200) {
        copy(reply.body(), sink);
        sink.flush();
      } else {
        refused(reply);
      }
      whole = true;
    } catch (ApiException e) {
      whole = reply.status() != 200;
      throw e;
    } finally {
      DaemonConnection used = connection;
      if (!whole || used == null || !used.isReusable()) {
        close();
      }
    }
  }

  private DaemonConnection.Reply send(Request request) {
    String at = DaemonConnection.target(request.path(), request.query());
    DaemonConnection.Body body =
        switch (request.body()) {
          case Request.Body.Bytes(byte[] bytes) -> new DaemonConnection.Body.Bytes(bytes);
          case Request.Body.Stream(InputStream stream) -> new DaemonConnection.Body.Stream(stream);
        };
    DaemonConnection kept = connection;
    try {
      return (kept == null ? open() : kept).send(request.method(), at, request.headers(), body);
    } catch (UncheckedIOException e) {
      close();
      throw e;
    } catch (IOException e) {
      close();
      // A kept connection may have timed out; what can be asked twice is asked on a fresh one.
      if (kept == null || !request.method().equals("GET")) {
        throw unreachable(e);
      }
    }
    try {
      return open().send(request.method(), at, request.headers(), body);
    } catch (IOException again) {
      close();
      throw unreachable(again);
    }
  }

  private DaemonConnection open() throws IOException {
    DaemonConnection fresh = DaemonConnection.open(target);
    connection = fresh;
    return fresh;
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

  private static void copy(InputStream body, Sink sink) throws IOException {
    byte[] buffer = new byte[BUFFER_BYTES];
    for (int count = read(body, buffer); count >= 0; count = read(body, buffer)) {
      sink.write(buffer, 0, count);
      if (available(body) == 0) {
        sink.flush();
      }
    }
  }

  /** Keeps a lost daemon apart from a sink that fails. */
  private static int read(InputStream body, byte[] buffer) {
    try {
      return body.read(buffer);
    } catch (IOException e) {
      throw unreachable(e);
    }
  }

  private static int available(InputStream body) {
    try {
      return body.available();
    } catch (IOException e) {
      throw unreachable(e);
    }
  }

  private static void refused(DaemonConnection.Reply reply) throws IOException {
    var out = new MemorySink();
    copy(reply.body(), out);
    var all = List.of("code", "message", "hint");
    var error =
        JsonMembers.read(
            JsonMembers.read(out.bytes(), "the answer", List.of("error")).required("error"),
            "the error",
            all);
    throw new ApiException(
        reply.status(), error.string("code"), error.string("message"), error.string("hint"));
  }

  @Override
  public void close() {
    DaemonConnection current = connection;
    connection = null;
    if (current != null) {
      current.close();
    }
  }
}
