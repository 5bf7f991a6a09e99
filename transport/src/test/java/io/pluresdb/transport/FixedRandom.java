package io.pluresdb.transport;

import java.util.random.RandomGenerator;

/** Gives out prepared bytes, once. */
public final class FixedRandom implements RandomGenerator {
  private final byte[] prepared;
  private boolean used;

  public FixedRandom(byte[] prepared) {
    this.prepared = prepared;
  }

  @Override
  public void nextBytes(byte[] out) {
    if (used || out.length != prepared.length) {
      throw new AssertionError("asked for " + out.length + " bytes, prepared " + prepared.length);
    }
    used = true;
    System.arraycopy(prepared, 0, out, 0, out.length);
  }

  @Override
  public long nextLong() {
    throw new AssertionError("only bytes are prepared");
  }
}
