/** The replica, its storage port and the store applications see. */
@NullMarked
package io.pluresdb.crdt.store;

import org.jspecify.annotations.NullMarked;
