package io.pluresdb.crdt.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Documented;
import io.pluresdb.crdt.codec.Hash;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The bytes of every format, and what a reader does with bytes that are none of them. */
class GoldenTest {
  static List<Golden.Format> formats() {
    return Golden.formats();
  }

  @ParameterizedTest
  @MethodSource("formats")
  void example_inTheDocument_isWhatIsWritten_andReadsBack(Golden.Format format) {
    assertThat(HexFormat.of().formatHex(format.bytes()))
        .isEqualTo(Documented.example(format.name()));
    assertThat(format.reencode().apply(format.bytes())).isEqualTo(format.bytes());
  }

  @Test
  void hashes_inTheDocument_areWhatIsComputed() {
    Hash hash = Golden.change().hash(Golden.DATABASE, Golden.ACTOR, 1, Hash.ZERO);
    assertThat(hash.hex()).isEqualTo(Documented.example("change hash"));
    assertThat(Golden.ACTOR.hex()).isEqualTo(Documented.example("actor"));
    assertThat(Golden.frontier().hash().hex()).isEqualTo(Documented.example("frontier hash"));
    assertThat(Golden.entry().hash().hex()).isEqualTo(Documented.example("membership entry hash"));
    assertThat(Golden.entry().isAuthentic()).isTrue();
  }

  @ParameterizedTest
  @MethodSource("formats")
  void truncated_anywhere_isRefused(Golden.Format format) {
    for (int length = 0; length < format.bytes().length; length++) {
      byte[] part = Arrays.copyOf(format.bytes(), length);
      assertThatThrownBy(() -> format.reencode().apply(part)).isInstanceOf(CodecException.class);
    }
    byte[] longer = Arrays.copyOf(format.bytes(), format.bytes().length + 1);
    assertThatThrownBy(() -> format.reencode().apply(longer)).isInstanceOf(CodecException.class);
  }

  @ParameterizedTest
  @MethodSource("formats")
  void flippedBytes_areReadOrRefused_neverMore(Golden.Format format) {
    var random = new SplittableRandom(11);
    for (int i = 0; i < 20_000; i++) {
      byte[] bytes = format.bytes().clone();
      for (int flips = random.nextInt(1, 4); flips > 0; flips--) {
        bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
      }
      readOrRefuse(format, bytes);
    }
  }

  /** A length of 2 GiB and one of 2^56 in place of every byte: nothing that size is allocated. */
  @ParameterizedTest
  @MethodSource("formats")
  void lengthsClaimingGigabytes_areRefusedBeforeAllocating(Golden.Format format) {
    byte[] bytes = format.bytes();
    for (String claim : List.of("ffffffff07", "ffffffffffffff7f", "ffff03", "feff3f")) {
      byte[] length = HexFormat.of().parseHex(claim);
      for (int at = 0; at < bytes.length; at++) {
        byte[] forged = new byte[bytes.length + length.length - 1];
        System.arraycopy(bytes, 0, forged, 0, at);
        System.arraycopy(length, 0, forged, at, length.length);
        System.arraycopy(bytes, at + 1, forged, at + length.length, bytes.length - at - 1);
        long before = allocated();
        readOrRefuse(format, forged);
        assertThat(allocated() - before).as("bytes allocated").isLessThan(4 << 20);
      }
    }
  }

  private static long allocated() {
    var threads =
        (com.sun.management.ThreadMXBean) java.lang.management.ManagementFactory.getThreadMXBean();
    return threads.getCurrentThreadAllocatedBytes();
  }

  private static void readOrRefuse(Golden.Format format, byte[] bytes) {
    byte[] again;
    try {
      again = format.reencode().apply(bytes);
    } catch (CodecException e) {
      return;
    }
    assertThat(again).isNotNull();
  }
}
