package io.pluresdb.transport.net;

import java.net.InetSocketAddress;

/** The address cannot be listened on: taken, not ours, or not permitted. Choose another. */
public final class ListenFailedException extends RuntimeException {
  /** The code it is told by. */
  public static final String CODE = "PEERS_BIND_FAILED";

  private static final long serialVersionUID = 1;

  ListenFailedException(InetSocketAddress address, Throwable cause) {
    super(
        "cannot listen for peers on "
            + address.getHostString()
            + " port "
            + address.getPort()
            + ": "
            + cause.getMessage(),
        cause);
  }
}
