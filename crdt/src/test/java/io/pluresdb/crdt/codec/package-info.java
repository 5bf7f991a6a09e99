/** Examples out of the protocol documents. */
@NullMarked
package io.pluresdb.crdt.codec;

import org.jspecify.annotations.NullMarked;
