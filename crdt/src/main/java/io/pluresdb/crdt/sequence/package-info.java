/** Texts and lists: the order of their elements, their content and their rows. */
@NullMarked
package io.pluresdb.crdt.sequence;

import org.jspecify.annotations.NullMarked;
