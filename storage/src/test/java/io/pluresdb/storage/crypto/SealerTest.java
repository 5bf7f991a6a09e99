package io.pluresdb.storage.crypto;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import javax.crypto.spec.SecretKeySpec;
import org.junit.jupiter.api.Test;

class SealerTest {
  private static final byte[] CONTEXT = {7, 8};
  private final Keyring keyring = EncryptedStorageTest.keyring(1, 2);
  private final SealingKeys keys = new SealingKeys(keyring, new byte[32]);

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }

  /** The vectors of the XAES-256-GCM specification (C2SP). */
  @Test
  void xaes_givesThePublishedVectors() throws Exception {
    assertThat(xaes(1, "XAES-256-GCM", ""))
        .isEqualTo("ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271");
    assertThat(xaes(3, "XAES-256-GCM", "c2sp.org/XAES-256-GCM"))
        .isEqualTo("986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d");
  }

  private static String xaes(int fill, String text, String aad) throws Exception {
    byte[] key = new byte[32];
    Arrays.fill(key, (byte) fill);
    var pair =
        new SealingKeys.Pair(1, new SecretKeySpec(key, "AES"), new SecretKeySpec(key, "AES"));
    byte[] nonce = bytes("ABCDEFGHIJKLMNOPQRSTUVWX");
    return HexFormat.of().formatHex(Sealer.xaes(pair, nonce, bytes(aad), bytes(text)));
  }

  /** RFC 4493 has vectors for AES-128 only; NIST SP 800-38B for AES-256, examples 2 and 3. */
  @Test
  void hide_isTheCmacOfNist() throws Exception {
    byte[] key =
        HexFormat.of().parseHex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
    var secret = new SecretKeySpec(key, "AES");
    var pair = new SealingKeys.Pair(1, secret, secret);
    byte[] message =
        HexFormat.of()
            .parseHex(
                "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411");
    assertThat(HexFormat.of().formatHex(Sealer.cmac(pair, Arrays.copyOf(message, 16))))
        .isEqualTo("28a7023f452e8f82bd4bf28d8c37c35c");
    assertThat(HexFormat.of().formatHex(Sealer.cmac(pair, message)))
        .isEqualTo("aaf3d8f1de5640c232f5b169b9c911e6");
  }

  @Test
  void seal_ofAnyLength_opensToTheSame() throws SealException {
    var random = new SplittableRandom(1);
    try (var sealer = new Sealer(keys)) {
      sealer.begin(random);
      for (int length : new int[] {0, 1, 15, 16, 1_023, 1_024, 1_025, 4_096, 100_000}) {
        byte[] noise = new byte[length];
        random.nextBytes(noise);
        byte[] text = new byte[length];
        Arrays.fill(text, (byte) 'a');
        for (byte[] value : List.of(noise, text)) {
          byte[] sealed = sealer.seal(CONTEXT, bytes("head"), value);
          assertThat(sealed.length).isLessThanOrEqualTo(4 + length + Sealer.OVERHEAD_BYTES);
          byte[] opened = sealer.open(CONTEXT, sealed);
          assertThat(opened).startsWith(bytes("head"));
          assertThat(Arrays.copyOfRange(opened, 4, opened.length)).isEqualTo(value);
        }
        assertThat(length < 4_096 || sealer.seal(CONTEXT, bytes(""), text).length < length / 4)
            .isTrue();
      }
    }
  }

  @Test
  void open_ofAnythingChanged_fails() {
    try (var sealer = new Sealer(keys)) {
      sealer.begin(new SplittableRandom(1));
      byte[] sealed = sealer.seal(CONTEXT, bytes("head"), bytes("value"));
      for (int bit = 0; bit < 8 * sealed.length; bit++) {
        byte[] changed = sealed.clone();
        changed[bit / 8] ^= (byte) (1 << bit % 8);
        assertThatThrownBy(() -> sealer.open(CONTEXT, changed)).isInstanceOf(SealException.class);
      }
      for (int length = 0; length < sealed.length; length++) {
        byte[] shorter = Arrays.copyOf(sealed, length);
        assertThatThrownBy(() -> sealer.open(CONTEXT, shorter)).isInstanceOf(SealException.class);
      }
      assertThatThrownBy(() -> sealer.open(new byte[] {7, 9}, sealed))
          .isInstanceOf(SealException.class)
          .hasMessage("its authentication fails");
    }
  }

  @Test
  void seal_neverUsesANonceTwice() {
    // One that draws the greatest numbers, so that counting runs over.
    RandomGenerator ones = () -> -1L;
    var nonces = new ArrayList<String>();
    try (var sealer = new Sealer(keys)) {
      sealer.begin(ones);
      for (int i = 0; i < 1_000; i++) {
        byte[] sealed = sealer.seal(CONTEXT, bytes(""), bytes("same"));
        nonces.add(HexFormat.of().formatHex(sealed, 5, 29));
      }
    }
    assertThat(nonces).doesNotHaveDuplicates();
  }

  @Test
  void seal_beforeBegin_isRefused() {
    try (var sealer = new Sealer(keys)) {
      assertThatThrownBy(() -> sealer.seal(CONTEXT, bytes(""), bytes("")))
          .isInstanceOf(IllegalStateException.class);
    }
  }
}
