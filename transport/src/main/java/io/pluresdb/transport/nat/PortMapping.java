package io.pluresdb.transport.nat;

import java.net.InetSocketAddress;

/**
 * What a gateway forwards to this device, for a time.
 *
 * @param internalPort of this device
 * @param external where the gateway listens for it
 * @param leaseSeconds for how long it was given, 1 to {@link PortMapper#MAX_LEASE_SECONDS}
 */
public record PortMapping(
    PortKind kind, int internalPort, InetSocketAddress external, int leaseSeconds) {}
