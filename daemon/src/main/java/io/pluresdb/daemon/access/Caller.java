package io.pluresdb.daemon.access;

import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * Who asks.
 *
 * @param name a token's, or what else proved who it is; for the audit log
 * @param level what it may do
 * @param databases those it may do it in; none for all, and for what is about the whole device
 */
public record Caller(String name, Level level, Set<String> databases) {
  /** Who proved nothing. */
  public static final Caller NOBODY = new Caller("nobody", Level.PUBLIC, Set.of());

  public Caller {
    databases = Set.copyOf(databases);
  }

  /** One who may do everything. */
  public static Caller owner(String name) {
    return new Caller(name, Level.ADMIN, Set.of());
  }

  /** Whether nothing but the level limits it. */
  public boolean isUnrestricted() {
    return databases.isEmpty();
  }

  /** Whether it may know of a database. */
  public boolean sees(String database) {
    return isUnrestricted() || databases.contains(database);
  }

  /** Those of these databases that it may know of. */
  public List<String> visible(List<String> all) {
    return all.stream().filter(this::sees).toList();
  }

  /**
   * @throws AccessException {@code API_FORBIDDEN} unless it may do what {@code needed} says
   */
  public void require(Level needed) {
    if (level.compareTo(needed) < 0) {
      throw new AccessException(
          403,
          "API_FORBIDDEN",
          "token \"" + name + "\" has the scope " + level.text() + ", this needs " + needed.text(),
          "use a token of that scope: pluresdb token create");
    }
  }

  /**
   * @throws AccessException {@code API_FORBIDDEN} unless the caller may use {@code database}
   */
  public void requireDatabase(String database) {
    if (!sees(database)) {
      throw new AccessException(
          403,
          "API_FORBIDDEN",
          "token \""
              + name
              + "\" is for databases "
              + new TreeSet<>(databases)
              + ", not for \""
              + database
              + "\"",
          "name one of them with db, or use another token");
    }
  }

  /**
   * @throws AccessException {@code API_FORBIDDEN} for one who is limited to some databases
   */
  public void requireWholeDevice() {
    if (!isUnrestricted()) {
      throw new AccessException(
          403,
          "API_FORBIDDEN",
          "token \""
              + name
              + "\" is for databases "
              + new TreeSet<>(databases)
              + ", and this is about the whole device",
          "use a token for all databases");
    }
  }
}
