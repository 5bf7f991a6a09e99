/** The replicated data model: a pure core without sockets, clocks or threads of its own. */
@NullMarked
package io.pluresdb.crdt;

import org.jspecify.annotations.NullMarked;
