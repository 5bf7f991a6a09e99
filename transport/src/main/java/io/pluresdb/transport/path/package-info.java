/** Keeping wanted addresses connected. */
@NullMarked
package io.pluresdb.transport.path;

import org.jspecify.annotations.NullMarked;
