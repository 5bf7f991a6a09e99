package io.pluresdb.transport.noise;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import io.pluresdb.transport.Vectors;
import java.util.Arrays;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;

/** Wycheproof's X25519: every shared secret equal, every zero secret refused. */
class X25519VectorsTest {
  private static final int WYCHEPROOF_TESTS = 518;

  @Test
  void agree_wycheproofVectors_givesTheSecretOrRefusesZero() throws NoiseException {
    byte[] zero = new byte[KeyPair.KEY_BYTES];
    int equal = 0;
    int refused = 0;
    for (JsonNode group : Vectors.read("wycheproof/x25519_test.json").get("testGroups")) {
      for (JsonNode test : group.get("tests")) {
        KeyPair own = KeyPair.ofPrivate(hex(test, "private"));
        byte[] peer = hex(test, "public");
        byte[] shared = hex(test, "shared");
        if (Arrays.equals(shared, zero)) {
          assertThatThrownBy(() -> own.agree(peer))
              .as("test %s", test.get("tcId"))
              .isInstanceOfSatisfying(
                  NoiseException.class,
                  e -> assertThat(e.kind()).isEqualTo(NoiseException.Kind.LOW_ORDER_KEY));
          refused++;
        } else {
          assertThat(own.agree(peer)).as("test %s", test.get("tcId")).isEqualTo(shared);
          equal++;
        }
      }
    }
    System.out.println("wycheproof X25519: " + equal + " equal, " + refused + " refused");
    assertThat(equal + refused).isEqualTo(WYCHEPROOF_TESTS);
    assertThat(refused).isPositive();
  }

  private static byte[] hex(JsonNode test, String field) {
    return HexFormat.of().parseHex(test.get(field).asText());
  }
}
