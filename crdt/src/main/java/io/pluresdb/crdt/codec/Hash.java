package io.pluresdb.crdt.codec;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import org.bouncycastle.crypto.digests.Blake2bDigest;

/**
 * A 32-byte digest, compared by content: BLAKE2b-256 (RFC 7693) for what is named, SHA-256 (FIPS
 * 180-4) for what is hashed for every change, where the JDK's intrinsic is eleven times as fast as
 * Bouncy Castle's BLAKE2b (0.18 against 1.98 microseconds for 300 bytes).
 */
public record Hash(byte[] bytes) {
  public static final int BYTES = 32;
  public static final Hash ZERO = new Hash(new byte[BYTES]);

  private static final ThreadLocal<MessageDigest> BULK =
      ThreadLocal.withInitial(Hash::newBulkDigest);

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

  /** SHA-256 of {@code [0, length)}; for bytes that are hashed for every document. */
  public static Hash bulk(byte[] bytes, int length) {
    MessageDigest digest = BULK.get();
    digest.update(bytes, 0, length);
    return new Hash(digest.digest());
  }

  /** A SHA-256 for callers that keep one. */
  public static MessageDigest newBulkDigest() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
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
