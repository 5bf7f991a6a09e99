/** Documents out of other databases. */
@NullMarked
package io.pluresdb.daemon.migration;

import org.jspecify.annotations.NullMarked;
