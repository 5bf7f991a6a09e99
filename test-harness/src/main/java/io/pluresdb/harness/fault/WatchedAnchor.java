package io.pluresdb.harness.fault;

import io.pluresdb.crdt.store.Anchor;
import org.jspecify.annotations.Nullable;

/** An anchor in memory that can be copied, and where the power can go. */
public final class WatchedAnchor implements Anchor {
  private @Nullable Mark mark;
  private boolean powerLoss;

  public WatchedAnchor() {}

  /** The anchor as it is now. */
  public WatchedAnchor copy() {
    var copy = new WatchedAnchor();
    copy.mark = mark;
    return copy;
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
