package io.pluresdb.transport.noise;

import java.util.List;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * The keys one side brings to a handshake.
 *
 * @param own the own static key pair, where the pattern has one
 * @param remote the peer's 32-byte static key, where the pattern knows it beforehand
 * @param psks pre-shared keys of 32 bytes, one for each psk token in order
 * @param ephemeral makes the ephemeral key pair, once
 */
public record HandshakeKeys(
    @Nullable KeyPair own, byte @Nullable [] remote, List<byte[]> psks, RandomGenerator ephemeral) {
  private static final int PSK_BYTES = 32;

  // Written out because a compact constructor loses the array's @Nullable in the class file.
  public HandshakeKeys(
      @Nullable KeyPair own,
      byte @Nullable [] remote,
      List<byte[]> psks,
      RandomGenerator ephemeral) {
    this.own = own;
    this.remote = remote;
    this.ephemeral = ephemeral;
    this.psks = psks.stream().map(byte[]::clone).toList();
    for (byte[] psk : this.psks) {
      if (psk.length != PSK_BYTES) {
        throw new IllegalArgumentException(
            "a pre-shared key must have 32 bytes, but has " + psk.length);
      }
    }
    if (remote != null && remote.length != KeyPair.KEY_BYTES) {
      throw new IllegalArgumentException(
          "a static key must have 32 bytes, but has " + remote.length);
    }
  }
}
