package io.pluresdb.crdt.reconcile;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.Hash;
import java.security.DigestException;
import java.security.MessageDigest;

/**
 * The keyed hash of one document row: SHA-256 of {@code key 32 | idLength u16 | id | row}. Not
 * thread-safe.
 */
public final class DocumentHasher {
  /** Longer input is not copied into one piece, which shorter ones are hashed faster in. */
  private static final int MAX_COPIED_BYTES = 4 << 10;

  private static final int KEY_BYTES = 32;

  private final MessageDigest digest = Hash.newBulkDigest();

  /** The key, then place for more. */
  private final byte[] input = new byte[MAX_COPIED_BYTES];

  private final byte[] out = new byte[Fingerprint.BYTES];

  /** A hasher of the documents of a database. */
  public DocumentHasher(Hash database) {
    byte[] key = Hash.of("pluresdb-fingerprint-v1", database.bytes()).bytes();
    System.arraycopy(key, 0, input, 0, KEY_BYTES);
  }

  public Fingerprint of(byte[] id, byte[] row) {
    int at = KEY_BYTES;
    input[at++] = (byte) (id.length >>> 8);
    input[at++] = (byte) id.length;
    if (id.length + row.length <= input.length - at) {
      System.arraycopy(id, 0, input, at, id.length);
      System.arraycopy(row, 0, input, at + id.length, row.length);
      digest.update(input, 0, at + id.length + row.length);
    } else {
      digest.update(input, 0, at);
      digest.update(id, 0, id.length);
      digest.update(row, 0, row.length);
    }
    try {
      digest.digest(out, 0, out.length);
    } catch (DigestException e) {
      throw new IllegalStateException("32 bytes hold a SHA-256", e);
    }
    return Fingerprint.read(new ByteReader(out));
  }
}
