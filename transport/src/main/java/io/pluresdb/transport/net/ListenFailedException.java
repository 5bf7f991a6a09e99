package io.pluresdb.transport.net;

import java.net.InetSocketAddress;

/** The address cannot be listened on: taken, not ours, or not permitted. Choose another. */
public final class ListenFailedException extends RuntimeException {
  private static final long serialVersionUID = 1;

  ListenFailedException(InetSocketAddress address, Throwable cause) {
    super("cannot listen for peers on " + address + ": " + cause.getMessage(), cause);
  }
}
