package io.pluresdb.crdt.codec;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

class SipHashTest {
  /** Appendix A of the paper: key 00…0f, message 00…0e. */
  @Test
  void exampleOfThePaper_isReproduced() {
    byte[] bytes = new byte[16];
    for (int i = 0; i < 16; i++) {
      bytes[i] = (byte) i;
    }
    var hash = new SipHash(bytes);
    assertThat(hash.of(Arrays.copyOf(bytes, 15))).isEqualTo(0xa129ca6149be45e5L);
    assertThat(hash.of(bytes, 15)).isEqualTo(0xa129ca6149be45e5L);
    assertThat(hash.of(new byte[0])).isEqualTo(0x726fdb47dd0e0e31L);
  }
}
