/** What is remembered of a storage in memory: which documents there are. */
@NullMarked
package io.pluresdb.storage.present;

import org.jspecify.annotations.NullMarked;
