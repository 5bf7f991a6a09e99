/** Copies of a database that can be checked before they are believed. */
@NullMarked
package io.pluresdb.storage.backup;

import org.jspecify.annotations.NullMarked;
