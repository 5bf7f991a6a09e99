package io.pluresdb.transport.noise;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class HandshakeStateTest {
  private static final NoiseProtocol PROTOCOL =
      NoiseProtocol.parse("Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b");
  private static final byte[] PROLOGUE = "prologue".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] NO_PAYLOAD = {};

  @Test
  void read_anyChangedByteOfAnyMessage_failsTheHandshake() throws NoiseException {
    for (int message = 0; message < 3; message++) {
      int length = messages().get(message).length;
      for (int at = 0; at < length; at++) {
        HandshakeState initiator = side(true, 1, PROLOGUE, 9);
        HandshakeState responder = side(false, 2, PROLOGUE, 9);
        for (int i = 0; i < message; i++) {
          pass(i, initiator, responder);
        }
        HandshakeState writer = message % 2 == 0 ? initiator : responder;
        HandshakeState reader = message % 2 == 0 ? responder : initiator;
        byte[] tampered = writer.write(NO_PAYLOAD);
        tampered[at] ^= 1;
        assertThatThrownBy(() -> reader.read(tampered))
            .as("message %d byte %d", message, at)
            .isInstanceOf(NoiseException.class);
        assertThatThrownBy(() -> reader.read(tampered)).isInstanceOf(IllegalStateException.class);
      }
    }
  }

  @Test
  void read_otherPrologueOrPsk_failsAtTheFirstTag() throws NoiseException {
    byte[] first = side(true, 1, PROLOGUE, 9).write(NO_PAYLOAD);
    byte[] otherPrologue = "Prologue".getBytes(StandardCharsets.US_ASCII);
    assertThatThrownBy(() -> side(false, 2, otherPrologue, 9).read(first))
        .isInstanceOf(NoiseException.class);
    assertThatThrownBy(() -> side(false, 2, PROLOGUE, 8).read(first))
        .isInstanceOf(NoiseException.class);
    assertThat(side(false, 2, PROLOGUE, 9).read(first)).isEmpty();
  }

  @Test
  void read_truncatedMessage_fails() throws NoiseException {
    byte[] first = side(true, 1, PROLOGUE, 9).write(NO_PAYLOAD);
    for (int length = 0; length < first.length; length++) {
      byte[] cut = Arrays.copyOf(first, length);
      assertThatThrownBy(() -> side(false, 2, PROLOGUE, 9).read(cut))
          .isInstanceOf(NoiseException.class);
    }
  }

  @Test
  void read_lowOrderEphemeral_isRefused() throws NoiseException {
    NoiseProtocol plain = NoiseProtocol.parse("Noise_NN_25519_ChaChaPoly_BLAKE2b");
    HandshakeKeys keys = new HandshakeKeys(null, null, List.of(), new Random(3));
    HandshakeState responder = new HandshakeState(plain, false, PROLOGUE, keys);
    responder.read(new byte[KeyPair.KEY_BYTES]);
    assertThatThrownBy(() -> responder.write(NO_PAYLOAD))
        .isInstanceOfSatisfying(
            NoiseException.class,
            e -> assertThat(e.kind()).isEqualTo(NoiseException.Kind.LOW_ORDER_KEY));
  }

  @Test
  void calls_outOfTurn_areRefused() {
    HandshakeState responder = side(false, 2, PROLOGUE, 9);
    assertThatThrownBy(() -> responder.write(NO_PAYLOAD)).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(responder::split).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(responder::handshakeHash).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void parse_unknownNames_areRefused() {
    for (String name :
        List.of(
            "Noise_XX_448_ChaChaPoly_BLAKE2b",
            "Noise_XY_25519_ChaChaPoly_BLAKE2b",
            "Noise_XXpsk4_25519_ChaChaPoly_BLAKE2b",
            "Noise_XXpsk0+psk0_25519_ChaChaPoly_BLAKE2b",
            "Noise_XXfallback_25519_ChaChaPoly_BLAKE2b",
            "Noise_XX_25519_ChaChaPoly_MD5",
            "Noise_XX_25519_DES_BLAKE2b",
            "Noise_XX_25519_ChaChaPoly")) {
      assertThatIllegalArgumentException().as(name).isThrownBy(() -> NoiseProtocol.parse(name));
    }
  }

  private static List<byte[]> messages() throws NoiseException {
    HandshakeState initiator = side(true, 1, PROLOGUE, 9);
    HandshakeState responder = side(false, 2, PROLOGUE, 9);
    return List.of(
        pass(0, initiator, responder),
        pass(1, initiator, responder),
        pass(2, initiator, responder));
  }

  private static byte[] pass(int index, HandshakeState initiator, HandshakeState responder)
      throws NoiseException {
    HandshakeState writer = index % 2 == 0 ? initiator : responder;
    HandshakeState reader = index % 2 == 0 ? responder : initiator;
    byte[] message = writer.write(NO_PAYLOAD);
    reader.read(message);
    return message;
  }

  private static HandshakeState side(boolean initiator, int seed, byte[] prologue, int pskByte) {
    byte[] psk = new byte[32];
    Arrays.fill(psk, (byte) pskByte);
    Random random = new Random(seed);
    return new HandshakeState(
        PROTOCOL,
        initiator,
        prologue,
        new HandshakeKeys(KeyPair.generate(random), null, List.of(psk), random));
  }
}
