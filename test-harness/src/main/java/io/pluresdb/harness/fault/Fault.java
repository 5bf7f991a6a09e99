package io.pluresdb.harness.fault;

/** What can go wrong, and what can be told; each is counted when it fires. */
public enum Fault {
  /** Power loss between events; a prefix of the unsynced commits survives. */
  POWER_LOSS,
  /** Power loss right before, or right after, a commit or its anchor. */
  POWER_LOSS_IN_COMMIT,
  /** The process ends cleanly and starts again. */
  RESTART,
  /** Every commit is refused for a while. */
  DISK_FULL,
  /** A commit or a sync fails, and so does everything after it. */
  DISK_FAILED,
  /** An earlier copy of the database comes back; the anchor was left alone. */
  RESTORE,
  /** An earlier copy of the database comes back, and there is no anchor any more. */
  RESTORE_WITHOUT_ANCHOR,
  /** A bit of a stored row changes; who reads it is told, and an earlier copy has to do. */
  BIT_FLIP,
  /** Two groups of devices cannot reach each other. */
  PARTITION,
  /** One device hears another and cannot answer. */
  ONE_WAY,
  /** A connection ends with all that was under way. */
  BREAK,
  /** Single messages are lost. */
  LOSS,
  /** Single messages arrive twice. */
  REPEAT,
  /** Single messages overtake others. */
  REORDER,
  /** A bit of a message changes. */
  CORRUPT,
  /** Everything between two devices takes long. */
  SLOW,
  /** A device reads nothing from its connections for a while. */
  UNREAD,
  /** A device never reads again, also after everything else has healed. */
  NEVER_READS,
  /** A wall clock steps by less than ten minutes. */
  CLOCK_STEP,
  /** A wall clock steps by more than ten minutes. */
  CLOCK_JUMP,
  /** A device is admitted while everything else goes on. */
  LATE_ADMISSION,
  /** An admin removes a device, also one with changes that nobody else has. */
  REVOKE,
  /** An admin takes writing from a device and leaves reading. */
  DEMOTE,
  /** Two admins remove each other, or a third device, at the same time. */
  RIVALS,
  /** A device that was removed, or may not write any more, is let in again. */
  READMIT,
  /** A device writes again what was not accepted of a removed one. */
  ADOPT,
  /** A data directory is copied with its anchor, and both go on. */
  CLONE,
  /** A data directory goes back to an earlier moment, its anchor with it. */
  ROLLBACK,
  /** A device takes off its log at once what every member has. */
  COMPACT,
  /** A device takes all it can off its log, also what others lack. */
  CUT,

  // Lies of a device that does not run the product. Each goes on for a while, or for ever.

  /** Two changes of one number, to different devices. */
  EQUIVOCATE,
  /** Changes that nobody signed, or somebody else, or that break a rule. */
  FORGE,
  /** Changes and whole messages of others, once more. */
  REPLAY,
  /** Changes whose past never comes, and claims to have what is not given. */
  WITHHOLD,
  /** Claims about frontiers, also about what the listener itself wrote. */
  FALSE_HEADS,
  /** Messages beyond every limit, and questions whose answers are not read. */
  OVERSIZE,
  /** Membership entries that mean nothing. */
  SPAM_MEMBERS,
  /** Changes from years ahead. */
  FAR_FUTURE,
  /** Acknowledgements of what was not received, and none of what was. */
  FALSE_ACKS,
  /** Membership views, trees and announcements that make no sense. */
  FALSE_GOSSIP,
  /** Snapshots with heads that nobody signed, and offers that lead to nothing. */
  FALSE_SNAPSHOT;

  /** Whether it takes a device that lies. */
  public boolean isLie() {
    return compareTo(EQUIVOCATE) >= 0;
  }
}
