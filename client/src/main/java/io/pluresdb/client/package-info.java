/**
 * The client of a daemon on this machine, over its Unix socket or loopback TCP: {@link
 * PluresClient} blocks, {@link AsyncPluresClient} does not. Nothing but the JDK is needed.
 */
@NullMarked
package io.pluresdb.client;

import org.jspecify.annotations.NullMarked;
