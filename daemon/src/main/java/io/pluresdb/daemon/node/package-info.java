/** The node: the databases of this device, their wiring and what the interfaces ask of them. */
@NullMarked
package io.pluresdb.daemon.node;

import org.jspecify.annotations.NullMarked;
