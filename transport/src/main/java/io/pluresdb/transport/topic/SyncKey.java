package io.pluresdb.transport.topic;

import io.pluresdb.transport.hash.Blake2b;
import io.pluresdb.transport.hash.Hkdf;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.random.RandomGenerator;
import org.bouncycastle.crypto.digests.Blake2bDigest;

/**
 * The 32-byte secret the devices of one private database share.
 *
 * <p>Everything public about the database is a one-way function of it, each under its own label:
 *
 * <pre>
 * database id = hex(BLAKE2b-256(key = sync key, "pluresdb database id 1"))
 * hint        = BLAKE2b-128(key = sync key, "pluresdb hint 1" || epoch u64)
 * psk         = HKDF-BLAKE2b-512(salt = "", sync key, "noise-psk" || epoch u64), 32 bytes
 * rendezvous  = BLAKE2b-256(key = sync key, "pluresdb rendezvous key 1" || epoch u64)
 * </pre>
 *
 * <p>Integers are big-endian. HKDF is RFC 5869; BLAKE2b because the rest of the protocol has it, so
 * no second hash function has to be trusted.
 */
public final class SyncKey {
  public static final int SYNC_KEY_BYTES = 32;
  public static final int PSK_BYTES = 32;

  private static final byte[] DATABASE_ID_LABEL = label("pluresdb database id 1");
  private static final byte[] HINT_LABEL = label("pluresdb hint 1");
  private static final byte[] PSK_LABEL = label("noise-psk");
  private static final byte[] RENDEZVOUS_LABEL = label("pluresdb rendezvous key 1");
  private static final int PSK_HASH_BITS = 512;

  private final byte[] secret;

  /** Wraps a copy of 32 secret bytes. */
  public SyncKey(byte[] secret) {
    if (secret.length != SYNC_KEY_BYTES) {
      throw new IllegalArgumentException("a sync key must have 32 bytes, but has " + secret.length);
    }
    this.secret = secret.clone();
  }

  /** Returns a new key as 64 lower-case hexadecimal characters. */
  public static String generateSyncKey(RandomGenerator random) {
    byte[] secret = new byte[SYNC_KEY_BYTES];
    random.nextBytes(secret);
    return HexFormat.of().formatHex(secret);
  }

  /**
   * Reads 64 hexadecimal characters of either case; surrounding white space is ignored.
   *
   * @throws IllegalArgumentException naming what is wrong, never the text itself
   */
  public static SyncKey parse(String text) {
    String hex = text.strip();
    if (hex.length() != 2 * SYNC_KEY_BYTES) {
      throw new IllegalArgumentException(
          "a sync key must have 64 hexadecimal characters, but has " + hex.length());
    }
    for (int i = 0; i < hex.length(); i++) {
      if (!HexFormat.isHexDigit(hex.charAt(i))) {
        throw new IllegalArgumentException(
            "a sync key must have hexadecimal characters only, but character "
                + (i + 1)
                + " is not one");
      }
    }
    return new SyncKey(HexFormat.of().parseHex(hex));
  }

  /** The database's public id: 64 hexadecimal characters that do not lead back to this key. */
  public String databaseId() {
    return HexFormat.of().formatHex(Blake2b.keyed(secret, Blake2b.HASH_BYTES, DATABASE_ID_LABEL));
  }

  /** The clear name of this database in {@code epoch}; see {@link Hint} for what it leaks. */
  public Hint hint(long epoch) {
    return new Hint(Blake2b.keyed(secret, Hint.HINT_BYTES, HINT_LABEL, epochBytes(epoch)));
  }

  /** The 32-byte pre-shared key of the Noise handshake in {@code epoch}. */
  public byte[] psk(long epoch) {
    byte[] context = new byte[PSK_LABEL.length + Long.BYTES];
    ByteBuffer.wrap(context).put(PSK_LABEL).put(epochBytes(epoch));
    return Hkdf.derive(new Blake2bDigest(PSK_HASH_BITS), new byte[0], secret, context, PSK_BYTES);
  }

  /** The 32 secret bytes that topics and peers are named with at relays in {@code epoch}. */
  public byte[] rendezvous(long epoch) {
    return Blake2b.keyed(secret, Blake2b.HASH_BYTES, RENDEZVOUS_LABEL, epochBytes(epoch));
  }

  /** The secret itself as 64 hexadecimal characters, for an invite or a key file; never log it. */
  public String revealHex() {
    return HexFormat.of().formatHex(secret);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof SyncKey key && MessageDigest.isEqual(secret, key.secret);
  }

  @Override
  public int hashCode() {
    return databaseId().hashCode();
  }

  /** Names the key by its database id; the secret is never part of it. */
  @Override
  public String toString() {
    return "SyncKey[database=" + databaseId().substring(0, 8) + "]";
  }

  private static byte[] label(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }

  private static byte[] epochBytes(long epoch) {
    if (epoch < 0) {
      throw new IllegalArgumentException("an epoch must not be negative, but is " + epoch);
    }
    return ByteBuffer.allocate(Long.BYTES).putLong(epoch).array();
  }
}
