/** Netty: sockets, event loops and the session's channel handler. The only importer of Netty. */
@NullMarked
package io.pluresdb.transport.net;

import org.jspecify.annotations.NullMarked;
