package io.pluresdb.transport.lan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.pluresdb.transport.topic.Hint;
import java.util.Arrays;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class BeaconTest {
  private static final Hint HINT = Hint.parse("000102030405060708090a0b0c0d0e0f");
  private static final Beacon BEACON =
      new Beacon(false, 34570, 0x1122334455667788L, List.of(HINT, new Hint(new byte[16])));

  @Test
  void encode_golden_isTheDocumentedBytes() {
    assertThat(HexFormat.of().formatHex(BEACON.encode()))
        .isEqualTo(
            "504c5242"
                + "01"
                + "00"
                + "870a"
                + "1122334455667788"
                + "02"
                + "000102030405060708090a0b0c0d0e0f"
                + "00000000000000000000000000000000");
    assertThat(new Beacon(true, 1, 0, List.of(HINT)).encode()[5]).isEqualTo((byte) 1);
  }

  @Test
  void decode_encoded_isEqual() {
    byte[] bytes = BEACON.encode();
    assertThat(Beacon.decode(bytes, bytes.length)).isEqualTo(BEACON);
    Beacon largest = new Beacon(true, 65535, -1, Collections.nCopies(Beacon.MAX_HINTS, HINT));
    byte[] most = largest.encode();
    assertThat(most).hasSize(Beacon.MAX_BYTES);
    assertThat(Beacon.decode(most, most.length)).isEqualTo(largest);
  }

  @Test
  void decode_otherLengthsAndFields_isNull() {
    byte[] good = BEACON.encode();
    for (int length = 0; length < good.length; length++) {
      assertThat(Beacon.decode(good, length)).as("length %d", length).isNull();
    }
    assertThat(Beacon.decode(Arrays.copyOf(good, good.length + 1), good.length + 1)).isNull();
    assertThat(Beacon.decode(changed(good, 0, 'X'), good.length)).isNull();
    assertThat(Beacon.decode(changed(good, 4, 2), good.length)).isNull();
    assertThat(Beacon.decode(changed(good, 5, 2), good.length)).isNull();
    assertThat(Beacon.decode(changed(changed(good, 6, 0), 7, 0), good.length)).isNull();
    assertThat(Beacon.decode(changed(good, 16, 0), good.length)).isNull();
    assertThat(Beacon.decode(changed(good, 16, 255), good.length)).isNull();
  }

  @Test
  void decode_randomBytes_neverThrowsAndOnlyAcceptsWhatItWouldWrite() {
    long seed = 77;
    System.out.println("beacon garbage seed=" + seed);
    Random random = new Random(seed);
    for (int i = 0; i < 100_000; i++) {
      byte[] bytes = new byte[random.nextInt(Beacon.MAX_BYTES + 40)];
      random.nextBytes(bytes);
      if (random.nextBoolean()) {
        byte[] good = BEACON.encode();
        System.arraycopy(good, 0, bytes, 0, Math.min(bytes.length, random.nextInt(good.length)));
      }
      Beacon decoded = Beacon.decode(bytes, bytes.length);
      if (decoded != null) {
        assertThat(decoded.encode()).as("seed %d", seed).isEqualTo(bytes);
      }
    }
  }

  @Test
  void beacon_impossibleFields_areRefused() {
    assertThatIllegalArgumentException().isThrownBy(() -> new Beacon(false, 0, 0, List.of(HINT)));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Beacon(false, 65536, 0, List.of(HINT)));
    assertThatIllegalArgumentException().isThrownBy(() -> new Beacon(false, 1, 0, List.of()));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Beacon(false, 1, 0, Collections.nCopies(33, HINT)));
  }

  private static byte[] changed(byte[] bytes, int at, int value) {
    byte[] copy = bytes.clone();
    copy[at] = (byte) value;
    return copy;
  }
}
