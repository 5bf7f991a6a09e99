package io.pluresdb.daemon.api;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * How the server listens and what it puts up with.
 *
 * @param address loopback address and port; port 0 takes a free one
 * @param socket the Unix socket to make, or null for none
 * @param maxConnections most connections at once, 1 to 65,536
 * @param maxConcurrent most requests of one caller that are being answered, 1 to 65,536
 * @param requestsPerSecond most requests of one caller in a second, 0 to 1,000,000; 0 for no limit
 * @param headTimeout how long a new connection, or a begun request, may take to send its head
 * @param idleTimeout how long a connection may wait between requests
 * @param bodyTimeout how long a body may stand still, and how long an answer may wait for a reader
 *     that takes nothing
 * @param keepAlive how often an idle event stream sends a comment
 * @param drainTimeout how long {@link HttpServer#close} waits for requests that are being answered
 * @param insecureNoAuth whether TCP callers without a token may do everything
 */
public record ApiOptions(
    InetSocketAddress address,
    @Nullable Path socket,
    int maxConnections,
    int maxConcurrent,
    int requestsPerSecond,
    Duration headTimeout,
    Duration idleTimeout,
    Duration bodyTimeout,
    Duration keepAlive,
    Duration drainTimeout,
    boolean insecureNoAuth) {

  private static final Duration SHORTEST = Duration.ofMillis(1);
  private static final Duration LONGEST = Duration.ofHours(1);

  public ApiOptions {
    InetAddress ip = address.getAddress();
    if (ip == null || !ip.isLoopbackAddress()) {
      throw ApiException.invalid(
          "api.bind must be a loopback address such as 127.0.0.1 or ::1, but is "
              + address.getHostString());
    }
    if (maxConnections < 1 || maxConnections > 65_536) {
      throw ApiException.invalid(
          "api.max-connections must be 1 to 65536, but is " + maxConnections);
    }
    if (maxConcurrent < 1 || maxConcurrent > 65_536) {
      throw ApiException.invalid("api.max-concurrent must be 1 to 65536, but is " + maxConcurrent);
    }
    if (requestsPerSecond < 0 || requestsPerSecond > 1_000_000) {
      throw ApiException.invalid(
          "api.requests-per-second must be 0 to 1000000, but is " + requestsPerSecond);
    }
    check("headTimeout", headTimeout);
    check("idleTimeout", idleTimeout);
    check("bodyTimeout", bodyTimeout);
    check("keepAlive", keepAlive);
    check("drainTimeout", drainTimeout);
  }

  /** What the daemon uses. */
  public static ApiOptions at(InetSocketAddress address, @Nullable Path socket) {
    return new ApiOptions(
        address,
        socket,
        1_024,
        512,
        0,
        Duration.ofSeconds(10),
        Duration.ofSeconds(60),
        Duration.ofSeconds(60),
        Duration.ofSeconds(15),
        Duration.ofSeconds(2),
        false);
  }

  /** With another time that a body or a reader may stand still. */
  public ApiOptions waitingFor(Duration timeout) {
    return new ApiOptions(
        address,
        socket,
        maxConnections,
        maxConcurrent,
        requestsPerSecond,
        headTimeout,
        idleTimeout,
        timeout,
        keepAlive,
        drainTimeout,
        insecureNoAuth);
  }

  /** Open to every process of this machine; for development only. */
  public ApiOptions withoutAuth() {
    return new ApiOptions(
        address,
        socket,
        maxConnections,
        maxConcurrent,
        requestsPerSecond,
        headTimeout,
        idleTimeout,
        bodyTimeout,
        keepAlive,
        drainTimeout,
        true);
  }

  /** With other limits on what callers may ask. */
  public ApiOptions limitedTo(int connections, int concurrent, int perSecond) {
    return new ApiOptions(
        address,
        socket,
        connections,
        concurrent,
        perSecond,
        headTimeout,
        idleTimeout,
        bodyTimeout,
        keepAlive,
        drainTimeout,
        insecureNoAuth);
  }

  private static void check(String name, Duration value) {
    if (value.compareTo(SHORTEST) < 0 || value.compareTo(LONGEST) > 0) {
      throw ApiException.invalid(name + " must be 1 ms to 1 h, but is " + value);
    }
  }
}
