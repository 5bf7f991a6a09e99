/** Seeds, controls and the same seed in several virtual machines. */
@NullMarked
package io.pluresdb.harness.sim;

import org.jspecify.annotations.NullMarked;
