package io.pluresdb.transport.net;

import io.pluresdb.transport.hash.Blake2b;
import io.pluresdb.transport.relay.RelayToken;
import java.nio.charset.StandardCharsets;
import java.time.InstantSource;
import java.util.Collection;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The tokens a relay knows: those that are listed, and those that an operator signed. Listed ones
 * are looked up by their hashes, so that no time tells how much fits; of signed ones it is
 * remembered which were verified. On the relay's thread.
 */
final class RelayTokens {
  /** Signed tokens that need not be verified again. */
  static final int MAX_VERIFIED = 1_024;

  private static final String SCHEME = "Bearer ";

  private final Map<String, String> namesByHash = new HashMap<>();
  private final List<byte[]> operators;
  private final InstantSource clock;
  private final Map<String, RelayToken> verified = new LinkedHashMap<>(16, 0.75f, true);

  /**
   * @param names by token
   * @param operators public keys in hexadecimal; with neither names nor keys no token is wanted
   */
  RelayTokens(Map<String, String> names, Collection<String> operators, InstantSource clock) {
    names.forEach((token, name) -> namesByHash.put(hash(token), name));
    this.operators = operators.stream().map(HexFormat.of()::parseHex).toList();
    this.clock = clock;
  }

  /** Who came. */
  sealed interface Holder {
    /** Anybody, where no token is wanted. */
    record Anybody() implements Holder {}

    /** Somebody with a token that is listed. */
    record Listed(String name) implements Holder {}

    /**
     * Somebody with a signed token.
     *
     * @param fingerprint what this token is counted under
     */
    record Signed(String fingerprint, RelayToken token) implements Holder {}

    /** Somebody who may not use this relay. */
    record Unknown(String why) implements Holder {}
  }

  /** Judges an {@code Authorization} header, which may be missing. */
  Holder holder(@Nullable String authorization) {
    if (namesByHash.isEmpty() && operators.isEmpty()) {
      return new Holder.Anybody();
    }
    if (authorization == null || !authorization.startsWith(SCHEME)) {
      return new Holder.Unknown("this relay wants a token it knows: wss://TOKEN@HOST");
    }
    String token = authorization.substring(SCHEME.length()).strip();
    String name = namesByHash.get(hash(token));
    if (name != null) {
      return new Holder.Listed(name);
    }
    return token.startsWith(RelayToken.PREFIX) && !operators.isEmpty()
        ? signed(token)
        : new Holder.Unknown("this relay wants a token it knows: wss://TOKEN@HOST");
  }

  private Holder signed(String text) {
    String fingerprint = RelayToken.fingerprint(text);
    RelayToken before = verified.get(fingerprint);
    if (before != null && !before.hasExpired(clock.instant())) {
      return new Holder.Signed(fingerprint, before);
    }
    verified.remove(fingerprint);
    return switch (RelayToken.judge(text, operators, clock.instant())) {
      case RelayToken.Verdict.Invalid(var why) -> new Holder.Unknown(why);
      case RelayToken.Verdict.Valid(var token) -> {
        verified.put(fingerprint, token);
        if (verified.size() > MAX_VERIFIED) {
          verified.remove(verified.keySet().iterator().next());
        }
        yield new Holder.Signed(fingerprint, token);
      }
    };
  }

  private static String hash(String token) {
    return HexFormat.of().formatHex(Blake2b.hash256(token.getBytes(StandardCharsets.UTF_8)));
  }
}
