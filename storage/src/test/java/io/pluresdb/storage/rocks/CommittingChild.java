package io.pluresdb.storage.rocks;

import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.SplittableRandom;

/**
 * The program {@link RocksDurabilityTest} kills: commits rows without end and prints the number of
 * each one that was acknowledged.
 */
final class CommittingChild {
  private CommittingChild() {}

  /** Takes the database directory and the number of the first row. */
  public static void main(String[] arguments) {
    long first = Long.parseLong(arguments[1]);
    try (RocksStorage storage =
        RocksStorage.open(Path.of(arguments[0]), Directories.options().withWriteBuffer(1))) {
      for (long seq = first; ; seq++) {
        try (var batch = storage.newBatch()) {
          batch.put(Table.LOG, key(seq), value(seq));
          batch.put(Table.STATE, key(seq), value(seq));
          storage.commit(batch, Durability.SYNCED);
        }
        System.out.println(seq);
        System.out.flush();
      }
    }
  }

  static byte[] key(long seq) {
    return ByteBuffer.allocate(Long.BYTES).putLong(seq).array();
  }

  /** 1 KiB that only this row has and that does not compress. */
  static byte[] value(long seq) {
    byte[] value = new byte[1024];
    new SplittableRandom(seq).nextBytes(value);
    return value;
  }
}
