package io.pluresdb.transport.hash;

import org.bouncycastle.crypto.ExtendedDigest;
import org.bouncycastle.crypto.macs.HMac;
import org.bouncycastle.crypto.params.KeyParameter;

/** HKDF (RFC 5869) over HMAC of any hash function. */
public final class Hkdf {
  private static final int MAX_BLOCKS = 255;

  private Hkdf() {}

  /**
   * Returns {@code outBytes} bytes of extract-then-expand.
   *
   * @param digest a fresh digest of the hash function; left reset
   * @param salt any length; empty stands for zeros, as in the RFC
   * @param outBytes 1 to 255 times the hash size
   */
  public static byte[] derive(
      ExtendedDigest digest, byte[] salt, byte[] inputKey, byte[] context, int outBytes) {
    int hashBytes = digest.getDigestSize();
    if (outBytes < 1 || outBytes > MAX_BLOCKS * hashBytes) {
      throw new IllegalArgumentException(
          "HKDF yields 1 to "
              + MAX_BLOCKS * hashBytes
              + " bytes, but "
              + outBytes
              + " were asked for");
    }
    HMac hmac = new HMac(digest);
    byte[] block = new byte[hashBytes];
    // An HMAC key is padded with zeros, so an empty salt already means the RFC's string of zeros.
    hmac.init(new KeyParameter(salt));
    hmac.update(inputKey, 0, inputKey.length);
    hmac.doFinal(block, 0);

    hmac.init(new KeyParameter(block));
    byte[] out = new byte[outBytes];
    int previous = 0;
    for (int done = 0, counter = 1; done < outBytes; done += hashBytes, counter++) {
      hmac.update(block, 0, previous);
      hmac.update(context, 0, context.length);
      hmac.update((byte) counter);
      hmac.doFinal(block, 0);
      previous = hashBytes;
      System.arraycopy(block, 0, out, done, Math.min(hashBytes, outBytes - done));
    }
    return out;
  }
}
