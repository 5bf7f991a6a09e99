package io.pluresdb.harness.overlay;

import org.jspecify.annotations.Nullable;

/** One device's end of a connection. */
final class Link {
  final int owner;
  final int peer;
  final boolean initiator;
  @Nullable Link other;
  boolean closed;
  long lastArrival;

  /** What the owner keeps with it. */
  @Nullable Object state;

  Link(int owner, int peer, boolean initiator) {
    this.owner = owner;
    this.peer = peer;
    this.initiator = initiator;
  }

  Link otherEnd() {
    Link end = other;
    if (end == null) {
      throw new IllegalStateException("a link has two ends");
    }
    return end;
  }
}
