/** Files and folders that are still there after a power failure. */
@NullMarked
package io.pluresdb.storage.file;

import org.jspecify.annotations.NullMarked;
