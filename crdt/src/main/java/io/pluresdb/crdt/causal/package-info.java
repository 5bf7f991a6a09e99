/** Who wrote what, and what they had seen: actors, dots, version vectors, hybrid time. */
@NullMarked
package io.pluresdb.crdt.causal;

import org.jspecify.annotations.NullMarked;
