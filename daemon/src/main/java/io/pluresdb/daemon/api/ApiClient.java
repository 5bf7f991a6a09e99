package io.pluresdb.daemon.api;

import java.io.IOException;

/** The API as a caller sees it, over a socket or in the same process. Used by one thread. */
public interface ApiClient extends AutoCloseable {
  /**
   * Sends a request and passes the body of a successful answer to {@code sink} as it comes.
   *
   * @throws ApiException with the server's code, message and hint, or {@code API_UNREACHABLE} when
   *     the daemon went away
   * @throws IOException when the sink does
   */
  void exchange(Request request, Sink sink) throws IOException, InterruptedException;

  /** Sends a request and returns the whole body of a successful answer. */
  default byte[] call(Request request) throws InterruptedException {
    var out = new MemorySink();
    try {
      exchange(request, out);
    } catch (IOException e) {
      throw ApiException.of(e);
    }
    return out.bytes();
  }

  @Override
  void close();
}
