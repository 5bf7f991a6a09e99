package io.pluresdb.harness.fault;

/** A defence that is switched off, to see that the checks notice. */
public enum Defect {
  NONE,
  /** The storage says "synced" and has not. */
  SYNC_IS_A_LIE,
  /** The anchor lives in the database directory, so a restored backup brings its own. */
  ANCHOR_INSIDE_DATABASE,
  /** The mark of unsynced published changes does not reach the disk. */
  NO_RELAXED_MARK,
  /** Nobody compares frontiers on a quiet session. */
  NO_PROBE,
  /** A batch is written in two parts. */
  TORN_BATCH,
  /** A full disk drops a batch and says nothing. */
  SILENT_FULL_DISK,
  /** The hybrid clock is not persisted. */
  FORGETFUL_CLOCK,
  /** A row whose bits changed is handed out as if nothing were wrong. */
  NO_CHECKSUMS,
  /** A connection is always writable, whether or not the peer reads. */
  UNBOUNDED_LINK
}
