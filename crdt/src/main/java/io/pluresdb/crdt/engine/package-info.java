/** The replica loop: one place where local writes, peers' changes and sessions meet. */
@NullMarked
package io.pluresdb.crdt.engine;

import org.jspecify.annotations.NullMarked;
