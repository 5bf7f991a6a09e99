package io.pluresdb.transport.nat;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What became of the attempts to map ports.
 *
 * @param protocol the one that gave the mappings, null while there are none
 * @param failures why protocols gave none, newest of each
 */
public record NatStatus(
    @Nullable NatProtocol protocol, List<PortMapping> mappings, Map<NatProtocol, String> failures) {
  /** Nothing was tried. */
  public static final NatStatus NONE = new NatStatus(null, List.of(), Map.of());
}
