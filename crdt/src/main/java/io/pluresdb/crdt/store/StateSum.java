package io.pluresdb.crdt.store;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.Hash;
import java.security.DigestException;
import java.security.MessageDigest;

/**
 * The fingerprint of all document and sequence rows: the sum modulo 2^256 of a SHA-256 of each
 * {@code (key 32, idLength u16, id, row)}; for a row of a sequence, another key and the row's key
 * in place of the id. Adding and taking away one document does not touch the others; a sum, unlike
 * XOR, does not cancel a row that is counted twice. A diagnostic, not an authentication.
 */
final class StateSum {
  static final int BYTES = 32;

  private final MessageDigest digest = Hash.newBulkDigest();
  private final byte[] key;
  private final byte[] sequenceKey;
  private final byte[] out = new byte[BYTES];
  private final long[] limbs = new long[4];

  StateSum(Hash database) {
    key = Hash.of("pluresdb-fingerprint-v1", database.bytes()).bytes();
    sequenceKey = Hash.of("pluresdb-sequence-fingerprint-v1", database.bytes()).bytes();
  }

  void set(ByteReader in) {
    for (int i = 0; i < 4; i++) {
      limbs[i] = in.i64();
    }
  }

  void set(StateSum other) {
    System.arraycopy(other.limbs, 0, limbs, 0, 4);
  }

  void write(ByteWriter to) {
    for (long limb : limbs) {
      to.i64(limb);
    }
  }

  Hash hash() {
    var bytes = new ByteWriter(BYTES);
    write(bytes);
    return new Hash(bytes.toByteArray());
  }

  void add(byte[] id, byte[] row) {
    add(key, id, row);
  }

  void addSequence(byte[] rowKey, byte[] row) {
    add(sequenceKey, rowKey, row);
  }

  void subtract(byte[] id, byte[] row) {
    subtract(key, id, row);
  }

  void subtractSequence(byte[] rowKey, byte[] row) {
    subtract(sequenceKey, rowKey, row);
  }

  private void add(byte[] kind, byte[] id, byte[] row) {
    fingerprint(kind, id, row);
    var in = new ByteReader(out);
    long carry = 0;
    for (int i = 0; i < 4; i++) {
      long term = in.i64();
      long sum = limbs[i] + term;
      long carried = sum + carry;
      carry = (Long.compareUnsigned(sum, term) < 0 || (carry == 1 && carried == 0)) ? 1 : 0;
      limbs[i] = carried;
    }
  }

  private void subtract(byte[] kind, byte[] id, byte[] row) {
    fingerprint(kind, id, row);
    var in = new ByteReader(out);
    long borrow = 0;
    for (int i = 0; i < 4; i++) {
      long term = in.i64();
      long difference = limbs[i] - term;
      boolean under = Long.compareUnsigned(limbs[i], term) < 0 || (borrow == 1 && difference == 0);
      limbs[i] = difference - borrow;
      borrow = under ? 1 : 0;
    }
  }

  private void fingerprint(byte[] kind, byte[] id, byte[] row) {
    digest.update(kind);
    digest.update((byte) (id.length >>> 8));
    digest.update((byte) id.length);
    digest.update(id, 0, id.length);
    digest.update(row, 0, row.length);
    try {
      digest.digest(out, 0, BYTES);
    } catch (DigestException e) {
      throw new IllegalStateException("32 bytes hold a SHA-256", e);
    }
  }
}
