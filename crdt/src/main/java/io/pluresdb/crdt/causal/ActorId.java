package io.pluresdb.crdt.causal;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.Hash;
import java.util.HexFormat;

/**
 * One writer incarnation of a device in a database: 16 bytes, ordered as unsigned bytes.
 *
 * <p>It is derived from the device's public key and a nonce, so the first change of an actor proves
 * which key signs for it, and a device that lost state goes on under a fresh one.
 */
public record ActorId(long high, long low) implements Comparable<ActorId> {
  public static final int BYTES = 16;

  /** The actor of {@code deviceKey} (32 bytes) with {@code nonce} (16 bytes) in a database. */
  public static ActorId derive(Hash database, byte[] deviceKey, byte[] nonce) {
    byte[] hash = Hash.of("pluresdb-actor-v1", database.bytes(), deviceKey, nonce).bytes();
    return read(new ByteReader(hash));
  }

  public static ActorId read(ByteReader in) {
    return new ActorId(in.i64(), in.i64());
  }

  public void write(ByteWriter out) {
    out.i64(high).i64(low);
  }

  public String hex() {
    var format = HexFormat.of();
    return format.toHexDigits(high) + format.toHexDigits(low);
  }

  @Override
  public int compareTo(ActorId other) {
    int order = Long.compareUnsigned(high, other.high);
    return order != 0 ? order : Long.compareUnsigned(low, other.low);
  }

  /** Eight hex digits, for logs. */
  @Override
  public String toString() {
    return HexFormat.of().toHexDigits(high).substring(0, 8);
  }
}
