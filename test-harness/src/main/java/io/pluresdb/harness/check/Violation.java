package io.pluresdb.harness.check;

/** An invariant that does not hold; ends the simulation, whatever is on the way. */
public final class Violation extends Error {
  private static final long serialVersionUID = 1;

  private final Invariant invariant;

  public Violation(Invariant invariant, String detail) {
    super(invariant + " (" + invariant.text() + "): " + detail);
    this.invariant = invariant;
  }

  public Violation(Invariant invariant, String detail, Throwable cause) {
    super(invariant + " (" + invariant.text() + "): " + detail, cause);
    this.invariant = invariant;
  }

  public Invariant invariant() {
    return invariant;
  }
}
