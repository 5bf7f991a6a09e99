/** The storage port on RocksDB; the only package that imports {@code org.rocksdb}. */
@NullMarked
package io.pluresdb.storage.rocks;

import org.jspecify.annotations.NullMarked;
