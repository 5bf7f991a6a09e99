/** Operations and the signed, hash-linked changes that carry them. */
@NullMarked
package io.pluresdb.crdt.op;

import org.jspecify.annotations.NullMarked;
