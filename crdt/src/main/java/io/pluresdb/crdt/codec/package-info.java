/** Bytes in and out: bounds-checked reading, growing writing, hashing and signing. */
@NullMarked
package io.pluresdb.crdt.codec;

import org.jspecify.annotations.NullMarked;
