package io.pluresdb.daemon.access;

import java.time.Instant;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A token as it is kept: not the secret, but its hash.
 *
 * @param name 1 to 64 letters, digits, dots, underscores and dashes; unique
 * @param hash hex of the SHA-256 of the secret, which is 32 random bytes: no slow hash is needed
 * @param databases none for all
 * @param expires null for never
 */
public record Token(
    String name,
    String hash,
    Level level,
    Set<String> databases,
    Instant created,
    @Nullable Instant expires) {
  private static final String NAME = "[A-Za-z0-9._-]{1,64}";

  public Token {
    databases = Set.copyOf(databases);
    if (!name.matches(NAME)) {
      throw AccessException.invalid(
          "the name of a token must match " + NAME + ", but is \"" + name + "\"");
    }
    if (level == Level.PUBLIC) {
      throw AccessException.invalid("a token must have the scope read, write or admin");
    }
    if (level == Level.ADMIN && !databases.isEmpty()) {
      throw AccessException.invalid(
          "the scope admin is for the whole device, and cannot be limited to databases");
    }
  }

  boolean isExpired(Instant now) {
    return expires != null && !now.isBefore(expires);
  }

  Caller caller() {
    return new Caller(name, level, databases);
  }
}
