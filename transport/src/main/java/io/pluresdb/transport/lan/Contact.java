package io.pluresdb.transport.lan;

import io.pluresdb.transport.topic.Hint;
import java.net.InetSocketAddress;

/** Where a peer of one of our databases may be; somebody on the local network said so. */
public record Contact(InetSocketAddress address, Hint hint) {}
