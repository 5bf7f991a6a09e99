package io.pluresdb.crdt.auth;

import io.pluresdb.crdt.CoreException;
import java.util.Locale;

/** What a device may do in a database; each role may do all that the ones before it may. */
public enum Role {
  /** Connect and fetch. */
  PULL,
  /** Read through the daemon's interfaces. */
  READ,
  /** Write documents. */
  WRITE,
  /** Invite and remove devices. */
  ADMIN;

  /**
   * Parses {@code pull}, {@code read}, {@code write} or {@code admin}.
   *
   * @throws CoreException on anything else
   */
  public static Role parse(String text) {
    try {
      return valueOf(text.toUpperCase(Locale.ROOT));
    } catch (IllegalArgumentException e) {
      throw CoreException.invalid("role must be pull, read, write or admin, but is " + text);
    }
  }

  public boolean includes(Role other) {
    return compareTo(other) >= 0;
  }

  /** The lower-case name. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
