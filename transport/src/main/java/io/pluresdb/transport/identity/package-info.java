/** A device's long-term signing key and the id others know it by. */
@NullMarked
package io.pluresdb.transport.identity;

import org.jspecify.annotations.NullMarked;
