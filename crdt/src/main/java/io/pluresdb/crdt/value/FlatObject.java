package io.pluresdb.crdt.value;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The leaves of the documents that most are: one object without objects or arrays in it, strings
 * without escapes, integers. What is in any way different is left to the whole parser, errors too.
 */
final class FlatObject {
  /** More digits may not fit 64 bits. */
  private static final int MAX_DIGITS = 18;

  private static final byte[] TRUE = {'t', 'r', 'u', 'e'};
  private static final byte[] FALSE = {'f', 'a', 'l', 's', 'e'};
  private static final byte[] NULL = {'n', 'u', 'l', 'l'};

  private final byte[] json;
  private final int to;
  private int at;

  private FlatObject(byte[] json, int from, int to) {
    this.json = json;
    this.at = from;
    this.to = to;
  }

  /**
   * What {@link CanonicalJson#leaves(byte[], int, int)} gives, or null when that has to look.
   *
   * @param json of which {@code [from, to)} is valid UTF-8
   */
  static @Nullable List<Leaf> leaves(byte[] json, int from, int to) {
    return new FlatObject(json, from, to).leaves();
  }

  private @Nullable List<Leaf> leaves() {
    if (!next('{')) {
      return null;
    }
    var leaves = new ArrayList<Leaf>();
    boolean ascending = true;
    do {
      byte[] path = path();
      byte[] value = path != null && next(':') ? value() : null;
      if (path == null || value == null) {
        return null;
      }
      var leaf = new Leaf(path, value);
      ascending = ascending && (leaves.isEmpty() || leaves.getLast().compareTo(leaf) < 0);
      leaves.add(leaf);
    } while (next(','));
    if (!next('}') || !isEnd()) {
      return null;
    }
    return ascending || sort(leaves) ? leaves : null;
  }

  /** Puts leaves in order; false when two have one path. */
  private static boolean sort(List<Leaf> leaves) {
    leaves.sort(Comparator.naturalOrder());
    for (int i = 1; i < leaves.size(); i++) {
      if (leaves.get(i - 1).compareTo(leaves.get(i)) == 0) {
        return false;
      }
    }
    return true;
  }

  private void skipSpace() {
    while (at < to
        && (json[at] == ' ' || json[at] == '\n' || json[at] == '\r' || json[at] == '\t')) {
      at++;
    }
  }

  private boolean isEnd() {
    skipSpace();
    return at == to;
  }

  /** Reads over a byte if it comes next. */
  private boolean next(char wanted) {
    skipSpace();
    if (at < to && json[at] == wanted) {
      at++;
      return true;
    }
    return false;
  }

  /** Reads over a string without escapes; the index of its closing quote, or -1. */
  private int stringEnd() {
    if (!next('"')) {
      return -1;
    }
    for (int i = at; i < to; i++) {
      byte b = json[i];
      if (b == '"') {
        at = i + 1;
        return i;
      }
      // Bytes below 0 belong to longer characters.
      if (b == '\\' || (b >= 0 && b < 0x20)) {
        return -1;
      }
    }
    return -1;
  }

  private byte @Nullable [] path() {
    skipSpace();
    int begin = at + 1;
    int end = stringEnd();
    if (end < 0 || end - begin >= Path.MAX_BYTES) {
      return null;
    }
    // A string without control characters has nothing that a path escapes.
    byte[] path = new byte[end - begin + 1];
    System.arraycopy(json, begin, path, 0, end - begin);
    path[end - begin] = Path.END;
    return path;
  }

  private byte @Nullable [] value() {
    skipSpace();
    if (at == to) {
      return null;
    }
    int begin = at;
    return switch (json[at]) {
      case '"' -> stringEnd() < 0 ? null : Arrays.copyOfRange(json, begin, at);
      case 't' -> literal(TRUE);
      case 'f' -> literal(FALSE);
      case 'n' -> literal(NULL);
      case '-', '1', '2', '3', '4', '5', '6', '7', '8', '9' -> integer();
      default -> null;
    };
  }

  private byte @Nullable [] literal(byte[] literal) {
    int end = at + literal.length;
    if (end > to || !Arrays.equals(json, at, end, literal, 0, literal.length)) {
      return null;
    }
    at = end;
    return literal;
  }

  /** An integer but 0; a fraction or exponent behind it is not read, so that no comma follows. */
  private byte @Nullable [] integer() {
    int begin = at;
    int first = json[at] == '-' ? at + 1 : at;
    int end = first;
    while (end < to && json[end] >= '0' && json[end] <= '9') {
      end++;
    }
    if (end == first || json[first] == '0' || end - first > MAX_DIGITS) {
      return null;
    }
    at = end;
    return Arrays.copyOfRange(json, begin, end);
  }
}
