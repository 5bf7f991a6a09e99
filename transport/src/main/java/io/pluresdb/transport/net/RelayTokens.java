package io.pluresdb.transport.net;

import io.pluresdb.transport.hash.Blake2b;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The tokens a relay knows. Looked up by their hashes, so that no time tells how much fits. */
final class RelayTokens {
  private static final String SCHEME = "Bearer ";

  private final Map<String, String> namesByHash = new HashMap<>();

  /**
   * @param names by token; none for a relay that wants no token
   */
  RelayTokens(Map<String, String> names) {
    names.forEach((token, name) -> namesByHash.put(hash(token), name));
  }

  /**
   * Whose token came.
   *
   * @param name null where none is wanted
   */
  record Holder(boolean known, @Nullable String name) {}

  /** Judges an {@code Authorization} header, which may be missing. */
  Holder holder(@Nullable String authorization) {
    if (namesByHash.isEmpty()) {
      return new Holder(true, null);
    }
    String name =
        authorization == null || !authorization.startsWith(SCHEME)
            ? null
            : namesByHash.get(hash(authorization.substring(SCHEME.length()).strip()));
    return new Holder(name != null, name);
  }

  private static String hash(String token) {
    return HexFormat.of().formatHex(Blake2b.hash256(token.getBytes(StandardCharsets.UTF_8)));
  }
}
