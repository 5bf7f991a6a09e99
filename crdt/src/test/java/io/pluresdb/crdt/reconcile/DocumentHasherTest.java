package io.pluresdb.crdt.reconcile;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.Hash;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DocumentHasherTest {
  private static final Hash DATABASE = Hash.of("a database", new byte[0]);

  /** Short and long input in turn, and both sides of what is copied into one piece. */
  @ParameterizedTest
  @CsvSource({"1, 0", "16, 300", "300, 70000", "1024, 3037", "1024, 3038", "1024, 3039", "1, 4061"})
  void hash_isOfKeyIdAndRow_whateverTheirLengths(int idBytes, int rowBytes) throws Exception {
    var hasher = new DocumentHasher(DATABASE);
    var random = new SplittableRandom(idBytes * 31L + rowBytes);
    for (int turn = 0; turn < 3; turn++) {
      byte[] id = new byte[idBytes];
      byte[] row = new byte[turn == 1 ? 5_000 : rowBytes];
      random.nextBytes(id);
      random.nextBytes(row);
      byte[] key = Hash.of("pluresdb-fingerprint-v1", DATABASE.bytes()).bytes();
      byte[] input =
          new ByteWriter(64)
              .bytes(key)
              .u8(id.length >>> 8)
              .u8(id.length & 0xff)
              .bytes(id)
              .bytes(row)
              .toByteArray();
      byte[] sha256 = MessageDigest.getInstance("SHA-256").digest(input);
      assertThat(hasher.of(id, row)).isEqualTo(Fingerprint.read(new ByteReader(sha256)));
    }
  }

  @ParameterizedTest
  @CsvSource({"ab, c, a, bc", "a, b, b, a"})
  void hash_ofOtherIdsOrRows_isAnother(String id, String row, String otherId, String otherRow) {
    var hasher = new DocumentHasher(DATABASE);
    assertThat(hasher.of(bytes(id), bytes(row)))
        .isNotEqualTo(hasher.of(bytes(otherId), bytes(otherRow)))
        .isNotEqualTo(
            new DocumentHasher(Hash.of("other", id.getBytes(StandardCharsets.UTF_8)))
                .of(bytes(id), bytes(row)))
        .isEqualTo(hasher.of(bytes(id), bytes(row)));
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
