package io.pluresdb.transport.relay;

import java.net.URI;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;

/**
 * Where a relay is: {@code wss://[TOKEN@]HOST[:PORT][/PATH][#sha256=64 HEX]}, or {@code ws://}
 * without TLS.
 *
 * @param secure whether over TLS
 * @param host a name or address; IPv6 without brackets
 * @param port 1 to 65535; 443 or 80 where the text has none
 * @param path in front of what the relay itself names; empty, or begins with a slash and ends
 *     without
 * @param token what the relay wants from its clients, or null
 * @param pin lower-case hex of the SHA-256 of the relay's public key (SubjectPublicKeyInfo), or
 *     null
 */
public record RelayUrl(
    boolean secure,
    String host,
    int port,
    String path,
    @Nullable String token,
    @Nullable String pin) {
  private static final int SECURE_PORT = 443;
  private static final int PLAIN_PORT = 80;
  private static final String PIN_PREFIX = "sha256=";
  private static final int PIN_CHARACTERS = 64;

  /**
   * Reads the text form.
   *
   * @throws IllegalArgumentException naming what is allowed
   */
  public static RelayUrl parse(String text) {
    URI uri;
    try {
      uri = URI.create(text.strip());
    } catch (IllegalArgumentException e) {
      throw wrong();
    }
    String host = uri.getHost();
    boolean secure = "wss".equals(uri.getScheme());
    if (host == null || (!secure && !"ws".equals(uri.getScheme())) || uri.getQuery() != null) {
      throw wrong();
    }
    int port = uri.getPort() == -1 ? (secure ? SECURE_PORT : PLAIN_PORT) : uri.getPort();
    if (port < 1 || port > 0xffff) {
      throw wrong();
    }
    String path = uri.getRawPath();
    while (path.endsWith("/")) {
      path = path.substring(0, path.length() - 1);
    }
    String bare = host.startsWith("[") ? host.substring(1, host.length() - 1) : host;
    String token = uri.getUserInfo();
    return new RelayUrl(
        secure, bare, port, path, token, uri.getFragment() == null ? null : pin(uri.getFragment()));
  }

  private static String pin(String fragment) {
    String hex = fragment.startsWith(PIN_PREFIX) ? fragment.substring(PIN_PREFIX.length()) : "";
    if (hex.length() != PIN_CHARACTERS || !hex.chars().allMatch(HexFormat::isHexDigit)) {
      throw wrong();
    }
    return hex.toLowerCase(java.util.Locale.ROOT);
  }

  private static IllegalArgumentException wrong() {
    // The text itself may hold a token.
    return new IllegalArgumentException(
        "a relay must be wss://[TOKEN@]HOST[:PORT][/PATH][#sha256=64 HEX DIGITS] or ws://...");
  }

  /** {@code HOST:PORT} as HTTP writes it. */
  public String authority() {
    return (host.contains(":") ? "[" + host + "]" : host) + ":" + port;
  }

  /** All that {@link #parse} reads, the token included. */
  public String text() {
    String user = token == null ? "" : token + "@";
    return scheme() + user + authority() + path + (pin == null ? "" : "#" + PIN_PREFIX + pin);
  }

  private String scheme() {
    return secure ? "wss://" : "ws://";
  }

  /** Without the token. */
  @Override
  public String toString() {
    return scheme() + authority() + path;
  }
}
