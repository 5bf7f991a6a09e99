package io.pluresdb.transport.path;

import io.pluresdb.transport.relay.RelayUrl;
import io.pluresdb.transport.topic.PeerTag;
import io.pluresdb.transport.topic.Rendezvous;
import java.net.InetSocketAddress;

/** A way in which a peer may be reached. */
public sealed interface Candidate {
  /** By dialling where it listens. */
  record Direct(InetSocketAddress address) implements Candidate {}

  /** By QUIC, to where its UDP port can be reached. */
  record Quic(InetSocketAddress address) implements Candidate {}

  /** Through a relay it is registered at. */
  record Relayed(RelayUrl relay, Rendezvous rendezvous, PeerTag tag) implements Candidate {}
}
