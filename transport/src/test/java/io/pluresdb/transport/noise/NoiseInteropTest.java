package io.pluresdb.transport.noise;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.transport.Vectors;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Live handshakes with npm's noise-handshake, which speaks ChaChaPoly and BLAKE2b only, and of the
 * psk patterns XXpsk0 and NNpsk0.
 */
class NoiseInteropTest {
  private static final String PACKAGE = "noise-handshake 4.2.0 of npm";
  private static final int ECHOES = 20;
  private static final HexFormat HEX = HexFormat.of();
  private static final Path FOLDER = Path.of("target", "noise-interop").toAbsolutePath();

  @BeforeAll
  static void install() throws IOException, InterruptedException {
    Files.createDirectories(FOLDER);
    for (String file : List.of("package.json", "peer.js")) {
      try (InputStream in = NoiseInteropTest.class.getResourceAsStream("/interop/" + file)) {
        if (in == null) {
          throw new AssertionError("missing test resource " + file);
        }
        Files.copy(in, FOLDER.resolve(file), StandardCopyOption.REPLACE_EXISTING);
      }
    }
    if (Files.isDirectory(FOLDER.resolve("node_modules/noise-handshake"))) {
      return;
    }
    if (!succeeds("node", "--version")
        || !succeeds("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts")) {
      Vectors.skip("NoiseInteropTest: no node, no npm, or no way to install " + PACKAGE);
    }
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
    Process peer =
        new ProcessBuilder("node", "peer.js", pattern, theirRole, pskMode ? HEX.formatHex(psk) : "")
            .directory(FOLDER.toFile())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
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

  private static boolean succeeds(String... command) throws InterruptedException {
    try {
      Process process =
          new ProcessBuilder(command)
              .directory(FOLDER.toFile())
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .start();
      boolean ended = process.waitFor(120, TimeUnit.SECONDS);
      process.destroy();
      return ended && process.exitValue() == 0;
    } catch (IOException e) {
      return false;
    }
  }
}
