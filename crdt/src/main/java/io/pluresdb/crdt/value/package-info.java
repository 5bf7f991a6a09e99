/** JSON documents as canonical leaves at paths. */
@NullMarked
package io.pluresdb.crdt.value;

import org.jspecify.annotations.NullMarked;
