/** Settings: what can be configured, where values come from and which of them holds. */
@NullMarked
package io.pluresdb.daemon.config;

import org.jspecify.annotations.NullMarked;
