package io.pluresdb.crdt.codec;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import org.bouncycastle.crypto.digests.Blake2bDigest;

/** A BLAKE2b-256 digest (RFC 7693): 32 bytes, compared by content. */
public record Hash(byte[] bytes) {
  public static final int BYTES = 32;
  public static final Hash ZERO = new Hash(new byte[BYTES]);

  public Hash {
    if (bytes.length != BYTES) {
      throw new CodecException("hash must be 32 bytes, but is " + bytes.length);
    }
  }

  /** Hashes the domain label and then the parts, one after another. */
  public static Hash of(String domain, byte[]... parts) {
    var digest = new Blake2bDigest(256);
    byte[] label = domain.getBytes(StandardCharsets.UTF_8);
    digest.update(label, 0, label.length);
    digest.update((byte) 0);
    for (byte[] part : parts) {
      digest.update(part, 0, part.length);
    }
    byte[] out = new byte[BYTES];
    digest.doFinal(out, 0);
    return new Hash(out);
  }

  public String hex() {
    return HexFormat.of().formatHex(bytes);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Hash hash && Arrays.equals(bytes, hash.bytes);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(bytes);
  }

  /** Eight hex digits, for logs. */
  @Override
  public String toString() {
    return HexFormat.of().formatHex(bytes, 0, 4);
  }
}
