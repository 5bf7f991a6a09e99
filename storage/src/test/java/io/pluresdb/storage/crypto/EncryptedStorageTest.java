package io.pluresdb.storage.crypto;

import io.pluresdb.crdt.store.MemoryStorage;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.StorageContract;
import java.security.SecureRandom;
import java.util.TreeMap;

/** What every storage does, encrypted, in memory. */
class EncryptedStorageTest extends StorageContract {
  static Keyring keyring(int... numbers) {
    var keys = new TreeMap<Integer, byte[]>();
    for (int number : numbers) {
      byte[] key = new byte[Keyring.KEY_BYTES];
      java.util.Arrays.fill(key, (byte) (number + 1));
      keys.put(number, key);
    }
    return new Keyring(keys);
  }

  @Override
  protected Storage open() {
    return EncryptedStorage.open(new MemoryStorage(), keyring(1), new SecureRandom());
  }
}
