/** Engines and stores, without a network. */
@NullMarked
package io.pluresdb.crdt.engine;

import org.jspecify.annotations.NullMarked;
