package io.pluresdb.transport.noise;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** The running hash, chaining key and cipher of a handshake (section 5.2). Not thread-safe. */
final class SymmetricState {
  private static final byte[] EMPTY = {};

  private final HashFunction hashing;
  private final CipherFunction ciphering;
  private byte[] chainingKey;
  private byte[] hash;
  private @Nullable CipherState cipher;

  SymmetricState(String protocolName, HashFunction hashing, CipherFunction ciphering) {
    this.hashing = hashing;
    this.ciphering = ciphering;
    byte[] name = protocolName.getBytes(StandardCharsets.US_ASCII);
    this.hash =
        name.length <= hashing.hashBytes()
            ? Arrays.copyOf(name, hashing.hashBytes())
            : hashing.hash(EMPTY, name, 0, name.length);
    this.chainingKey = hash;
  }

  boolean hasKey() {
    return cipher != null;
  }

  void mixHash(byte[] bytes) {
    mixHash(bytes, 0, bytes.length);
  }

  void mixHash(byte[] bytes, int offset, int length) {
    hash = hashing.hash(hash, bytes, offset, length);
  }

  void mixKey(byte[] inputKey) {
    byte[][] keys = hashing.hkdf(chainingKey, inputKey, 2);
    chainingKey = keys[0];
    cipher = new CipherState(ciphering, keys[1]);
  }

  void mixKeyAndHash(byte[] inputKey) {
    byte[][] keys = hashing.hkdf(chainingKey, inputKey, 3);
    chainingKey = keys[0];
    mixHash(keys[1]);
    cipher = new CipherState(ciphering, keys[2]);
  }

  /**
   * Encrypts {@code buffer[offset, offset + length)} in place if there is a key; returns the new
   * length.
   */
  int encryptAndHash(byte[] buffer, int offset, int length) throws NoiseException {
    CipherState current = cipher;
    int written = current == null ? length : current.encrypt(hash, buffer, offset, length);
    mixHash(buffer, offset, written);
    return written;
  }

  /**
   * Decrypts {@code buffer[offset, offset + length)} in place if there is a key; returns the new
   * length.
   */
  int decryptAndHash(byte[] buffer, int offset, int length) throws NoiseException {
    byte[] before = hash;
    mixHash(buffer, offset, length);
    CipherState current = cipher;
    return current == null ? length : current.decrypt(before, buffer, offset, length);
  }

  byte[] hash() {
    return hash.clone();
  }

  /** The initiator's and the responder's sending cipher, in this order. */
  CipherState[] split() {
    byte[][] keys = hashing.hkdf(chainingKey, EMPTY, 2);
    Arrays.fill(chainingKey, (byte) 0);
    return new CipherState[] {
      new CipherState(ciphering, keys[0]), new CipherState(ciphering, keys[1])
    };
  }
}
