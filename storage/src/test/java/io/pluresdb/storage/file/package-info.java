/** Files that last. What a power failure leaves of them is looked at in {@code CrashPointTest}. */
@NullMarked
package io.pluresdb.storage.file;

import org.jspecify.annotations.NullMarked;
