package io.pluresdb.transport.dht;

import java.net.InetSocketAddress;

/** What a {@link DhtNode} wants done. */
public sealed interface DhtEffect {
  /**
   * @param datagram at most 1,024 bytes
   */
  record Send(InetSocketAddress to, byte[] datagram) implements DhtEffect {}

  /** Somebody says there is a peer of the topic. Once for each lookup and announcement. */
  record Found(DhtId topic, InetSocketAddress peer) implements DhtEffect {}

  record Finished(LookupTrace trace) implements DhtEffect {}
}
