package io.pluresdb.crdt.store;

import org.jspecify.annotations.Nullable;

/** An anchor in memory, for tests, simulations and databases that need not outlive the process. */
public final class MemoryAnchor implements Anchor {
  private @Nullable Mark mark;
  private @Nullable Mark recorded;

  @Override
  public Reading read() {
    return mark == null ? new Reading.Missing() : new Reading.Valid(mark);
  }

  @Override
  public void record(Mark newest) {
    mark = newest;
    recorded = newest;
  }

  @Override
  public void note(Mark newest) {
    mark = newest;
  }

  /** Goes back to what power loss leaves for certain. */
  public void losePower() {
    mark = recorded;
  }
}
