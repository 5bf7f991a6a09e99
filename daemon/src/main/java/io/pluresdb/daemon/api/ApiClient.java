package io.pluresdb.daemon.api;

import java.io.IOException;
import java.io.UncheckedIOException;

/** The API as a caller sees it, over a socket or in the same process. Used by one thread. */
public interface ApiClient extends AutoCloseable {
  /**
   * Sends a request and passes the body of a successful answer to {@code sink} as it comes.
   *
   * @throws ApiException with the server's code, message and hint, or {@code API_UNREACHABLE} when
   *     the daemon went away
   * @throws IOException when the sink does
   * @throws UncheckedIOException when the request's own stream fails; the connection is closed
   */
  void exchange(Request request, Sink sink) throws IOException, InterruptedException;

  /**
   * Sends a request and returns the whole body of a successful answer.
   *
   * @throws UncheckedIOException when the request's own stream fails
   */
  default byte[] call(Request request) throws InterruptedException {
    var out = new MemorySink();
    try {
      exchange(request, out);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return out.bytes();
  }

  @Override
  void close();
}
