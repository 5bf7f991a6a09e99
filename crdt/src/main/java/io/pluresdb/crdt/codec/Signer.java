package io.pluresdb.crdt.codec;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.UnaryOperator;
import org.bouncycastle.math.ec.rfc8032.Ed25519;

/**
 * An Ed25519 key pair (RFC 8032) that signs on behalf of a device.
 *
 * <p>Verification is pinned to this one implementation with full validation of the public key,
 * because verifiers disagree on malicious signatures and disagreement would be divergence.
 */
public final class Signer {
  public static final int KEY_BYTES = Ed25519.PUBLIC_KEY_SIZE;
  public static final int SIGNATURE_BYTES = Ed25519.SIGNATURE_SIZE;

  private final byte[] publicKey;
  private final UnaryOperator<byte[]> signing;

  /**
   * A signer whose secret is kept elsewhere.
   *
   * @param publicKey 32 bytes
   * @param signing returns the 64-byte Ed25519 signature of a message
   */
  public Signer(byte[] publicKey, UnaryOperator<byte[]> signing) {
    if (publicKey.length != KEY_BYTES) {
      throw new IllegalArgumentException("public key must be 32 bytes, but is " + publicKey.length);
    }
    this.publicKey = publicKey.clone();
    this.signing = signing;
  }

  /**
   * Takes the 32-byte secret seed of RFC 8032.
   *
   * @throws IllegalArgumentException when it is not 32 bytes
   */
  public Signer(byte[] secret) {
    if (secret.length != Ed25519.SECRET_KEY_SIZE) {
      throw new IllegalArgumentException("secret must be 32 bytes, but is " + secret.length);
    }
    byte[] seed = secret.clone();
    byte[] key = new byte[KEY_BYTES];
    Ed25519.generatePublicKey(seed, 0, key, 0);
    publicKey = key;
    signing =
        message -> {
          byte[] signature = new byte[SIGNATURE_BYTES];
          Ed25519.sign(seed, 0, key, 0, null, message, 0, message.length, signature, 0);
          return signature;
        };
  }

  /** 32 bytes; a copy. */
  public byte[] publicKey() {
    return publicKey.clone();
  }

  /** The 64-byte signature of {@code message}. */
  public byte[] sign(byte[] message) {
    return signing.apply(message);
  }

  /** Whether {@code signature} is {@code publicKey}'s over {@code message}; false on any defect. */
  public static boolean verify(byte[] publicKey, byte[] message, byte[] signature) {
    return publicKey.length == KEY_BYTES
        && signature.length == SIGNATURE_BYTES
        && validKey(publicKey)
        && Ed25519.verify(signature, 0, publicKey, 0, message, 0, message.length);
  }

  // Full validation multiplies a point, a third of a verification: worth remembering for the keys
  // of the devices that write. A slot that two keys share costs time only.
  private static final int VALID_KEYS = 256;
  private static final AtomicReferenceArray<byte[]> VALID = new AtomicReferenceArray<>(VALID_KEYS);

  private static boolean validKey(byte[] key) {
    int slot = (key[0] ^ key[1]) & (VALID_KEYS - 1);
    byte[] known = VALID.get(slot);
    if (known != null && Arrays.equals(key, known)) {
      return true;
    }
    boolean valid = Ed25519.validatePublicKeyFull(key, 0);
    if (valid) {
      VALID.set(slot, key.clone());
    }
    return valid;
  }
}
