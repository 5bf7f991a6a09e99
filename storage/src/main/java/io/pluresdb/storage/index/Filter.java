package io.pluresdb.storage.index;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.value.CanonicalJson;
import io.pluresdb.crdt.value.Leaf;
import io.pluresdb.crdt.value.Path;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What documents must hold: tests of fields, all of which must be met.
 *
 * <p>As JSON it is an object from dotted field names to a value, which the field must equal, or to
 * operators: {@code {"type":"film","year":{"gte":1990,"lt":2000},"genres":{"contains":"Drama"}}}.
 * Ranges are met by values of the operand's own kind only.
 */
public record Filter(List<Test> tests) {
  /** Met by every document. */
  public static final Filter ALL = new Filter(List.of());

  /** Most tests of a filter. */
  public static final int MAX_TESTS = 32;

  /** Most values of {@code in}. */
  public static final int MAX_VALUES = 1_000;

  /** How a field is compared. */
  public enum Operator {
    /** Equal to the operand. */
    EQ,
    /** Anything else, also no value. */
    NE,
    LT,
    LTE,
    GT,
    GTE,
    /** Equal to an element of the operand, an array. */
    IN,
    /** An array with an element equal to the operand. */
    CONTAINS,
    /** A string that begins with the operand. */
    PREFIX,
    /** Has a value, or has none when the operand is false. */
    EXISTS;

    private static Operator parse(String field, String name) {
      for (Operator operator : values()) {
        if (operator.text().equals(name)) {
          return operator;
        }
      }
      throw CoreException.invalid(
          "filter on \""
              + field
              + "\" must be a value or use eq, ne, lt, lte, gt, gte, in, contains, prefix or exists,"
              + " but has \""
              + name
              + "\"");
    }

    String text() {
      return name().toLowerCase(java.util.Locale.ROOT);
    }
  }

  /**
   * A test of one field.
   *
   * @param path as {@link Path} encodes it
   * @param operand canonical JSON
   */
  public record Test(byte[] path, Operator operator, byte[] operand, List<byte[]> elements) {
    static Test of(String field, Operator operator, byte[] operand) {
      if (field.isEmpty()) {
        throw CoreException.invalid("a filter names a field, but has the empty name");
      }
      byte kind = operand[0];
      boolean fits =
          switch (operator) {
            case EQ, NE -> true;
            case LT, LTE, GT, GTE -> kind == '"' || kind == '-' || (kind >= '0' && kind <= '9');
            case IN -> kind == '[';
            case CONTAINS -> kind != '[' && kind != '{';
            case PREFIX -> kind == '"';
            case EXISTS -> kind == 't' || kind == 'f';
          };
      if (!fits) {
        throw CoreException.invalid(
            "operand of "
                + operator.text()
                + " on \""
                + field
                + "\" must be "
                + switch (operator) {
                  case LT, LTE, GT, GTE -> "a number or a string";
                  case IN -> "an array";
                  case PREFIX -> "a string";
                  case EXISTS -> "true or false";
                  case EQ, NE, CONTAINS -> "a number, a string, true, false or null";
                }
                + ", but is "
                + new String(operand, StandardCharsets.UTF_8));
      }
      List<byte[]> elements = operator == Operator.IN ? CanonicalJson.elements(operand) : List.of();
      if (elements.size() > MAX_VALUES) {
        throw CoreException.invalid(
            "in must have at most " + MAX_VALUES + " values, but has " + elements.size());
      }
      return new Test(Path.parse(field), operator, operand, elements);
    }

    /** The operand as bytes that sort. */
    byte[] key() {
      return SortKey.of(operand);
    }

    /** Whether the canonical value in {@code [from, to)} meets it; no value when from is -1. */
    boolean isMetBy(byte[] json, int from, int to) {
      return switch (operator) {
        case EQ -> from >= 0 && same(operand, json, from, to);
        case NE -> from < 0 || !same(operand, json, from, to);
        case EXISTS -> from >= 0 == (operand[0] == 't');
        case IN -> from >= 0 && elements.stream().anyMatch(e -> same(e, json, from, to));
        case LT -> from >= 0 && compare(json, from, to) < 0;
        case LTE -> from >= 0 && compare(json, from, to) <= 0;
        // An incomparable kind is neither smaller nor greater.
        case GT -> from >= 0 && isComparable(json[from]) && compare(json, from, to) > 0;
        case GTE -> from >= 0 && isComparable(json[from]) && compare(json, from, to) >= 0;
        case PREFIX -> from >= 0 && json[from] == '"' && begins(json, from, to);
        case CONTAINS ->
            from >= 0
                && json[from] == '['
                && CanonicalJson.elements(Arrays.copyOfRange(json, from, to)).stream()
                    .anyMatch(e -> Arrays.equals(e, operand));
      };
    }

    private boolean isComparable(byte kind) {
      return (operand[0] == '"') == (kind == '"') && (kind == '"' || isNumber(kind));
    }

    private static boolean isNumber(byte kind) {
      return kind == '-' || (kind >= '0' && kind <= '9');
    }

    /** Of comparable kinds; of others 1. */
    private int compare(byte[] json, int from, int to) {
      if (!isComparable(json[from])) {
        return 1;
      }
      if (json[from] == '"') {
        byte[] value = text(json, from, to);
        byte[] limit = text(operand, 0, operand.length);
        return Arrays.compareUnsigned(value, limit);
      }
      return Arrays.compareUnsigned(SortKey.of(json, from, to), key());
    }

    private boolean begins(byte[] json, int from, int to) {
      byte[] value = text(json, from, to);
      byte[] start = text(operand, 0, operand.length);
      return value.length >= start.length
          && Arrays.equals(value, 0, start.length, start, 0, start.length);
    }

    private static byte[] text(byte[] json, int from, int to) {
      return CanonicalJson.text(Arrays.copyOfRange(json, from, to))
          .getBytes(StandardCharsets.UTF_8);
    }

    private static boolean same(byte[] value, byte[] json, int from, int to) {
      return Arrays.equals(value, 0, value.length, json, from, to);
    }
  }

  public Filter {
    if (tests.size() > MAX_TESTS) {
      throw CoreException.invalid(
          "a filter must have at most " + MAX_TESTS + " tests, but has " + tests.size());
    }
    tests = List.copyOf(tests);
  }

  /**
   * Reads a filter.
   *
   * @throws CoreException saying what is wrong
   */
  public static Filter parse(byte[] json) {
    byte[] canonical = CanonicalJson.canonical(json);
    if (canonical[0] != '{') {
      throw CoreException.invalid("a filter must be a JSON object from fields to values");
    }
    var tests = new ArrayList<Test>();
    for (Leaf leaf : CanonicalJson.leaves(canonical)) {
      List<String> keys = Path.keys(leaf.path());
      if (keys.isEmpty()) {
        return ALL;
      }
      String field = keys.getFirst();
      if (keys.size() > 2) {
        throw CoreException.invalid(
            "filter on \"" + field + "\" is nested too deep: write fields with dots, a.b");
      }
      Operator operator = keys.size() == 1 ? Operator.EQ : Operator.parse(field, keys.get(1));
      tests.add(Test.of(field, operator, leaf.value()));
    }
    return new Filter(tests);
  }

  /** Whether a document with that canonical JSON meets it. */
  public boolean accepts(byte[] json) {
    if (tests.isEmpty()) {
      return true;
    }
    var values = new FieldValues(tests.stream().map(Test::path).toList());
    values.take(json);
    return isMetBy(values);
  }

  /** Whether values meet the tests, of which each is in the place of its test. */
  boolean isMetBy(FieldValues values) {
    for (int i = 0; i < tests.size(); i++) {
      if (!tests.get(i).isMetBy(values.array(i), values.from(i), values.to(i))) {
        return false;
      }
    }
    return true;
  }

  /** This filter and one more test, that a field equals a string; the same when it is null. */
  public Filter andEquals(String field, @Nullable String value) {
    if (value == null) {
      return this;
    }
    var out = new io.pluresdb.crdt.codec.ByteWriter();
    CanonicalJson.string(out, value);
    var more = new ArrayList<>(tests);
    more.add(Test.of(field, Operator.EQ, out.toByteArray()));
    return new Filter(more);
  }
}
