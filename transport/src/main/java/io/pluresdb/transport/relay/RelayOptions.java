package io.pluresdb.transport.relay;

import io.pluresdb.transport.identity.DeviceIdentity;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How a relay runs.
 *
 * @param listen port 0 picks a free one
 * @param tls what it proves itself with, or null without TLS, as behind a reverse proxy
 * @param tokens names by token; when there are any, or token keys, a client needs one
 * @param tokenKeys Ed25519 public keys, 64 hexadecimal digits each, at most {@link
 *     #MAX_TOKEN_KEYS}: what their owners signed is a token, too ({@link RelayToken})
 * @param trustForwarded whether the last address of {@code X-Forwarded-For} is the client's: only
 *     behind a reverse proxy that sets it
 */
public record RelayOptions(
    InetSocketAddress listen,
    @Nullable Tls tls,
    Map<String, String> tokens,
    List<String> tokenKeys,
    boolean trustForwarded,
    RelayLimits limits) {
  /** Most keys that sign tokens. */
  public static final int MAX_TOKEN_KEYS = 8;

  private static final int KEY_CHARACTERS = 2 * DeviceIdentity.PUBLIC_KEY_BYTES;

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
    tokenKeys = List.copyOf(tokenKeys);
    if (tokenKeys.size() > MAX_TOKEN_KEYS || !tokenKeys.stream().allMatch(RelayOptions::isKey)) {
      throw new IllegalArgumentException(
          "relay.token-keys must be at most "
              + MAX_TOKEN_KEYS
              + " public keys of "
              + KEY_CHARACTERS
              + " hexadecimal digits, but are "
              + String.join(",", tokenKeys));
    }
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

  /** Without keys that sign tokens. */
  public RelayOptions(
      InetSocketAddress listen,
      @Nullable Tls tls,
      Map<String, String> tokens,
      boolean trustForwarded,
      RelayLimits limits) {
    this(listen, tls, tokens, List.of(), trustForwarded, limits);
  }

  private static boolean isKey(String text) {
    return text.length() == KEY_CHARACTERS && text.chars().allMatch(HexFormat::isHexDigit);
  }
}
