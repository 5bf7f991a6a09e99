/** The bytes of changes, runs, rows and messages. */
@NullMarked
package io.pluresdb.crdt.op;

import org.jspecify.annotations.NullMarked;
