package io.pluresdb.transport.session;

import io.pluresdb.transport.relay.RelayUrl;

/** How the bytes of a session travel. */
public sealed interface SessionPath {
  /** Straight to the peer. */
  record Direct() implements SessionPath {}

  /** Through a relay, which both sides know. */
  record Relayed(RelayUrl relay) implements SessionPath {}
}
