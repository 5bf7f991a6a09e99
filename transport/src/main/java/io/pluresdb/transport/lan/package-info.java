/** Finding peers on the local network. What is found is a hint; the handshake decides. */
@NullMarked
package io.pluresdb.transport.lan;

import org.jspecify.annotations.NullMarked;
