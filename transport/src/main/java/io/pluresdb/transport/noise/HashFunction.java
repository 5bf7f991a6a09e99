package io.pluresdb.transport.noise;

import io.pluresdb.transport.hash.Hkdf;
import java.util.Arrays;
import org.bouncycastle.crypto.ExtendedDigest;
import org.bouncycastle.crypto.digests.Blake2bDigest;
import org.bouncycastle.crypto.digests.Blake2sDigest;
import org.bouncycastle.crypto.digests.SHA256Digest;
import org.bouncycastle.crypto.digests.SHA512Digest;

/** A hash function of section 12 of the Noise specification, with its HKDF (section 4.3). */
enum HashFunction {
  SHA256("SHA256", 32) {
    @Override
    ExtendedDigest digest() {
      return new SHA256Digest();
    }
  },
  SHA512("SHA512", 64) {
    @Override
    ExtendedDigest digest() {
      return new SHA512Digest();
    }
  },
  BLAKE2S("BLAKE2s", 32) {
    @Override
    ExtendedDigest digest() {
      return new Blake2sDigest(256);
    }
  },
  BLAKE2B("BLAKE2b", 64) {
    @Override
    ExtendedDigest digest() {
      return new Blake2bDigest(512);
    }
  };

  private static final byte[] NO_CONTEXT = {};

  private final String noiseName;
  private final int hashBytes;

  HashFunction(String noiseName, int hashBytes) {
    this.noiseName = noiseName;
    this.hashBytes = hashBytes;
  }

  static HashFunction parse(String noiseName) {
    for (HashFunction function : values()) {
      if (function.noiseName.equals(noiseName)) {
        return function;
      }
    }
    throw new IllegalArgumentException("unknown Noise hash " + noiseName);
  }

  abstract ExtendedDigest digest();

  int hashBytes() {
    return hashBytes;
  }

  byte[] hash(byte[] first, byte[] second, int offset, int length) {
    ExtendedDigest digest = digest();
    digest.update(first, 0, first.length);
    digest.update(second, offset, length);
    byte[] out = new byte[hashBytes];
    digest.doFinal(out, 0);
    return out;
  }

  /** Noise's HKDF is RFC 5869 with an empty context; returns {@code outputs} hash-sized keys. */
  byte[][] hkdf(byte[] chainingKey, byte[] inputKey, int outputs) {
    byte[] all = Hkdf.derive(digest(), chainingKey, inputKey, NO_CONTEXT, outputs * hashBytes);
    byte[][] keys = new byte[outputs][];
    for (int i = 0; i < outputs; i++) {
      keys[i] = Arrays.copyOfRange(all, i * hashBytes, (i + 1) * hashBytes);
    }
    Arrays.fill(all, (byte) 0);
    return keys;
  }
}
