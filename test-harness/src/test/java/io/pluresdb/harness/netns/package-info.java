/** Tests with real daemons. */
@NullMarked
package io.pluresdb.harness.netns;

import org.jspecify.annotations.NullMarked;
