package io.pluresdb.transport.hash;

import org.bouncycastle.crypto.digests.Blake2bDigest;

/** BLAKE2b (RFC 7693), plain and keyed. */
public final class Blake2b {
  /** Size in bytes of the hashes that name things. */
  public static final int HASH_BYTES = 32;

  private static final int MAX_HASH_BYTES = 64;
  private static final int MAX_KEY_BYTES = 64;

  private Blake2b() {}

  /** Returns the 32-byte BLAKE2b of the concatenation of {@code parts}. */
  public static byte[] hash256(byte[]... parts) {
    return hash(new Blake2bDigest(HASH_BYTES * 8), parts);
  }

  /**
   * Returns the keyed BLAKE2b of the concatenation of {@code parts}.
   *
   * @param key 1 to 64 bytes
   * @param hashBytes 1 to 64
   */
  public static byte[] keyed(byte[] key, int hashBytes, byte[]... parts) {
    if (key.length < 1 || key.length > MAX_KEY_BYTES) {
      throw new IllegalArgumentException(
          "a BLAKE2b key must have 1 to 64 bytes, but has " + key.length);
    }
    if (hashBytes < 1 || hashBytes > MAX_HASH_BYTES) {
      throw new IllegalArgumentException(
          "a BLAKE2b hash must have 1 to 64 bytes, but " + hashBytes + " were asked for");
    }
    return hash(new Blake2bDigest(key, hashBytes, null, null), parts);
  }

  private static byte[] hash(Blake2bDigest digest, byte[]... parts) {
    for (byte[] part : parts) {
      digest.update(part, 0, part.length);
    }
    byte[] out = new byte[digest.getDigestSize()];
    digest.doFinal(out, 0);
    return out;
  }
}
