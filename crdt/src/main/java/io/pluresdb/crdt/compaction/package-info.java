/** What can be forgotten: what everybody who counts has. */
@NullMarked
package io.pluresdb.crdt.compaction;

import org.jspecify.annotations.NullMarked;
