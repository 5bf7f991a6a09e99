package io.pluresdb.transport.dht;

import java.util.EnumSet;
import java.util.Set;

/**
 * How a DHT node behaves.
 *
 * @param families the DHTs it takes part in, one at least
 * @param readOnly ask, but answer nobody (BEP 43): for a device on a metered connection
 * @param disjointPaths how many ways a lookup goes that do not trust each other's nodes, 1 to
 *     {@link #MAX_DISJOINT_PATHS}
 * @param traces how many of the newest lookups are remembered, 0 to {@link #MAX_TRACES}
 */
public record DhtSettings(
    Set<AddressFamily> families, boolean readOnly, int disjointPaths, int traces) {
  public static final int MAX_TRACES = 32;
  public static final int DISJOINT_PATHS = 3;
  public static final int MAX_DISJOINT_PATHS = 8;

  public DhtSettings {
    if (traces < 0 || traces > MAX_TRACES) {
      throw new IllegalArgumentException(
          "dht.traces must be 0 to " + MAX_TRACES + ", but is " + traces);
    }
    if (disjointPaths < 1 || disjointPaths > MAX_DISJOINT_PATHS) {
      throw new IllegalArgumentException(
          "dht.disjoint-paths must be 1 to " + MAX_DISJOINT_PATHS + ", but is " + disjointPaths);
    }
    if (families.isEmpty()) {
      throw new IllegalArgumentException("dht.families must name one at least, but is empty");
    }
    families = Set.copyOf(EnumSet.copyOf(families));
  }

  public static DhtSettings ipv4() {
    return new DhtSettings(EnumSet.of(AddressFamily.IPV4), false, DISJOINT_PATHS, MAX_TRACES);
  }
}
