package io.pluresdb.crdt.reconcile;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.Hash;

/**
 * A sum modulo 2^256 of keyed hashes of documents; limbs of 64 bits, the least significant first.
 * Adding and taking away one document does not touch the others; a sum, unlike XOR, does not cancel
 * a document that is counted twice. A diagnostic, not an authentication.
 */
public record Fingerprint(long limb0, long limb1, long limb2, long limb3) {
  public static final int BYTES = 32;

  /** Of no documents. */
  public static final Fingerprint ZERO = new Fingerprint(0, 0, 0, 0);

  public Fingerprint plus(Fingerprint other) {
    long sum0 = limb0 + other.limb0;
    long carry0 = Long.compareUnsigned(sum0, limb0) < 0 ? 1 : 0;
    long sum1 = limb1 + other.limb1 + carry0;
    long carry1 = carry(limb1, other.limb1, sum1, carry0);
    long sum2 = limb2 + other.limb2 + carry1;
    long carry2 = carry(limb2, other.limb2, sum2, carry1);
    return new Fingerprint(sum0, sum1, sum2, limb3 + other.limb3 + carry2);
  }

  private static long carry(long one, long two, long sum, long carryIn) {
    int order = Long.compareUnsigned(sum, one);
    return order < 0 || (order == 0 && carryIn == 1 && two == -1) ? 1 : 0;
  }

  public Fingerprint minus(Fingerprint other) {
    // Two's complement: the sum with the negation.
    return plus(new Fingerprint(~other.limb0, ~other.limb1, ~other.limb2, ~other.limb3)).plus(ONE);
  }

  private static final Fingerprint ONE = new Fingerprint(1, 0, 0, 0);

  public void write(ByteWriter out) {
    out.i64(limb0).i64(limb1).i64(limb2).i64(limb3);
  }

  public static Fingerprint read(ByteReader in) {
    return new Fingerprint(in.i64(), in.i64(), in.i64(), in.i64());
  }

  /** The 32 bytes as they are written. */
  public Hash hash() {
    var out = new ByteWriter(BYTES);
    write(out);
    return new Hash(out.array());
  }
}
