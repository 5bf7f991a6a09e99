package io.pluresdb.crdt.store;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import java.util.Arrays;
import java.util.zip.CRC32;

/**
 * Which documents some changes touch, two bytes each: a set of ids that may claim to hold one it
 * does not, one in 65,536 for each document in it, and never the reverse.
 *
 * <p>It costs at most two thirds of the changes it is about, because an edit takes three bytes or
 * more, and usually about one percent.
 *
 * <pre>
 * touched := count varint | u16 *      ascending; the lower half of the CRC-32 of an id's UTF-8
 * </pre>
 */
final class TouchedIds {
  private static final int MAX_DISTINCT = 1 << 16;

  private char[] prints = new char[16];
  private int count;
  private boolean distinct = true;

  /**
   * An id to look for.
   *
   * @param print two bytes that stand for it
   */
  record Wanted(char print) {
    static Wanted of(byte[] id) {
      return new Wanted(printOf(id));
    }
  }

  private static char printOf(byte[] id) {
    var crc = new CRC32();
    crc.update(id);
    return (char) crc.getValue();
  }

  void add(byte[] id) {
    if (count == prints.length) {
      prints = Arrays.copyOf(prints, 2 * count);
    }
    prints[count++] = printOf(id);
    distinct = false;
  }

  void clear() {
    count = 0;
  }

  /** Bytes {@link #write} takes, within two. */
  int encodedBytes() {
    makeDistinct();
    return 1 + 2 * count;
  }

  void write(ByteWriter out) {
    makeDistinct();
    out.varint(count);
    for (int i = 0; i < count; i++) {
      out.u8(prints[i] >>> 8).u8(prints[i]);
    }
  }

  private void makeDistinct() {
    if (distinct) {
      return;
    }
    Arrays.sort(prints, 0, count);
    int kept = 0;
    for (int i = 0; i < count; i++) {
      if (i == 0 || prints[i] != prints[i - 1]) {
        prints[kept++] = prints[i];
      }
    }
    count = kept;
    distinct = true;
  }

  /** Reads over a set and checks its form. */
  static void skip(ByteReader in) {
    int size = in.count("touched documents", MAX_DISTINCT);
    int last = -1;
    for (int i = 0; i < size; i++) {
      int print = in.u8() << 8 | in.u8();
      if (print <= last) {
        throw new CodecException("touched documents must ascend");
      }
      last = print;
    }
  }

  /** Whether the set that comes next may hold {@code wanted}. */
  static boolean mayContain(ByteReader in, Wanted wanted) {
    int size = in.count("touched documents", MAX_DISTINCT);
    int start = in.position();
    in.skip(2 * size);
    byte[] row = in.array();
    int low = 0;
    int high = size - 1;
    while (low <= high) {
      int middle = (low + high) >>> 1;
      int at = start + 2 * middle;
      int print = (row[at] & 0xff) << 8 | (row[at + 1] & 0xff);
      if (print == wanted.print()) {
        return true;
      }
      if (print < wanted.print()) {
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    return false;
  }
}
