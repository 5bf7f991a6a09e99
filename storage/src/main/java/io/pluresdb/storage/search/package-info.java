/** What is derived from the documents follows the arrival log, and searches over it. */
@NullMarked
package io.pluresdb.storage.search;

import org.jspecify.annotations.NullMarked;
