package io.pluresdb.transport.relay;

/** Bytes from a peer that break RFC 6455; the connection must end with the close code. */
public final class WebSocketException extends Exception {
  private static final long serialVersionUID = 1;

  private final int closeCode;

  public WebSocketException(int closeCode, String message) {
    // Peers cause these at will: no stack trace.
    super(message, null, false, false);
    this.closeCode = closeCode;
  }

  /** What the peer is told, one of {@link WebSocket}'s codes. */
  public int closeCode() {
    return closeCode;
  }
}
