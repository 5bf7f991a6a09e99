package io.pluresdb.transport.session;

import io.pluresdb.transport.identity.DeviceId;
import java.util.Arrays;

/** Choosing between sessions with the same peer. */
public final class Sessions {
  private Sessions() {}

  /**
   * Returns the one of two sessions both devices keep: the one the smaller device id initiated.
   * When the same side initiated both, the {@code newer}, because the older may be dead already;
   * so, too, when the peer was started anew, or is one of two copies of a device that both run:
   * then they take turns.
   */
  public static Session preferred(Session older, Session newer, DeviceId own) {
    if (older.initiator() == newer.initiator()
        || !Arrays.equals(older.peerNoiseKey(), newer.peerNoiseKey())) {
      return newer;
    }
    boolean ownIsSmaller = own.compareTo(newer.peer()) < 0;
    return newer.initiator() == ownIsSmaller ? newer : older;
  }
}
