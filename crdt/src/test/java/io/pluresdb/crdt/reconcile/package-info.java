@NullMarked
package io.pluresdb.crdt.reconcile;

import org.jspecify.annotations.NullMarked;
