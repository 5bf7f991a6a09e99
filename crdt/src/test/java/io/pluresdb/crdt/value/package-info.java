/** Canonical JSON, paths and merge patches. */
@NullMarked
package io.pluresdb.crdt.value;

import org.jspecify.annotations.NullMarked;
