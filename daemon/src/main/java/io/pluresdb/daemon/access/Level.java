package io.pluresdb.daemon.access;

import java.util.Locale;

/** What a caller may do; each level may do what those before it may. */
public enum Level {
  /** Ask whether the daemon is well, and what its routes are. */
  PUBLIC,
  /** Read documents and what there is to know about databases. */
  READ,
  /** Write documents. */
  WRITE,
  /** Everything else: members, keys, databases, tokens. */
  ADMIN;

  /** As people write it. */
  public String text() {
    return name().toLowerCase(Locale.ROOT);
  }

  /**
   * What a token can be for.
   *
   * @throws AccessException when it is neither read, write nor admin
   */
  public static Level parse(String text) {
    return switch (text) {
      case "read" -> READ;
      case "write" -> WRITE;
      case "admin" -> ADMIN;
      default ->
          throw AccessException.invalid(
              "scope must be read, write or admin, but is \"" + text + "\"");
    };
  }
}
