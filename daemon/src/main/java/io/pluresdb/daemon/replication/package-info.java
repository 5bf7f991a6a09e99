/** Anti-entropy over encrypted sessions: one replicator per database. */
@NullMarked
package io.pluresdb.daemon.replication;

import org.jspecify.annotations.NullMarked;
