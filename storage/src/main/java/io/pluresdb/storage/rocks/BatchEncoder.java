package io.pluresdb.storage.rocks;

import java.util.Arrays;

/**
 * The bytes of a RocksDB write batch, built in Java.
 *
 * <p>A put through JNI costs two allocations, two copies and a crossing each; here a batch crosses
 * once, whole. The layout is that of RocksDB's {@code write_batch.cc}, which is also that of its
 * write-ahead log and so cannot change without breaking every database on disk; a test holds it
 * against the native batch byte for byte.
 *
 * <pre>
 * batch  := sequence(8, zero) count(4, little-endian) record*
 * record := 0x05 family key value    put
 *         | 0x04 family key          delete
 * family := varint32    key, value := varint32 length, bytes
 * </pre>
 *
 * Not thread-safe.
 */
final class BatchEncoder {
  private static final int HEADER_BYTES = 12;
  private static final int COUNT_OFFSET = 8;
  static final byte PUT = 5;
  static final byte DELETE = 4;
  private static final int MAX_VARINT_BYTES = 5;

  /** Room a small commit needs: one change, one document, its indexes. */
  private static final int INITIAL_BYTES = 4096;

  /** A larger buffer is not kept for the next batch. */
  private static final int MAX_KEPT_BYTES = 1 << 20;

  /** A batch is one native string and one log record; this is far above a change's limits. */
  static final int MAX_BATCH_BYTES = 1 << 28;

  private byte[] bytes = new byte[INITIAL_BYTES];
  private int length = HEADER_BYTES;
  private int count;

  void put(int family, byte[] key, byte[] value) {
    reserve(1L + 3L * MAX_VARINT_BYTES + key.length + value.length);
    bytes[length++] = PUT;
    varint(family);
    slice(key);
    slice(value);
    count++;
  }

  void delete(int family, byte[] key) {
    reserve(1L + 2L * MAX_VARINT_BYTES + key.length);
    bytes[length++] = DELETE;
    varint(family);
    slice(key);
    count++;
  }

  int count() {
    return count;
  }

  /** Returns a copy of the batch, exactly as long as it is: what the native side takes. */
  byte[] toByteArray() {
    for (int i = 0; i < Integer.BYTES; i++) {
      bytes[COUNT_OFFSET + i] = (byte) (count >>> (8 * i));
    }
    return Arrays.copyOf(bytes, length);
  }

  /** Empties the batch for reuse and gives back memory a large one took. */
  void clear() {
    length = HEADER_BYTES;
    count = 0;
    if (bytes.length > MAX_KEPT_BYTES) {
      bytes = new byte[INITIAL_BYTES];
    }
  }

  private void slice(byte[] part) {
    varint(part.length);
    System.arraycopy(part, 0, bytes, length, part.length);
    length += part.length;
  }

  private void varint(int number) {
    int rest = number;
    while ((rest & ~0x7f) != 0) {
      bytes[length++] = (byte) (rest | 0x80);
      rest >>>= 7;
    }
    bytes[length++] = (byte) rest;
  }

  private void reserve(long more) {
    long needed = length + more;
    if (needed > MAX_BATCH_BYTES) {
      throw new IllegalArgumentException(
          "a batch must be at most " + MAX_BATCH_BYTES + " bytes, but would be " + needed);
    }
    if (needed > bytes.length) {
      long doubled = Math.min(MAX_BATCH_BYTES, 2L * bytes.length);
      bytes = Arrays.copyOf(bytes, (int) Math.max(needed, doubled));
    }
  }
}
