package io.pluresdb.crdt.codec;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;

/** Appends to an array that grows. Not thread-safe; reusable through {@link #clear}. */
public final class ByteWriter {
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);

  private byte[] array;
  private int size;

  public ByteWriter(int capacity) {
    array = new byte[capacity];
  }

  public ByteWriter() {
    this(64);
  }

  public int size() {
    return size;
  }

  /** The backing array; valid up to {@link #size} and until the next write. */
  public byte[] array() {
    return array;
  }

  public ByteWriter clear() {
    size = 0;
    return this;
  }

  /** Forgets everything after the first {@code newSize} bytes. */
  public void truncate(int newSize) {
    size = newSize;
  }

  public ByteWriter u8(int value) {
    ensure(1);
    array[size++] = (byte) value;
    return this;
  }

  /** Eight bytes, big-endian. */
  public ByteWriter i64(long value) {
    ensure(8);
    LONG.set(array, size, value);
    size += 8;
    return this;
  }

  /** Unsigned LEB128 of a value of at least 0. */
  public ByteWriter varint(long value) {
    if (value < 0) {
      throw new IllegalArgumentException("varint must be 0 or more, but is " + value);
    }
    ensure(varintBytes(value));
    long rest = value;
    while (rest >= 0x80) {
      array[size++] = (byte) (rest | 0x80);
      rest >>>= 7;
    }
    array[size++] = (byte) rest;
    return this;
  }

  public ByteWriter bytes(byte[] source) {
    return bytes(source, 0, source.length);
  }

  /** Appends {@code [from, to)} of {@code source}. */
  public ByteWriter bytes(byte[] source, int from, int to) {
    int length = to - from;
    ensure(length);
    System.arraycopy(source, from, array, size, length);
    size += length;
    return this;
  }

  /** A varint length followed by the bytes. */
  public ByteWriter block(byte[] source) {
    return varint(source.length).bytes(source);
  }

  public byte[] toByteArray() {
    return Arrays.copyOf(array, size);
  }

  /** As {@link #toByteArray}, for the last time: the backing array itself where it is just full. */
  public byte[] take() {
    return size == array.length ? array : toByteArray();
  }

  /** Bytes that {@link #varint} takes. */
  public static int varintBytes(long value) {
    return Math.max(1, (Long.SIZE - Long.numberOfLeadingZeros(value) + 6) / 7);
  }

  /** Bytes that {@link #block} takes. */
  public static int blockBytes(byte[] source) {
    return varintBytes(source.length) + source.length;
  }

  private void ensure(int more) {
    if (array.length - size < more) {
      array = Arrays.copyOf(array, Math.max(array.length * 2, Math.addExact(size, more)));
    }
  }
}
