package io.pluresdb.storage.rocks;

import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.StorageContract;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;

class RocksStorageTest extends StorageContract {
  @TempDir Path directory;

  @Override
  protected Storage open() {
    return RocksStorage.open(directory, Directories.options());
  }
}
