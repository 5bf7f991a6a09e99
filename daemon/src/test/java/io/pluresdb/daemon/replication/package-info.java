/** Replication without sessions. */
@NullMarked
package io.pluresdb.daemon.replication;

import org.jspecify.annotations.NullMarked;
