package io.pluresdb.transport.noise;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.transport.NpmPackage;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Live handshakes with npm's noise-handshake, which speaks ChaChaPoly and BLAKE2b only, and of the
 * psk patterns XXpsk0 and NNpsk0.
 */
class NoiseInteropTest {
  private static final int ECHOES = 20;
  private static final HexFormat HEX = HexFormat.of();

  private static NpmPackage npm;

  @BeforeAll
  static void install() {
    npm =
        NpmPackage.install(
            "noise-handshake", Map.of("package.json", "package.json", "peer.js", "peer.js"));
  }

  @ParameterizedTest
  @CsvSource({
    "XX, true",
    "XX, false",
    "XXpsk0, true",
    "XXpsk0, false",
    "NN, true",
    "NNpsk0, false"
  })
  void handshake_withNoiseHandshake_agreesOnHashAndMessages(String pattern, boolean initiator)
      throws IOException, NoiseException, InterruptedException {
    byte[] psk = HEX.parseHex("5a".repeat(32));
    boolean pskMode = pattern.contains("psk");
    Random random = new Random(6);
    HandshakeState ours =
        new HandshakeState(
            NoiseProtocol.parse("Noise_" + pattern + "_25519_ChaChaPoly_BLAKE2b"),
            initiator,
            "interop".getBytes(StandardCharsets.US_ASCII),
            new HandshakeKeys(
                KeyPair.generate(random), null, pskMode ? List.of(psk) : List.of(), random));
    String theirRole = initiator ? "responder" : "initiator";
    Process peer = npm.node("peer.js", pattern, theirRole, pskMode ? HEX.formatHex(psk) : "");
    try (BufferedReader in = peer.inputReader();
        BufferedWriter out = peer.outputWriter()) {
      while (!ours.isComplete()) {
        if (ours.isWriting()) {
          say(out, ours.write("from test".getBytes(StandardCharsets.US_ASCII)));
        } else {
          assertThat(ours.read(hear(in))).asString().isEqualTo("from " + theirRole);
        }
      }
      assertThat(hear(in)).isEqualTo(ours.handshakeHash());
      HandshakeState.Ciphers ciphers = ours.split();
      for (int i = 0; i < ECHOES; i++) {
        byte[] message = new byte[i * 100];
        random.nextBytes(message);
        byte[] buffer = Arrays.copyOf(message, message.length + CipherState.TAG_BYTES);
        ciphers.sending().encrypt(buffer, message.length);
        say(out, buffer);
        byte[] echo = hear(in);
        int length = ciphers.receiving().decrypt(echo, echo.length);
        assertThat(Arrays.copyOf(echo, length)).isEqualTo(message);
      }
    } finally {
      peer.destroy();
    }
    System.out.println(
        "noise-handshake " + pattern + " as " + theirRole + ": " + ECHOES + " echoes");
  }

  private static void say(BufferedWriter out, byte[] bytes) throws IOException {
    out.write(HEX.formatHex(bytes) + "\n");
    out.flush();
  }

  private static byte[] hear(BufferedReader in) throws IOException {
    String line = in.readLine();
    if (line == null) {
      throw new AssertionError("the peer ended; see its error above");
    }
    return HEX.parseHex(line);
  }
}
