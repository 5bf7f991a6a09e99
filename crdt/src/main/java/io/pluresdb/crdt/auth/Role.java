package io.pluresdb.crdt.auth;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.codec.CodecException;
import java.util.Locale;

/** What a device may do in a database; each role may do all that the ones before it may. */
public enum Role {
  /** Connect and fetch. */
  PULL(0),
  /** Read through the daemon's interfaces. */
  READ(1),
  /** Write documents. */
  WRITE(2),
  /** Invite and remove devices. */
  ADMIN(3);

  private final int code;

  Role(int code) {
    this.code = code;
  }

  /** The byte that stands for it in a {@link MembershipEntry}. */
  int code() {
    return code;
  }

  static Role ofCode(int code) {
    for (Role role : values()) {
      if (role.code == code) {
        return role;
      }
    }
    throw new CodecException("role must be 0 to 3, but is " + code);
  }

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
