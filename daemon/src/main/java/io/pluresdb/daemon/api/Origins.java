package io.pluresdb.daemon.api;

import java.net.URI;
import java.net.URISyntaxException;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Where a request over TCP may come from. Host and Origin keep web pages out that reach the port
 * through the user's browser, also when their name was rebound to a loopback address.
 *
 * @param hosts names and addresses we go by, lower case, IPv6 in brackets
 * @param port ours
 */
record Origins(List<String> hosts, int port) {
  /**
   * @throws ApiException when the request does not come from where it should
   */
  void check(@Nullable String host, @Nullable String origin) {
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
