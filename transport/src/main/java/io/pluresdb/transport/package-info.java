/** Finding, reaching and authenticating other devices; carries opaque messages. */
@NullMarked
package io.pluresdb.transport;

import org.jspecify.annotations.NullMarked;
