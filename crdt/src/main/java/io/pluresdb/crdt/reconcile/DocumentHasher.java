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
  private final MessageDigest digest = Hash.newBulkDigest();
  private final byte[] key;
  private final byte[] out = new byte[Fingerprint.BYTES];

  /** A hasher of the documents of a database. */
  public DocumentHasher(Hash database) {
    key = Hash.of("pluresdb-fingerprint-v1", database.bytes()).bytes();
  }

  public Fingerprint of(byte[] id, byte[] row) {
    digest.update(key);
    digest.update((byte) (id.length >>> 8));
    digest.update((byte) id.length);
    digest.update(id, 0, id.length);
    digest.update(row, 0, row.length);
    try {
      digest.digest(out, 0, out.length);
    } catch (DigestException e) {
      throw new IllegalStateException("32 bytes hold a SHA-256", e);
    }
    return Fingerprint.read(new ByteReader(out));
  }
}
