package io.pluresdb.crdt.codec;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;

/** Reads a range of an array it does not own; every read is checked before memory is allocated. */
public final class ByteReader {
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);

  private final byte[] array;
  private final int limit;
  private int position;

  public ByteReader(byte[] array) {
    this(array, 0, array.length);
  }

  /** Reads {@code [from, to)} of {@code array}. */
  public ByteReader(byte[] array, int from, int to) {
    this.array = array;
    this.position = from;
    this.limit = to;
  }

  public int position() {
    return position;
  }

  public int remaining() {
    return limit - position;
  }

  public byte[] array() {
    return array;
  }

  public int u8() {
    require(1);
    return array[position++] & 0xff;
  }

  /** Eight bytes, big-endian. */
  public long i64() {
    require(8);
    long value = (long) LONG.get(array, position);
    position += 8;
    return value;
  }

  /** An unsigned LEB128 integer of at most 63 bits in its shortest form. */
  public long varint() {
    long value = 0;
    for (int shift = 0; shift < 63; shift += 7) {
      int b = u8();
      value |= (long) (b & 0x7f) << shift;
      if (b < 0x80) {
        if (b == 0 && shift > 0) {
          throw new CodecException("varint is not in its shortest form");
        }
        return value;
      }
    }
    throw new CodecException("varint is longer than 63 bits");
  }

  /**
   * A varint in {@code [0, max]}, for counts and lengths.
   *
   * @throws CodecException naming {@code what} when it is larger
   */
  public int count(String what, int max) {
    long value = varint();
    if (value > max) {
      throw new CodecException(what + " must be 0 to " + max + ", but is " + value);
    }
    return (int) value;
  }

  /** The next {@code length} bytes as a new array. */
  public byte[] bytes(int length) {
    require(length);
    byte[] copy = Arrays.copyOfRange(array, position, position + length);
    position += length;
    return copy;
  }

  /** A varint length of at most {@code max} followed by as many bytes. */
  public byte[] block(String what, int max) {
    return bytes(count(what, max));
  }

  public void skip(int length) {
    require(length);
    position += length;
  }

  /** Fails unless everything was read. */
  public void end() {
    if (position != limit) {
      throw new CodecException((limit - position) + " bytes follow the end");
    }
  }

  private void require(int bytes) {
    if (bytes < 0 || limit - position < bytes) {
      throw new CodecException(
          "truncated: " + bytes + " bytes wanted, " + (limit - position) + " left");
    }
  }
}
