package io.pluresdb.transport.session;

import io.pluresdb.transport.identity.DeviceIdentity;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * What the payload of handshake messages 2 and 3 says: which device holds the Noise static key.
 *
 * <pre>
 *  0             32          40            104      106
 * +-------------+-----------+-------------+--------+--------------+
 * | device key  | expiry    | signature   | n u16  | attachment   |
 * | 32 B        | u64 ms    | 64 B        | 0..1024| n B          |
 * +-------------+-----------+-------------+--------+--------------+
 * signature = Ed25519("pluresdb noise credential 1" || Noise static key 32 B
 *                     || database id hash 32 B || expiry u64)
 * </pre>
 *
 * <p>The attachment needs no signature: Noise authenticates it with the static key.
 */
record Credential(byte[] publicKey, long expiryMillis, byte[] signature, byte[] attachment) {
  static final int MAX_ATTACHMENT_BYTES = 1024;
  static final int FIXED_BYTES = 32 + 8 + 64 + 2;
  static final int MAX_BYTES = FIXED_BYTES + MAX_ATTACHMENT_BYTES;

  private static final byte[] LABEL =
      "pluresdb noise credential 1".getBytes(StandardCharsets.US_ASCII);

  static Credential issue(
      DeviceIdentity identity,
      byte[] noiseStatic,
      byte[] databaseIdHash,
      long expiryMillis,
      byte[] attachment) {
    if (attachment.length > MAX_ATTACHMENT_BYTES) {
      throw new IllegalArgumentException(
          "a session attachment must have 0 to 1024 bytes, but has " + attachment.length);
    }
    return new Credential(
        identity.publicKey(),
        expiryMillis,
        identity.sign(signed(noiseStatic, databaseIdHash, expiryMillis)),
        attachment);
  }

  byte[] encode() {
    return ByteBuffer.allocate(FIXED_BYTES + attachment.length)
        .put(publicKey)
        .putLong(expiryMillis)
        .put(signature)
        .putShort((short) attachment.length)
        .put(attachment)
        .array();
  }

  /** Reads what {@link #encode} wrote; null when the lengths are wrong. */
  static @Nullable Credential decode(byte[] bytes) {
    if (bytes.length < FIXED_BYTES || bytes.length > MAX_BYTES) {
      return null;
    }
    ByteBuffer in = ByteBuffer.wrap(bytes);
    byte[] publicKey = new byte[DeviceIdentity.PUBLIC_KEY_BYTES];
    in.get(publicKey);
    long expiryMillis = in.getLong();
    byte[] signature = new byte[DeviceIdentity.SIGNATURE_BYTES];
    in.get(signature);
    int attachmentBytes = in.getShort() & 0xffff;
    if (attachmentBytes != in.remaining()) {
      return null;
    }
    byte[] attachment = new byte[attachmentBytes];
    in.get(attachment);
    return new Credential(publicKey, expiryMillis, signature, attachment);
  }

  /** Whether the device key signed exactly this Noise key, database and expiry. */
  boolean signs(byte[] noiseStatic, byte[] databaseIdHash) {
    return DeviceIdentity.verify(
        publicKey, signed(noiseStatic, databaseIdHash, expiryMillis), signature);
  }

  private static byte[] signed(byte[] noiseStatic, byte[] databaseIdHash, long expiryMillis) {
    return ByteBuffer.allocate(
            LABEL.length + noiseStatic.length + databaseIdHash.length + Long.BYTES)
        .put(LABEL)
        .put(noiseStatic)
        .put(databaseIdHash)
        .putLong(expiryMillis)
        .array();
  }
}
