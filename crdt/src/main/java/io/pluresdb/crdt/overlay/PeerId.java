package io.pluresdb.crdt.overlay;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import java.util.HexFormat;

/** A device as its neighbours name it: the 32 bytes of its Ed25519 key, ordered as unsigned. */
public record PeerId(long first, long second, long third, long fourth)
    implements Comparable<PeerId> {
  public static final int BYTES = 32;

  public static PeerId read(ByteReader in) {
    return new PeerId(in.i64(), in.i64(), in.i64(), in.i64());
  }

  /** The device with this public key of 32 bytes. */
  public static PeerId of(byte[] deviceKey) {
    var in = new ByteReader(deviceKey);
    PeerId peer = read(in);
    in.end();
    return peer;
  }

  public void write(ByteWriter out) {
    out.i64(first).i64(second).i64(third).i64(fourth);
  }

  public byte[] toByteArray() {
    var out = new ByteWriter(BYTES);
    write(out);
    return out.toByteArray();
  }

  @Override
  public int compareTo(PeerId other) {
    int order = Long.compareUnsigned(first, other.first);
    order = order != 0 ? order : Long.compareUnsigned(second, other.second);
    order = order != 0 ? order : Long.compareUnsigned(third, other.third);
    return order != 0 ? order : Long.compareUnsigned(fourth, other.fourth);
  }

  /** Eight hex digits, for logs. */
  @Override
  public String toString() {
    return HexFormat.of().toHexDigits(first).substring(0, 8);
  }
}
