package io.pluresdb.harness.fault;

import io.pluresdb.crdt.store.Anchor;
import org.jspecify.annotations.Nullable;

/** An anchor in memory that can be copied, and where the power can go. */
public final class WatchedAnchor implements Anchor {
  private @Nullable Mark mark;

  /** What of it would survive power loss. */
  private @Nullable Mark recorded;

  private boolean powerLoss;

  public WatchedAnchor() {}

  /** The anchor as it is now. */
  public WatchedAnchor copy() {
    var copy = new WatchedAnchor();
    copy.mark = mark;
    copy.recorded = mark;
    return copy;
  }

  /** The power goes: what was only noted may be lost. */
  public void forgetNotes() {
    mark = recorded;
  }

  /** The last mark that survives power loss, or null. */
  public @Nullable Mark recorded() {
    return recorded;
  }

  /** The power goes right after the next mark was written. */
  public void losePower() {
    powerLoss = true;
  }

  /** The power did not go in time. */
  public void keepPower() {
    powerLoss = false;
  }

  @Override
  public Reading read() {
    return mark == null ? new Reading.Missing() : new Reading.Valid(mark);
  }

  @Override
  public void record(Mark newest) {
    mark = newest;
    recorded = newest;
    if (powerLoss) {
      powerLoss = false;
      throw new PowerLoss();
    }
  }

  @Override
  public void note(Mark newest) {
    mark = newest;
  }
}
