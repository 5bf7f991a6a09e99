package io.pluresdb.transport.noise;

import java.util.random.RandomGenerator;
import org.bouncycastle.math.ec.rfc7748.X25519;

/** A Curve25519 key pair (RFC 7748). {@link #toString} shows no secret. */
public final class KeyPair {
  /** Size of either key and of a shared secret. */
  public static final int KEY_BYTES = X25519.POINT_SIZE;

  private final byte[] privateKey;
  private final byte[] publicKey;

  private KeyPair(byte[] privateKey) {
    this.privateKey = privateKey;
    this.publicKey = new byte[KEY_BYTES];
    X25519.generatePublicKey(privateKey, 0, publicKey, 0);
  }

  /** A new pair from 32 bytes of {@code random}, which must be cryptographically secure. */
  public static KeyPair generate(RandomGenerator random) {
    byte[] privateKey = new byte[KEY_BYTES];
    random.nextBytes(privateKey);
    return new KeyPair(privateKey);
  }

  /** The pair of these 32 private bytes, which are copied. */
  public static KeyPair ofPrivate(byte[] privateKey) {
    if (privateKey.length != KEY_BYTES) {
      throw new IllegalArgumentException(
          "a Curve25519 key must have 32 bytes, but has " + privateKey.length);
    }
    return new KeyPair(privateKey.clone());
  }

  public byte[] publicKey() {
    return publicKey.clone();
  }

  /**
   * Returns the 32-byte shared secret with {@code peer}.
   *
   * @throws NoiseException with {@code LOW_ORDER_KEY} when it is all zero: the peer then
   *     contributes nothing, which RFC 7748 section 6.1 lets us refuse
   */
  byte[] agree(byte[] peer) throws NoiseException {
    byte[] secret = new byte[KEY_BYTES];
    if (!X25519.calculateAgreement(privateKey, 0, peer, 0, secret, 0)) {
      throw new NoiseException(NoiseException.Kind.LOW_ORDER_KEY);
    }
    return secret;
  }

  @Override
  public String toString() {
    return "KeyPair[Curve25519]";
  }
}
