package io.pluresdb.crdt.reconcile;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;

/** 16 bytes that stand for a range or for one document and its content. */
public record Digest(long high, long low) {
  public static final int BYTES = 16;

  public void write(ByteWriter out) {
    out.i64(high).i64(low);
  }

  public static Digest read(ByteReader in) {
    return new Digest(in.i64(), in.i64());
  }
}
