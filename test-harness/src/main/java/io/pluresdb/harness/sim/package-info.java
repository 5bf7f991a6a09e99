/** Many replicas in one thread, with virtual time and one seed. */
@NullMarked
package io.pluresdb.harness.sim;

import org.jspecify.annotations.NullMarked;
