package io.pluresdb.transport.session;

import io.pluresdb.transport.identity.DeviceId;
import java.util.Arrays;

/** Choosing between sessions with the same peer. */
public final class Sessions {
  private Sessions() {}

  /**
   * Returns the one of two sessions both devices keep: the one whose path has the higher rank, then
   * the one the smaller device id initiated. When the same side initiated both, the {@code newer},
   * because the older may be dead already; so, too, whatever their paths, when the peer was started
   * anew, or is one of two copies of a device that both run: then they take turns.
   */
  public static Session preferred(Session older, Session newer, DeviceId own) {
    if (!Arrays.equals(older.peerNoiseKey(), newer.peerNoiseKey())) {
      return newer;
    }
    if (older.path().rank() != newer.path().rank()) {
      return newer.path().rank() > older.path().rank() ? newer : older;
    }
    if (older.initiator() == newer.initiator()) {
      return newer;
    }
    boolean ownIsSmaller = own.compareTo(newer.peer()) < 0;
    return newer.initiator() == ownIsSmaller ? newer : older;
  }
}
