/** Texts and lists against a naive model, and what concurrent editing must never do. */
@NullMarked
package io.pluresdb.crdt.sequence;

import org.jspecify.annotations.NullMarked;
