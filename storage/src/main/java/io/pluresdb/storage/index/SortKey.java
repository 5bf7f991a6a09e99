package io.pluresdb.storage.index;

import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.value.CanonicalJson;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * JSON values as bytes that sort: null, false, true, numbers by size, strings by their UTF-8 bytes,
 * arrays and objects by their canonical JSON, and last where there is no value.
 *
 * <p>Each key ends where it says, so keys can follow each other. Of strings, arrays and objects the
 * first {@link #MAX_BYTES} bytes count: longer ones that begin alike sort as equal.
 *
 * <pre>
 * key := 10 | 20 | 21 | 30 number | 40 escaped 00 00 | 50 escaped 00 00 | f0         hexadecimal
 * number  := the bits of the nearest double, ordered, 8 bytes | what an integer exceeds it by + 2^15, 2 bytes
 * escaped := bytes with 00 written as 00 ff
 * </pre>
 */
final class SortKey {
  /** Bytes of a string, array or object that count. */
  static final int MAX_BYTES = 512;

  static final int NULL = 0x10;
  static final int FALSE = 0x20;
  static final int TRUE = 0x21;
  static final int NUMBER = 0x30;
  static final int STRING = 0x40;
  static final int OTHER = 0x50;
  static final int MISSING = 0xf0;

  private static final byte[] MISSING_KEY = {(byte) MISSING};

  private SortKey() {}

  static byte[] missing() {
    return MISSING_KEY;
  }

  /** The key of a canonical JSON value. */
  static byte[] of(byte[] json) {
    return of(json, 0, json.length);
  }

  /** The key of the canonical JSON value in {@code [from, to)}. */
  static byte[] of(byte[] json, int from, int to) {
    var out = new ByteWriter(Math.min(to - from, MAX_BYTES) + 16);
    switch (json[from]) {
      case 'n' -> out.u8(NULL);
      case 'f' -> out.u8(FALSE);
      case 't' -> out.u8(TRUE);
      case '"' -> string(json, from, to, out.u8(STRING));
      case '[', '{' -> escaped(json, from, to, out.u8(OTHER));
      default -> number(json, from, to, out.u8(NUMBER));
    }
    return out.toByteArray();
  }

  private static void string(byte[] json, int from, int to, ByteWriter out) {
    for (int i = from + 1; i < to - 1; i++) {
      if (json[i] == '\\') {
        byte[] text =
            CanonicalJson.text(Arrays.copyOfRange(json, from, to)).getBytes(StandardCharsets.UTF_8);
        escaped(text, 0, text.length, out);
        return;
      }
    }
    escaped(json, from + 1, to - 1, out);
  }

  private static void escaped(byte[] bytes, int from, int to, ByteWriter out) {
    int end = Math.min(to, from + MAX_BYTES);
    for (int i = from; i < end; i++) {
      out.u8(bytes[i]);
      if (bytes[i] == 0) {
        out.u8(0xff);
      }
    }
    out.u8(0).u8(0);
  }

  private static void number(byte[] json, int from, int to, ByteWriter out) {
    Long integer = integer(json, from, to);
    if (integer != null) {
      double nearest = (double) (long) integer;
      // 2^63 itself does not fit: what is left is negative then.
      long rest = nearest == 0x1p63 ? integer - Long.MAX_VALUE - 1 : integer - (long) nearest;
      ordered(nearest, out).u8((int) (rest + 0x8000) >> 8).u8((int) (rest + 0x8000));
      return;
    }
    String text = new String(json, from, to - from, StandardCharsets.US_ASCII);
    ordered(Double.parseDouble(text), out).u8(0x80).u8(0);
  }

  private static ByteWriter ordered(double value, ByteWriter out) {
    long bits = Double.doubleToLongBits(value);
    return out.i64(bits < 0 ? ~bits : bits ^ Long.MIN_VALUE);
  }

  private static @Nullable Long integer(byte[] json, int from, int to) {
    boolean negative = json[from] == '-';
    int first = negative ? from + 1 : from;
    for (int i = first; i < to; i++) {
      if (json[i] < '0' || json[i] > '9') {
        return null;
      }
    }
    if (to - first > 18) {
      return Long.parseLong(new String(json, from, to - from, StandardCharsets.US_ASCII));
    }
    long value = 0;
    for (int i = first; i < to; i++) {
      value = 10 * value + json[i] - '0';
    }
    return negative ? -value : value;
  }

  /** Where the key that starts at {@code from} ends. */
  static int end(byte[] key, int from) {
    return switch (key[from] & 0xff) {
      case NULL, FALSE, TRUE, MISSING -> from + 1;
      case NUMBER -> from + 11;
      default -> {
        int i = from + 1;
        while (key[i] != 0 || key[i + 1] != 0) {
          i += key[i] == 0 ? 2 : 1;
        }
        yield i + 2;
      }
    };
  }
}
