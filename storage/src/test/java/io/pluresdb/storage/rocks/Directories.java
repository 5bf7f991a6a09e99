package io.pluresdb.storage.rocks;

import java.nio.file.Path;

/** Where tests put what outlives one of them. */
final class Directories {
  private Directories() {}

  /** The extracted native library, shared by all tests of the build. */
  static final Path NATIVE = Path.of("target", "native").toAbsolutePath();

  static RocksOptions options() {
    return RocksOptions.defaults(NATIVE);
  }
}
