/** Real daemons in processes of their own. */
@NullMarked
package io.pluresdb.harness.cluster;

import org.jspecify.annotations.NullMarked;
