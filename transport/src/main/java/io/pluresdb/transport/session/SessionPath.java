package io.pluresdb.transport.session;

import io.pluresdb.transport.relay.RelayUrl;

/** How the bytes of a session travel. */
public sealed interface SessionPath {
  /** How good it is: of two paths to a peer the one with the higher rank is used. */
  default int rank() {
    return switch (this) {
      case Relayed ignored -> 0;
      case Quic ignored -> 1;
      // Cheaper than QUIC, and no mapping of a NAT has to be kept open for it.
      case Direct ignored -> 2;
    };
  }

  /** Straight to the peer, over TCP. */
  record Direct() implements SessionPath {}

  /** Straight to the peer, over QUIC, through NATs where there are some. */
  record Quic() implements SessionPath {}

  /** Through a relay, which both sides know. */
  record Relayed(RelayUrl relay) implements SessionPath {}
}
