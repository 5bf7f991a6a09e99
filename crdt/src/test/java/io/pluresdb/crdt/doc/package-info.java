@NullMarked
package io.pluresdb.crdt.doc;

import org.jspecify.annotations.NullMarked;
