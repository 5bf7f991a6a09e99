package io.pluresdb.transport.nat;

import java.net.InetSocketAddress;
import java.net.URI;
import java.util.List;

/** What a {@link PortMapper} wants done. */
public sealed interface NatEffect {
  /** Send a datagram. */
  record Send(InetSocketAddress to, byte[] datagram) implements NatEffect {}

  /**
   * Ask over HTTP, and tell {@link PortMapper#fetched} what came of it; one at a time.
   *
   * @param soapAction empty for GET, otherwise the header of a POST
   */
  record Fetch(URI url, String soapAction, String body) implements NatEffect {}

  /** These are the mappings now. */
  record Changed(List<PortMapping> mappings) implements NatEffect {}
}
