package io.pluresdb.daemon.api;

import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Who may ask over TCP. The token proves that the caller can read the data directory; Host and
 * Origin keep web pages out that reach the port through the user's browser, also when their name
 * was rebound to a loopback address.
 *
 * @param token of {@code api-token}
 * @param hosts names and addresses we go by, lower case, IPv6 in brackets
 * @param port ours
 */
record Access(String token, List<String> hosts, int port) {
  private static final String SCHEME = "Bearer ";

  /**
   * @throws ApiException when the request does not come from where it should
   */
  void checkOrigin(@Nullable String host, @Nullable String origin) {
    if (host == null || !isOurs(host.toLowerCase(Locale.ROOT))) {
      throw new ApiException(
          403,
          "API_HOST_NOT_ALLOWED",
          "Host must be a loopback name with port " + port + ", but is " + host,
          "use http://127.0.0.1:" + port);
    }
    if (origin != null && !isOurOrigin(origin)) {
      throw new ApiException(
          403,
          "API_ORIGIN_NOT_ALLOWED",
          "Origin must be this daemon's own, but is " + origin,
          "web pages of other origins may not use this API");
    }
  }

  /**
   * @throws ApiException unless {@code authorization} carries the token
   */
  void checkToken(@Nullable String authorization) {
    boolean valid =
        authorization != null
            && authorization.startsWith(SCHEME)
            && MessageDigest.isEqual(
                authorization.substring(SCHEME.length()).getBytes(StandardCharsets.UTF_8),
                token.getBytes(StandardCharsets.UTF_8));
    if (!valid) {
      throw new ApiException(
          401,
          "API_UNAUTHORIZED",
          authorization == null ? "the bearer token is missing" : "the bearer token is wrong",
          "send \"Authorization: Bearer TOKEN\" with the content of DATA_DIR/api-token");
    }
  }

  private boolean isOurOrigin(String origin) {
    try {
      var uri = new URI(origin);
      return "http".equals(uri.getScheme())
          && uri.getAuthority() != null
          && isOurs(uri.getAuthority().toLowerCase(Locale.ROOT));
    } catch (URISyntaxException e) {
      return false;
    }
  }

  private boolean isOurs(String authority) {
    String suffix = ":" + port;
    return authority.endsWith(suffix)
        && hosts.contains(authority.substring(0, authority.length() - suffix.length()));
  }
}
