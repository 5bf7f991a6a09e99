package io.pluresdb.transport.relay;

import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A proxy that opens tunnels with HTTP CONNECT: {@code http://[USER:PASSWORD@]HOST[:PORT]}.
 *
 * @param port 80 where the text has none
 * @param login {@code USER:PASSWORD}, or null
 */
public record HttpProxy(String host, int port, @Nullable String login) {
  private static final int USUAL_PORT = 80;
  private static final String EVERY_HOST = "*";

  /**
   * Reads the text form.
   *
   * @throws IllegalArgumentException naming what is allowed
   */
  public static HttpProxy parse(String text) {
    URI uri;
    try {
      uri = URI.create(text.strip());
    } catch (IllegalArgumentException e) {
      throw wrong();
    }
    String host = uri.getHost();
    int port = uri.getPort() == -1 ? USUAL_PORT : uri.getPort();
    String path = uri.getRawPath();
    if (!"http".equals(uri.getScheme())
        || host == null
        || port < 1
        || port > 0xffff
        || !(path.isEmpty() || path.equals("/"))) {
      throw wrong();
    }
    String bare = host.startsWith("[") ? host.substring(1, host.length() - 1) : host;
    return new HttpProxy(bare, port, uri.getUserInfo());
  }

  private static IllegalArgumentException wrong() {
    // The text itself may hold a password.
    return new IllegalArgumentException("a proxy must be http://[USER:PASSWORD@]HOST[:PORT]");
  }

  /**
   * The proxy that the environment names for {@code relay}: HTTPS_PROXY or https_proxy, unless the
   * relay's host is in NO_PROXY or no_proxy, has no TLS, or is a loopback address.
   *
   * @throws IllegalArgumentException when it names one that cannot be read
   */
  public static @Nullable HttpProxy ofEnvironment(Map<String, String> environment, RelayUrl relay) {
    String named = either(environment, "HTTPS_PROXY");
    if (named.isBlank() || !relay.secure() || isLoopback(relay.host())) {
      return null;
    }
    for (String except : List.of(either(environment, "NO_PROXY").split(","))) {
      if (covers(except.strip().toLowerCase(Locale.ROOT), relay)) {
        return null;
      }
    }
    return parse(named.contains("://") ? named : "http://" + named);
  }

  private static String either(Map<String, String> environment, String name) {
    String value = environment.get(name);
    return value == null ? environment.getOrDefault(name.toLowerCase(Locale.ROOT), "") : value;
  }

  private static boolean isLoopback(String host) {
    return host.equals("localhost") || host.equals("::1") || host.startsWith("127.");
  }

  private static boolean covers(String except, RelayUrl relay) {
    String host = relay.host().toLowerCase(Locale.ROOT);
    String domain = except.startsWith(".") ? except.substring(1) : except;
    return !domain.isEmpty()
        && (domain.equals(EVERY_HOST)
            || host.equals(domain)
            || relay.authority().toLowerCase(Locale.ROOT).equals(domain)
            || host.endsWith("." + domain));
  }

  /** The request that opens a tunnel to {@code relay}. */
  public String connect(RelayUrl relay) {
    String authority = relay.authority();
    String basic =
        login == null
            ? ""
            : "Proxy-Authorization: Basic "
                + Base64.getEncoder().encodeToString(login.getBytes(StandardCharsets.UTF_8))
                + "\r\n";
    return "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n" + basic + "\r\n";
  }

  /** Without the login. */
  @Override
  public String toString() {
    return "http://" + (host.contains(":") ? "[" + host + "]" : host) + ":" + port;
  }
}
