/** Full text on Lucene; the only importer of org.apache.lucene. */
@NullMarked
package io.pluresdb.storage.text;

import org.jspecify.annotations.NullMarked;
