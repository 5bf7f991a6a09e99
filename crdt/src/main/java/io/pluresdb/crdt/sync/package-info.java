/** Anti-entropy as a pure state machine. */
@NullMarked
package io.pluresdb.crdt.sync;

import org.jspecify.annotations.NullMarked;
