package io.pluresdb.harness.fault;

/**
 * The device loses its power in the middle of what it was doing: nothing may catch it on the way.
 */
public final class PowerLoss extends Error {
  private static final long serialVersionUID = 1;

  public PowerLoss() {
    super("power loss", null, false, false);
  }
}
