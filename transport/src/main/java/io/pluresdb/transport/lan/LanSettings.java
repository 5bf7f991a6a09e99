package io.pluresdb.transport.lan;

import java.net.InetAddress;
import java.net.NetworkInterface;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.List;

/**
 * How to look for peers on the local network.
 *
 * @param groups multicast groups for the beacon; one that cannot be joined is left out with a
 *     warning
 * @param port UDP port of the beacon, 1 to 65535
 * @param interfaces where to send and listen; empty for every multicast interface that is up
 * @param interval time between beacons; 100 ms to 1 h
 * @param dnsSd whether to announce and browse by DNS-SD too
 */
public record LanSettings(
    List<InetAddress> groups,
    int port,
    List<NetworkInterface> interfaces,
    Duration interval,
    boolean dnsSd) {
  /** Administratively scoped (RFC 2365). */
  private static final byte[] IPV4_GROUP = {(byte) 239, (byte) 255, 80, 76};

  /** Site-local scope, transient (RFC 4291, section 2.7). */
  private static final byte[] IPV6_GROUP = {
    (byte) 0xff, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x4c, 0x52, 0x42
  };

  private static final int DEFAULT_PORT = 34571;

  public LanSettings {
    for (InetAddress group : groups) {
      if (!group.isMulticastAddress()) {
        throw new IllegalArgumentException(
            "lan.groups must be multicast addresses, but one is " + group);
      }
    }
    if (port < 1 || port > 65535) {
      throw new IllegalArgumentException("lan.port must be 1 to 65535, but is " + port);
    }
    if (interval.compareTo(Duration.ofMillis(100)) < 0
        || interval.compareTo(Duration.ofHours(1)) > 0) {
      throw new IllegalArgumentException("lan.interval must be 100 ms to 1 h, but is " + interval);
    }
    groups = List.copyOf(groups);
    interfaces = List.copyOf(interfaces);
  }

  /** 239.255.80.76 and ff15::504c:5242, port 34571, every interface, every 5 s, DNS-SD too. */
  public static LanSettings defaults() {
    try {
      return new LanSettings(
          List.of(InetAddress.getByAddress(IPV4_GROUP), InetAddress.getByAddress(IPV6_GROUP)),
          DEFAULT_PORT,
          List.of(),
          Duration.ofSeconds(5),
          true);
    } catch (UnknownHostException e) {
      throw new IllegalStateException("an address of the right length is refused", e);
    }
  }
}
