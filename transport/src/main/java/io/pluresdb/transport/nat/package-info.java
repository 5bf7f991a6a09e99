/** Port mappings at the gateway, by PCP, NAT-PMP and UPnP; state machines without sockets. */
@NullMarked
package io.pluresdb.transport.nat;

import org.jspecify.annotations.NullMarked;
