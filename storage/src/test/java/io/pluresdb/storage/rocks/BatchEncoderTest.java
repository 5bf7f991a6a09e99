package io.pluresdb.storage.rocks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.rocksdb.ColumnFamilyDescriptor;
import org.rocksdb.ColumnFamilyHandle;
import org.rocksdb.ColumnFamilyOptions;
import org.rocksdb.DBOptions;
import org.rocksdb.RocksDB;
import org.rocksdb.WriteBatch;

class BatchEncoderTest {
  @TempDir Path directory;

  @Test
  void encoding_ofRandomBatches_equalsTheNativeOne() throws Exception {
    NativeLibrary.load(Directories.NATIVE);
    List<ColumnFamilyHandle> families = new ArrayList<>();
    List<ColumnFamilyDescriptor> descriptors = new ArrayList<>();
    descriptors.add(new ColumnFamilyDescriptor(RocksDB.DEFAULT_COLUMN_FAMILY));
    try (DBOptions options =
            new DBOptions().setCreateIfMissing(true).setCreateMissingColumnFamilies(true);
        ColumnFamilyOptions family = new ColumnFamilyOptions()) {
      for (int i = 0; i < 3; i++) {
        descriptors.add(new ColumnFamilyDescriptor(new byte[] {(byte) ('a' + i)}, family));
      }
      try (RocksDB database = RocksDB.open(options, directory.toString(), descriptors, families)) {
        assertThat(database.isClosed()).isFalse();
        compare(families);
      }
    }
  }

  private static void compare(List<ColumnFamilyHandle> families) throws Exception {
    SplittableRandom random = new SplittableRandom(3);
    BatchEncoder encoder = new BatchEncoder();
    for (int round = 0; round < 50; round++) {
      encoder.clear();
      try (WriteBatch batch = new WriteBatch()) {
        int rows = random.nextInt(40);
        for (int row = 0; row < rows; row++) {
          ColumnFamilyHandle family = families.get(1 + random.nextInt(3));
          byte[] key = bytes(random, 200);
          if (random.nextInt(4) == 0) {
            batch.delete(family, key);
            encoder.delete(family.getID(), key);
          } else {
            byte[] value = bytes(random, random.nextInt(5) == 0 ? 40_000 : 300);
            batch.put(family, key, value);
            encoder.put(family.getID(), key, value);
          }
        }
        assertThat(encoder.count()).isEqualTo(batch.count());
        assertThat(encoder.toByteArray()).as("round %d", round).isEqualTo(batch.data());
      }
    }
  }

  @Test
  void batch_beyondItsLimit_isRefusedAndKeepsWhatItHeld() {
    BatchEncoder encoder = new BatchEncoder();
    encoder.put(1, new byte[1], new byte[1]);
    int tooMany = BatchEncoder.MAX_BATCH_BYTES;
    assertThatThrownBy(() -> encoder.put(1, new byte[1], new byte[tooMany]))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("a batch must be at most 268435456 bytes");
    assertThat(encoder.count()).isEqualTo(1);
  }

  private static byte[] bytes(SplittableRandom random, int most) {
    byte[] bytes = new byte[random.nextInt(most)];
    random.nextBytes(bytes);
    return bytes;
  }
}
