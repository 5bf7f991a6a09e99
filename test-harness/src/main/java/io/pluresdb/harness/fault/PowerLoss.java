package io.pluresdb.harness.fault;

/** The device loses its power in the middle of what it was doing. */
public final class PowerLoss extends RuntimeException {
  private static final long serialVersionUID = 1;

  public PowerLoss() {
    super("power loss", null, false, false);
  }
}
