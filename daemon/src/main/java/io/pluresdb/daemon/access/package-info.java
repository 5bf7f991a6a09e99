/** Who may do what over the local interface: tokens, their limits, and the log of what was done. */
@NullMarked
package io.pluresdb.daemon.access;

import org.jspecify.annotations.NullMarked;
