/** The ways to a peer, and keeping wanted peers connected. */
@NullMarked
package io.pluresdb.transport.path;

import org.jspecify.annotations.NullMarked;
