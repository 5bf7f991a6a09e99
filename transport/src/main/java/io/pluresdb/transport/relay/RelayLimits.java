package io.pluresdb.transport.relay;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The bounds of a relay. Cannot exist invalid.
 *
 * @param connections most connections of all kinds; 2 to 1,000,000
 * @param halfOpen most connections whose request is not read yet; 1 to 65,536
 * @param halfOpenPerAddress as above, of one IPv4 address or IPv6 /64
 * @param requestTimeout from connecting to the end of a request; 10 ms to 5 min
 * @param circuits most circuits; 1 to 500,000
 * @param circuitsPerKey most ends of circuits of clients with one token
 * @param circuitsPerAddress most ends of circuits of one IPv4 address or IPv6 /64
 * @param controlsPerAddress most control connections of one address
 * @param acceptTimeout how long who dials waits for the other; 10 ms to 5 min
 * @param bytesPerSecond what clients of one token, and of one address, may send through circuits; 1
 *     KiB to 1 TiB. Above it they are read more slowly
 * @param frameBytes longest frame through a circuit; 125 to 2^30
 * @param registrations most registrations; 1 to 10,000,000
 * @param registrationsPerClient most of one control connection; 1 to 65,535
 * @param registrationsPerTopic most at one rendezvous; 1 to 65,536
 * @param idle a connection or circuit on which nothing arrives for so long is closed; 20 ms to 1 h
 * @param drain how long circuits may go on while the relay stops; 0 to 1 min
 */
public record RelayLimits(
    int connections,
    int halfOpen,
    int halfOpenPerAddress,
    Duration requestTimeout,
    int circuits,
    int circuitsPerKey,
    int circuitsPerAddress,
    int controlsPerAddress,
    Duration acceptTimeout,
    long bytesPerSecond,
    long frameBytes,
    int registrations,
    int registrationsPerClient,
    int registrationsPerTopic,
    Duration idle,
    Duration drain) {

  /** What newcomers are told of those that are at a rendezvous already. */
  public static final int MAX_PRESENT = 32;

  /** Ciphertext that waits for a slow reader before its sender is not read any more. */
  public static final int HIGH_WATER_BYTES = 128 * 1024;

  public static final int LOW_WATER_BYTES = 64 * 1024;

  private static final long MILLION = 1_000_000;

  public RelayLimits {
    range("connections", connections, 2, MILLION);
    range("half-open", halfOpen, 1, 65536);
    range("half-open-per-address", halfOpenPerAddress, 1, 65536);
    range("request-timeout-millis", requestTimeout.toMillis(), 10, 300_000);
    range("circuits", circuits, 1, MILLION / 2);
    range("circuits-per-key", circuitsPerKey, 1, MILLION);
    range("circuits-per-address", circuitsPerAddress, 1, MILLION);
    range("controls-per-address", controlsPerAddress, 1, MILLION);
    range("accept-timeout-millis", acceptTimeout.toMillis(), 10, 300_000);
    range("bytes-per-second", bytesPerSecond, 1024, 1L << 40);
    range("frame-bytes", frameBytes, WebSocket.MAX_CONTROL_BYTES, 1L << 30);
    range("registrations", registrations, 1, 10 * MILLION);
    range("registrations-per-client", registrationsPerClient, 1, 65_535);
    range("registrations-per-topic", registrationsPerTopic, 1, 65_536);
    range("idle-millis", idle.toMillis(), 20, 3_600_000);
    range("drain-millis", drain.toMillis(), 0, 60_000);
  }

  private static void range(String name, long value, long from, long to) {
    if (value < from || value > to) {
      throw new IllegalArgumentException(
          "relay.limits: " + name + " must be " + from + " to " + to + ", but is " + value);
    }
  }

  /** What a relay has unless it is told otherwise. */
  public static RelayLimits defaults() {
    return of(Map.of());
  }

  /** Names and usual values, in the order of the documentation. */
  public static Map<String, Long> usual() {
    var values = new LinkedHashMap<String, Long>();
    values.put("connections", 20_000L);
    values.put("half-open", 1024L);
    values.put("half-open-per-address", 64L);
    values.put("request-timeout-millis", 10_000L);
    values.put("circuits", 8_000L);
    values.put("circuits-per-key", 256L);
    values.put("circuits-per-address", 256L);
    values.put("controls-per-address", 64L);
    values.put("accept-timeout-millis", 5_000L);
    values.put("bytes-per-second", 32L << 20);
    values.put("frame-bytes", 128L << 10);
    values.put("registrations", 100_000L);
    values.put("registrations-per-client", 256L);
    values.put("registrations-per-topic", 1024L);
    values.put("idle-millis", 60_000L);
    values.put("drain-millis", 2_000L);
    return values;
  }

  /**
   * The usual limits, some of them replaced.
   *
   * @param changed values by the names of {@link #usual}
   * @throws IllegalArgumentException for another name, or a value out of its range
   */
  public static RelayLimits of(Map<String, Long> changed) {
    Map<String, Long> values = usual();
    changed.forEach(
        (name, value) -> {
          if (values.replace(name, value) == null) {
            throw new IllegalArgumentException(
                "relay.limits has no "
                    + name
                    + "; there are "
                    + String.join(", ", values.keySet()));
          }
        });
    var in = values.values().iterator();
    return new RelayLimits(
        small(in.next()),
        small(in.next()),
        small(in.next()),
        Duration.ofMillis(in.next()),
        small(in.next()),
        small(in.next()),
        small(in.next()),
        small(in.next()),
        Duration.ofMillis(in.next()),
        in.next(),
        in.next(),
        small(in.next()),
        small(in.next()),
        small(in.next()),
        Duration.ofMillis(in.next()),
        Duration.ofMillis(in.next()));
  }

  // What does not fit an int is out of every range.
  private static int small(long value) {
    return Math.clamp(value, Integer.MIN_VALUE, Integer.MAX_VALUE);
  }
}
