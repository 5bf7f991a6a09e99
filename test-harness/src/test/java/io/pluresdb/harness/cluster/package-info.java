/** Tests with real daemons. */
@NullMarked
package io.pluresdb.harness.cluster;

import org.jspecify.annotations.NullMarked;
