package io.pluresdb.crdt.reconcile;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.Hash;

/**
 * What the documents of a range add up to.
 *
 * @param count number of rows, documents that only others can still see included
 */
public record Summary(long count, Fingerprint sum) {
  public static final Summary EMPTY = new Summary(0, Fingerprint.ZERO);

  public Summary plus(Summary other) {
    return new Summary(count + other.count, sum.plus(other.sum));
  }

  public Summary plus(Fingerprint document) {
    return new Summary(count + 1, sum.plus(document));
  }

  public Summary minus(Summary other) {
    return new Summary(count - other.count, sum.minus(other.sum));
  }

  public Summary minus(Fingerprint document) {
    return new Summary(count - 1, sum.minus(document));
  }

  /**
   * The first 16 bytes of SHA-256 of {@code count u64 | sum 32}: a sum that was only cut short
   * would be a sum modulo less.
   */
  public Digest digest() {
    var out = new ByteWriter(8 + Fingerprint.BYTES).i64(count);
    sum.write(out);
    return Digest.read(new ByteReader(Hash.bulk(out.array(), out.size()).bytes()));
  }
}
