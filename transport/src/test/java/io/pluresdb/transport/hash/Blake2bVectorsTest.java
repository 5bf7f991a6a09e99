package io.pluresdb.transport.hash;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import com.fasterxml.jackson.databind.JsonNode;
import io.pluresdb.transport.Vectors;
import java.util.HexFormat;
import org.bouncycastle.crypto.digests.Blake2bDigest;
import org.bouncycastle.crypto.digests.SHA256Digest;
import org.junit.jupiter.api.Test;

class Blake2bVectorsTest {
  private static final int KNOWN_ANSWERS = 512;
  private static final HexFormat HEX = HexFormat.of();

  @Test
  void blake2b_knownAnswers_areEqual() {
    int passed = 0;
    for (JsonNode answer : Vectors.read("blake2/blake2b-kat.json")) {
      byte[] in = HEX.parseHex(answer.get("in").asText());
      byte[] key = HEX.parseHex(answer.get("key").asText());
      byte[] out = HEX.parseHex(answer.get("out").asText());
      byte[] actual = key.length > 0 ? Blake2b.keyed(key, out.length, in) : unkeyed(in);
      assertThat(actual).as("in %s", answer.get("in")).isEqualTo(out);
      passed++;
    }
    System.out.println("BLAKE2b: " + passed + " known answers equal");
    assertThat(passed).isEqualTo(KNOWN_ANSWERS);
  }

  // b2sum -l 256 of nothing and of "abc".
  @Test
  void hash256_ofParts_isTheHashOfTheirConcatenation() {
    assertThat(HEX.formatHex(Blake2b.hash256()))
        .isEqualTo("0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    assertThat(HEX.formatHex(Blake2b.hash256(new byte[] {'a'}, new byte[] {'b', 'c'})))
        .isEqualTo("bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
  }

  @Test
  void keyed_lengthsOutOfRange_areRefused() {
    assertThatIllegalArgumentException().isThrownBy(() -> Blake2b.keyed(new byte[0], 32));
    assertThatIllegalArgumentException().isThrownBy(() -> Blake2b.keyed(new byte[65], 32));
    assertThatIllegalArgumentException().isThrownBy(() -> Blake2b.keyed(new byte[1], 65));
  }

  // RFC 5869, appendix A, test cases 1 and 3.
  @Test
  void hkdf_rfc5869Cases_areEqual() {
    byte[] inputKey = HEX.parseHex("0b".repeat(22));
    byte[] salt = HEX.parseHex("000102030405060708090a0b0c");
    byte[] context = HEX.parseHex("f0f1f2f3f4f5f6f7f8f9");
    assertThat(HEX.formatHex(Hkdf.derive(new SHA256Digest(), salt, inputKey, context, 42)))
        .isEqualTo(
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
                + "34007208d5b887185865");
    byte[] none = {};
    assertThat(HEX.formatHex(Hkdf.derive(new SHA256Digest(), none, inputKey, none, 42)))
        .isEqualTo(
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
                + "9d201395faa4b61a96c8");
  }

  private static byte[] unkeyed(byte[] in) {
    Blake2bDigest digest = new Blake2bDigest(512);
    digest.update(in, 0, in.length);
    byte[] out = new byte[64];
    digest.doFinal(out, 0);
    return out;
  }
}
