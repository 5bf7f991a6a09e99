package io.pluresdb.transport.session;

import io.pluresdb.transport.identity.DeviceId;

/** Choosing between sessions with the same peer. */
public final class Sessions {
  private Sessions() {}

  /**
   * Returns the one of two sessions both devices keep: the one the smaller device id initiated.
   * When the same side initiated both, the {@code newer}, because the older may be dead already.
   */
  public static Session preferred(Session older, Session newer, DeviceId own) {
    if (older.initiator() == newer.initiator()) {
      return newer;
    }
    boolean ownIsSmaller = own.compareTo(newer.peer()) < 0;
    return newer.initiator() == ownIsSmaller ? newer : older;
  }
}
