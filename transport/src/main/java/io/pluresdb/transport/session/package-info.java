/** Authenticated sessions between two devices: handshake, limits and reasons to close. */
@NullMarked
package io.pluresdb.transport.session;

import org.jspecify.annotations.NullMarked;
