/** Partial views and the push tree, one machine at a time and against a hostile peer. */
@NullMarked
package io.pluresdb.crdt.overlay;

import org.jspecify.annotations.NullMarked;
