package io.pluresdb.harness.overlay;

/** What a message is for, to count its bytes under. */
public enum Kind {
  CHANGES,
  ANNOUNCE,
  GRAFT,
  PRUNE,
  ACK,
  /** Hello, Heads, Probe, Members: comparing frontiers. */
  COMPARE,
  /** Neighbours, walks, shuffles. */
  VIEW,
  /** Handshakes of sessions. */
  SESSION
}
