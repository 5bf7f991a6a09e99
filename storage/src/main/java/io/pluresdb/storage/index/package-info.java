/** Secondary indexes on fields of documents, and queries that filter and sort. */
@NullMarked
package io.pluresdb.storage.index;

import org.jspecify.annotations.NullMarked;
