package io.pluresdb.transport.session;

import io.pluresdb.transport.noise.NoiseProtocol;
import org.jspecify.annotations.Nullable;

/** A Noise protocol a session may use, named by one byte of the preamble. */
public enum Suite {
  /** The default: fast with and without hardware support. */
  CHACHAPOLY(1, "Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b"),
  /** For hardware with AES and carry-less multiplication. */
  AESGCM(2, "Noise_XXpsk0_25519_AESGCM_BLAKE2b");

  private final byte code;
  private final String protocolName;

  Suite(int code, String protocolName) {
    this.code = (byte) code;
    this.protocolName = protocolName;
  }

  byte code() {
    return code;
  }

  NoiseProtocol protocol() {
    return NoiseProtocol.parse(protocolName);
  }

  static @Nullable Suite of(byte code) {
    for (Suite suite : values()) {
      if (suite.code == code) {
        return suite;
      }
    }
    return null;
  }
}
