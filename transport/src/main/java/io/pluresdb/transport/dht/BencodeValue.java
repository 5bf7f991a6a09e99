package io.pluresdb.transport.dht;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A value of bencoding (BEP 3), read strictly and within limits.
 *
 * <p>Refused: numbers with leading zeros, minus zero or beyond 64 bits, lengths with leading zeros
 * or beyond the input, a key twice, anything after the value, more than {@link #MAX_DEPTH} levels
 * or {@link #MAX_VALUES} values. Keys out of order are accepted, because deployed nodes append keys
 * to finished messages.
 */
sealed interface BencodeValue {
  int MAX_DEPTH = 6;
  int MAX_VALUES = 512;

  record Whole(long value) implements BencodeValue {}

  /** A byte string; the array is the value's own. */
  record Text(byte[] bytes) implements BencodeValue {}

  record Items(List<BencodeValue> values) implements BencodeValue {}

  /** Keys are strings of one character a byte. */
  record Table(Map<String, BencodeValue> values) implements BencodeValue {
    byte @Nullable [] text(String key) {
      return values.get(key) instanceof Text text ? text.bytes() : null;
    }

    @Nullable Table table(String key) {
      return values.get(key) instanceof Table table ? table : null;
    }

    /** The number of that key, {@code otherwise} when there is none. */
    long whole(String key, long otherwise) {
      return values.get(key) instanceof Whole whole ? whole.value() : otherwise;
    }

    List<BencodeValue> items(String key) {
      return values.get(key) instanceof Items items ? items.values() : List.of();
    }
  }

  /** Reads {@code bytes[0, length)}, null when it is not one value within the limits. */
  static @Nullable BencodeValue decode(byte[] bytes, int length) {
    var reader = new Reader(bytes, length);
    BencodeValue value = reader.value(0);
    return reader.at == length ? value : null;
  }

  /** The state of reading one input; every method returns null for what is refused. */
  final class Reader {
    private static final int MAX_DIGITS = 19;

    private final byte[] bytes;
    private final int length;
    private int at;
    private int values;

    private Reader(byte[] bytes, int length) {
      this.bytes = bytes;
      this.length = length;
    }

    private @Nullable BencodeValue value(int depth) {
      if (at >= length || depth >= MAX_DEPTH || ++values > MAX_VALUES) {
        return null;
      }
      return switch (bytes[at]) {
        case 'i' -> whole();
        case 'l' -> items(depth);
        case 'd' -> table(depth);
        default -> text();
      };
    }

    private @Nullable Whole whole() {
      at++;
      boolean negative = at < length && bytes[at] == '-';
      if (negative) {
        at++;
      }
      Long number = digits('e');
      return number == null || (negative && number == 0)
          ? null
          : new Whole(negative ? -number : number);
    }

    /** Digits without needless zeros up to {@code end}, which is read too. */
    private @Nullable Long digits(char end) {
      int from = at;
      long number = 0;
      while (at < length && bytes[at] >= '0' && bytes[at] <= '9') {
        if (at - from >= MAX_DIGITS) {
          return null;
        }
        number = number * 10 + (bytes[at++] - '0');
      }
      boolean zeros = at - from > 1 && bytes[from] == '0';
      if (at == from || zeros || number < 0 || at >= length || bytes[at] != end) {
        return null;
      }
      at++;
      return number;
    }

    private @Nullable Text text() {
      Long size = digits(':');
      if (size == null || size > length - at) {
        return null;
      }
      int from = at;
      at += Math.toIntExact(size);
      return new Text(Arrays.copyOfRange(bytes, from, at));
    }

    private @Nullable Items items(int depth) {
      at++;
      var items = new ArrayList<BencodeValue>();
      while (at < length && bytes[at] != 'e') {
        BencodeValue item = value(depth + 1);
        if (item == null) {
          return null;
        }
        items.add(item);
      }
      return ended() ? new Items(items) : null;
    }

    private @Nullable Table table(int depth) {
      at++;
      var table = new LinkedHashMap<String, BencodeValue>();
      while (at < length && bytes[at] != 'e') {
        Text key = text();
        BencodeValue value = key == null ? null : value(depth + 1);
        if (key == null
            || value == null
            || table.put(new String(key.bytes(), StandardCharsets.ISO_8859_1), value) != null) {
          return null;
        }
      }
      return ended() ? new Table(table) : null;
    }

    private boolean ended() {
      return at++ < length;
    }
  }
}
