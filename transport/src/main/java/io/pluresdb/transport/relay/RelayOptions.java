package io.pluresdb.transport.relay;

import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How a relay runs.
 *
 * @param listen port 0 picks a free one
 * @param tls what it proves itself with, or null without TLS, as behind a reverse proxy
 * @param tokens names by token; when there are any, a client needs one
 * @param trustForwarded whether the last address of {@code X-Forwarded-For} is the client's: only
 *     behind a reverse proxy that sets it
 */
public record RelayOptions(
    InetSocketAddress listen,
    @Nullable Tls tls,
    Map<String, String> tokens,
    boolean trustForwarded,
    RelayLimits limits) {
  /** Shortest token. */
  public static final int MIN_TOKEN_CHARACTERS = 16;

  /**
   * Files in PEM.
   *
   * @param certificates the relay's own first, then those that lead to an authority
   * @param key PKCS #8, not encrypted
   */
  public record Tls(Path certificates, Path key) {}

  public RelayOptions {
    tokens = Map.copyOf(tokens);
    for (String token : tokens.keySet()) {
      if (token.length() < MIN_TOKEN_CHARACTERS
          || !token.chars().allMatch(c -> c > ' ' && c < 0x7f && "@/#?:%".indexOf(c) < 0)) {
        throw new IllegalArgumentException(
            "a relay token must have "
                + MIN_TOKEN_CHARACTERS
                + " or more printable ASCII characters, none of them @ / # ? : %, but one of "
                + tokens.get(token)
                + " has not");
      }
    }
  }
}
