/** Nearest neighbours on JVector; the only importer of io.github.jbellis. */
@NullMarked
package io.pluresdb.storage.vector;

import org.jspecify.annotations.NullMarked;
