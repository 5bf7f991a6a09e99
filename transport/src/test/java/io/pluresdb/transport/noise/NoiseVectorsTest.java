package io.pluresdb.transport.noise;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.pluresdb.transport.FixedRandom;
import io.pluresdb.transport.Vectors;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Every 25519 vector of cacophony and snow, both sides, all handshake and transport messages. */
class NoiseVectorsTest {
  private static final int CACOPHONY_25519_VECTORS = 472;
  private static final int SNOW_25519_VECTORS = 408;

  @Test
  void handshake_cacophonyVectors_giveTheirBytes() throws NoiseException {
    assertThat(runAll("noise/cacophony.json.gz")).isEqualTo(CACOPHONY_25519_VECTORS);
  }

  @Test
  void handshake_snowVectors_giveTheirBytes() throws NoiseException {
    assertThat(runAll("noise/snow.json.gz")).isEqualTo(SNOW_25519_VECTORS);
  }

  private static int runAll(String file) throws NoiseException {
    int passed = 0;
    int messages = 0;
    for (JsonNode vector : Vectors.read(file).get("vectors")) {
      String name = vector.get("protocol_name").asText();
      if (name.contains("_25519_")) {
        messages += run(name, vector);
        passed++;
      }
    }
    System.out.println(file + ": " + passed + " vectors, " + messages + " messages, all equal");
    return passed;
  }

  private static int run(String name, JsonNode vector) throws NoiseException {
    NoiseProtocol protocol = NoiseProtocol.parse(name);
    HandshakeState initiator = side(protocol, true, vector);
    HandshakeState responder = side(protocol, false, vector);
    HandshakeState.@Nullable Ciphers fromInitiator = null;
    HandshakeState.@Nullable Ciphers fromResponder = null;
    int index = 0;
    for (JsonNode message : vector.get("messages")) {
      byte[] payload = hex(message.get("payload").asText());
      byte[] expected = hex(message.get("ciphertext").asText());
      boolean initiatorSends = protocol.oneWay() || index % 2 == 0;
      String where = name + " message " + index;
      if (fromInitiator == null || fromResponder == null) {
        HandshakeState writer = initiatorSends ? initiator : responder;
        HandshakeState reader = initiatorSends ? responder : initiator;
        byte[] written = writer.write(payload);
        assertThat(written).as(where).isEqualTo(expected);
        assertThat(reader.read(written)).as(where).isEqualTo(payload);
        if (initiator.isComplete()) {
          byte[] hash = initiator.handshakeHash();
          assertThat(responder.handshakeHash()).as(where).isEqualTo(hash);
          if (vector.has("handshake_hash")) {
            assertThat(hash).as(where).isEqualTo(hex(vector.get("handshake_hash").asText()));
          }
          fromInitiator = initiator.split();
          fromResponder = responder.split();
        }
      } else {
        CipherState sending = (initiatorSends ? fromInitiator : fromResponder).sending();
        CipherState receiving = (initiatorSends ? fromResponder : fromInitiator).receiving();
        byte[] buffer = Arrays.copyOf(payload, payload.length + CipherState.TAG_BYTES);
        assertThat(sending.encrypt(buffer, payload.length)).isEqualTo(buffer.length);
        assertThat(buffer).as(where).isEqualTo(expected);
        int length = receiving.decrypt(buffer, buffer.length);
        assertThat(Arrays.copyOf(buffer, length)).as(where).isEqualTo(payload);
      }
      index++;
    }
    assertThat(initiator.isComplete()).as(name).isTrue();
    return index;
  }

  private static HandshakeState side(NoiseProtocol protocol, boolean initiator, JsonNode vector) {
    String prefix = initiator ? "init_" : "resp_";
    JsonNode own = vector.get(prefix + "static");
    JsonNode remote = vector.get(prefix + "remote_static");
    JsonNode ephemeral = vector.get(prefix + "ephemeral");
    List<byte[]> psks = new ArrayList<>();
    if (vector.has(prefix + "psks")) {
      vector.get(prefix + "psks").forEach(psk -> psks.add(hex(psk.asText())));
    }
    return new HandshakeState(
        protocol,
        initiator,
        hex(vector.get(prefix + "prologue").asText()),
        new HandshakeKeys(
            own == null ? null : KeyPair.ofPrivate(hex(own.asText())),
            remote == null ? null : hex(remote.asText()),
            psks,
            new FixedRandom(ephemeral == null ? new byte[0] : hex(ephemeral.asText()))));
  }

  private static byte[] hex(String text) {
    return HexFormat.of().parseHex(text);
  }
}
