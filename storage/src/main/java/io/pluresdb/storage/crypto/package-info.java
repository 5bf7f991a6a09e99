/** Encryption at rest: a storage whose rows tell nothing to who has only the disk. */
@NullMarked
package io.pluresdb.storage.crypto;

import org.jspecify.annotations.NullMarked;
