package io.pluresdb.transport.path;

import java.net.InetAddress;
import java.time.Duration;
import java.util.Set;

/**
 * Notices that the network of this device has changed, or that the device slept: then paths may be
 * gone although nobody said so.
 *
 * <p>Looked at every few seconds. While a device sleeps its wall clock goes on and the clock that
 * measures time does not; a wall clock that was set looks the same and does no harm. Not
 * thread-safe.
 */
public final class NetworkWatch {
  /** How often to look. */
  public static final Duration LOOK = Duration.ofSeconds(2);

  /** By so much more the wall clock goes on when the device slept. */
  public static final Duration SLEPT = Duration.ofSeconds(10);

  /** What happened since the last look. */
  public enum Change {
    NONE,
    /** An address is gone, or there is a new one. */
    MOVED,
    /** The device slept. */
    WOKE
  }

  private Set<InetAddress> addresses;
  private long monotonicMillis;
  private long wallMillis;

  public NetworkWatch(Set<InetAddress> addresses, long monotonicMillis, long wallMillis) {
    this.addresses = Set.copyOf(addresses);
    this.monotonicMillis = monotonicMillis;
    this.wallMillis = wallMillis;
  }

  /**
   * Looks.
   *
   * @param current addresses of the network interfaces that are up, without loopback
   * @param monotonic time that passed, without that in which the device slept
   * @param wall time of day
   */
  public Change look(Set<InetAddress> current, long monotonic, long wall) {
    boolean slept = (wall - wallMillis) - (monotonic - monotonicMillis) >= SLEPT.toMillis();
    boolean moved = !current.equals(addresses);
    addresses = Set.copyOf(current);
    monotonicMillis = monotonic;
    wallMillis = wall;
    return slept ? Change.WOKE : moved ? Change.MOVED : Change.NONE;
  }
}
