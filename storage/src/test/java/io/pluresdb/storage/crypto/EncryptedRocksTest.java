package io.pluresdb.storage.crypto;

import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.StorageContract;
import io.pluresdb.storage.rocks.RocksOptions;
import io.pluresdb.storage.rocks.RocksStorage;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.concurrent.ForkJoinPool;
import org.junit.jupiter.api.io.TempDir;

/** What every storage does, encrypted, on RocksDB, with rows sealed ahead. */
class EncryptedRocksTest extends StorageContract {
  @TempDir Path directory;

  @Override
  protected Storage open() {
    RocksOptions options = RocksOptions.defaults(Path.of("target", "native").toAbsolutePath());
    return EncryptedStorage.open(
        RocksStorage.open(directory, options),
        EncryptedStorageTest.keyring(1),
        new SecureRandom(),
        ForkJoinPool.commonPool());
  }
}
