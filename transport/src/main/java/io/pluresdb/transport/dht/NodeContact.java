package io.pluresdb.transport.dht;

import java.net.InetSocketAddress;

/**
 * A node of the DHT: its id and where it is said to be.
 *
 * @param address resolved
 */
public record NodeContact(DhtId id, InetSocketAddress address) {
  public AddressFamily family() {
    return AddressFamily.of(address);
  }

  /** Whether the id is one that a node at this address may have (BEP 42). */
  boolean isProven() {
    return id.isProvenFor(address.getAddress());
  }
}
