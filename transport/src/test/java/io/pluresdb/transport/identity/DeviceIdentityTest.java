package io.pluresdb.transport.identity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import io.pluresdb.transport.FixedRandom;
import io.pluresdb.transport.Vectors;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HexFormat;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DeviceIdentityTest {
  private static final int WYCHEPROOF_TESTS = 151;
  private static final byte[] MESSAGE = "message".getBytes(StandardCharsets.US_ASCII);

  @TempDir Path folder;

  @Test
  void verify_wycheproofVectors_judgesAsTheySay() {
    int valid = 0;
    int invalid = 0;
    for (JsonNode group : Vectors.read("wycheproof/ed25519_test.json").get("testGroups")) {
      byte[] publicKey = hex(group.get("publicKey").get("pk"));
      for (JsonNode test : group.get("tests")) {
        boolean expected = test.get("result").asText().equals("valid");
        boolean actual =
            DeviceIdentity.verify(publicKey, hex(test.get("msg")), hex(test.get("sig")));
        assertThat(actual).as("test %s", test.get("tcId")).isEqualTo(expected);
        if (expected) {
          valid++;
        } else {
          invalid++;
        }
      }
    }
    System.out.println("wycheproof Ed25519: " + valid + " valid, " + invalid + " refused");
    assertThat(valid + invalid).isEqualTo(WYCHEPROOF_TESTS);
  }

  // RFC 8032, section 7.1, test 2.
  @Test
  void sign_rfc8032Key_givesItsSignature() {
    byte[] seed = hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    DeviceIdentity identity = DeviceIdentity.create(new FixedRandom(seed));
    assertThat(identity.publicKey())
        .isEqualTo(hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"));
    assertThat(identity.sign(new byte[] {0x72}))
        .isEqualTo(
            hex(
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                    + "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"));
  }

  @Test
  void verify_smallOrderOrMisshapenKeys_isFalse() {
    DeviceIdentity identity = DeviceIdentity.create(new Random(1));
    byte[] signature = identity.sign(MESSAGE);
    assertThat(DeviceIdentity.verify(identity.publicKey(), MESSAGE, signature)).isTrue();
    // The neutral element verifies the all-neutral signature of any message unless keys are
    // validated.
    byte[] neutral = new byte[32];
    neutral[0] = 1;
    byte[] forged = new byte[64];
    forged[0] = 1;
    assertThat(DeviceIdentity.verify(neutral, MESSAGE, forged)).isFalse();
    assertThat(DeviceIdentity.verify(new byte[31], MESSAGE, signature)).isFalse();
    assertThat(DeviceIdentity.verify(identity.publicKey(), MESSAGE, new byte[63])).isFalse();
  }

  @Test
  void save_thenLoad_isTheSameDeviceInAPrivateFile() throws IOException {
    DeviceIdentity identity = DeviceIdentity.create(new Random(2));
    Path file = folder.resolve("device.key");
    identity.save(file);
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
        .isEqualTo("rw-------");
    DeviceIdentity loaded = DeviceIdentity.load(file);
    assertThat(loaded.id()).isEqualTo(identity.id());
    assertThat(loaded.sign(MESSAGE)).isEqualTo(identity.sign(MESSAGE));
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).containsExactly(file);
    }
  }

  @Test
  void save_overAKey_isRefusedAndLeavesIt() throws IOException {
    Path file = folder.resolve("device.key");
    DeviceIdentity.create(new Random(3)).save(file);
    String before = Files.readString(file);
    assertThatThrownBy(() -> DeviceIdentity.create(new Random(4)).save(file))
        .isInstanceOf(IdentityException.Exists.class);
    assertThat(Files.readString(file)).isEqualTo(before);
  }

  @Test
  void load_readableByOthers_isRefused() throws IOException {
    Path file = folder.resolve("device.key");
    DeviceIdentity.create(new Random(5)).save(file);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r-----"));
    assertThatThrownBy(() -> DeviceIdentity.load(file))
        .isInstanceOf(IdentityException.Exposed.class)
        .hasMessageContaining("0600")
        .hasMessageContaining("rw-r-----");
  }

  @Test
  void load_missingOrDamaged_saysWhich() throws IOException {
    Path file = folder.resolve("device.key");
    assertThatThrownBy(() -> DeviceIdentity.load(file))
        .isInstanceOf(IdentityException.NotFound.class);
    DeviceIdentity.create(new Random(6)).save(file);
    String good = Files.readString(file);
    String flipped = good.replace(good.substring(22, 30), "00000000");
    for (String bad : new String[] {"", "hello", flipped, good.substring(0, 40), good + good}) {
      Files.writeString(file, bad);
      assertThatThrownBy(() -> DeviceIdentity.load(file))
          .as(bad)
          .isInstanceOf(IdentityException.Damaged.class);
    }
    Files.writeString(file, "x".repeat(300));
    assertThatThrownBy(() -> DeviceIdentity.load(file))
        .isInstanceOf(IdentityException.Damaged.class);
  }

  private static byte[] hex(JsonNode node) {
    return hex(node.asText());
  }

  private static byte[] hex(String text) {
    return HexFormat.of().parseHex(text);
  }
}
