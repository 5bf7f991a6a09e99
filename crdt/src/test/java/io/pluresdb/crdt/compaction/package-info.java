/** Tests of what can be forgotten. */
@NullMarked
package io.pluresdb.crdt.compaction;

import org.jspecify.annotations.NullMarked;
