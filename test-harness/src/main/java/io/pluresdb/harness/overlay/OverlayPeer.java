package io.pluresdb.harness.overlay;

import io.pluresdb.crdt.overlay.PeerId;
import java.util.List;

/** A device of the simulation. */
interface OverlayPeer {
  /** A change as it travels: by its place in the run's list of changes. */
  record Message(Kind kind, Object content, int bytes, int[] changes) {
    private static final int[] NONE = {};

    Message(Kind kind, Object content, int bytes) {
      this(kind, content, bytes, NONE);
    }
  }

  void connected(Link link);

  void closed(Link link);

  void unreachable(int peer);

  void receive(Link link, Message message);

  /** Called once a second. */
  void tick();

  /** Takes down a device it may connect. */
  void learn(int peer);

  /** Writes one small document as a change that is number {@code change} of the run. */
  void write(int change);

  /** Whether a change of the run is here. */
  boolean has(int change);

  /** The devices it holds for neighbours. */
  List<PeerId> neighbours();

  /** The devices it has in reserve; an engine does not tell. */
  List<PeerId> reserve();
}
