package io.pluresdb.transport.path;

import java.net.InetSocketAddress;
import java.util.List;

/**
 * Addresses at which a NAT passes everything on to this device's UDP port, because it was asked.
 */
public interface MappedAddresses {
  /** Nobody was asked. */
  MappedAddresses NONE = List::of;

  /** Those that hold now; must not block. */
  List<InetSocketAddress> udp();
}
