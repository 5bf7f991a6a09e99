/** What relays and their clients say: WebSocket frames, control messages, limits; no Netty. */
@NullMarked
package io.pluresdb.transport.relay;

import org.jspecify.annotations.NullMarked;
