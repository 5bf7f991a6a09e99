/** Whole nodes over loopback. */
@NullMarked
package io.pluresdb.daemon.node;

import org.jspecify.annotations.NullMarked;
