package io.pluresdb.crdt.value;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.codec.ByteWriter;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/**
 * JSON (RFC 8259) with exactly one encoding for every value.
 *
 * <p>Canonical: UTF-8, no white space, object keys ascending by their UTF-8 bytes, strings escaped
 * only where JSON demands it (two-character escapes where they exist, otherwise lower-case
 * backslash-u). A number written without fraction and exponent is an integer from -2^63 to 2^63-1
 * and stays exact; any other number is an IEEE double. A double that is integral and below 2^63 in
 * magnitude is written as that integer, so {@code 1.0} and {@code 1e0} are {@code 1}, and {@code
 * -0} and {@code -0.0} are {@code 0}; other doubles are written in the shortest digits that read
 * back the same ({@link Double#toString(double)} with a lower-case {@code e} and without an empty
 * fraction).
 *
 * <p>Refused: invalid UTF-8, lone surrogates, duplicate keys, anything after the value, nesting
 * beyond {@link Path#MAX_DEPTH}, numbers that are not finite, integers beyond 64 bits.
 */
public final class CanonicalJson {
  /** Largest document, in bytes of the JSON handed in. */
  public static final int MAX_BYTES = 1 << 20;

  static final byte[] EMPTY_OBJECT = {'{', '}'};

  private static final double TWO_TO_63 = 0x1p63;

  private static final JsonFactory FACTORY =
      new JsonFactoryBuilder()
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(Path.MAX_DEPTH)
                  .maxStringLength(MAX_BYTES)
                  .maxNameLength(MAX_BYTES)
                  .build())
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .build();

  private CanonicalJson() {}

  /**
   * Splits a document into its leaves, in ascending order of paths.
   *
   * @param json any JSON value in UTF-8, at most {@link #MAX_BYTES}
   * @throws CoreException saying what is wrong and where
   */
  public static List<Leaf> leaves(byte[] json) {
    return leaves(json, 0, json.length);
  }

  /** As {@link #leaves(byte[])}, for {@code [from, to)} of an array. */
  public static List<Leaf> leaves(byte[] json, int from, int to) {
    checkForm(json, from, to);
    List<Leaf> flat = FlatObject.leaves(json, from, to);
    return flat != null ? flat : parse(json, from, to, Splitter::new).leaves();
  }

  /** The canonical encoding of any JSON value; errors as {@link #leaves(byte[])}. */
  public static byte[] canonical(byte[] json) {
    checkForm(json, 0, json.length);
    return parse(json, 0, json.length, Copier::new).bytes();
  }

  private interface Target {
    void read(JsonParser parser) throws IOException;
  }

  private static void checkForm(byte[] json, int from, int to) {
    if (to - from > MAX_BYTES) {
      throw CoreException.tooLarge(
          "document must be at most " + MAX_BYTES + " bytes of JSON, but is " + (to - from));
    }
    if (!Utf8.isValid(json, from, to)) {
      throw serialization("JSON is not valid UTF-8");
    }
    // The parser would look here for UTF-16, UTF-32 and a byte order mark.
    for (int i = from; i < Math.min(to, from + 4); i++) {
      if (json[i] == 0 || json[from] == (byte) 0xef) {
        throw serialization("JSON must be UTF-8 without a byte order mark");
      }
    }
  }

  private static <T extends Target> T parse(
      byte[] json, int from, int to, java.util.function.Supplier<T> newTarget) {
    T target = newTarget.get();
    try (JsonParser parser = FACTORY.createParser(json, from, to - from)) {
      if (parser.nextToken() == null) {
        throw serialization("JSON is empty");
      }
      target.read(parser);
      if (parser.nextToken() != null) {
        throw serialization(
            "JSON ends before "
                + parser.currentTokenLocation().getByteOffset()
                + ": something follows the value");
      }
    } catch (com.fasterxml.jackson.core.JacksonException e) {
      throw new CoreException(
          CoreException.Kind.SERIALIZATION,
          "JSON is malformed at byte "
              + Math.max(0, e.getLocation() == null ? 0 : e.getLocation().getByteOffset())
              + ": "
              + e.getOriginalMessage(),
          e);
    } catch (IOException e) {
      throw new CoreException(CoreException.Kind.SERIALIZATION, "JSON is malformed", e);
    }
    return target;
  }

  private static CoreException serialization(String message) {
    return new CoreException(CoreException.Kind.SERIALIZATION, message);
  }

  private static final class Copier implements Target {
    private final ByteWriter out = new ByteWriter(256);

    @Override
    public void read(JsonParser parser) throws IOException {
      copy(parser, out);
    }

    byte[] bytes() {
      return out.toByteArray();
    }
  }

  private static final class Splitter implements Target {
    private final ByteWriter path = new ByteWriter(64);
    private final ByteWriter value = new ByteWriter(256);
    private final List<Leaf> leaves = new ArrayList<>();
    private boolean sorted = true;

    @Override
    public void read(JsonParser parser) throws IOException {
      if (parser.currentToken() != JsonToken.START_OBJECT) {
        copy(parser, value.clear());
        add(value.toByteArray());
        return;
      }
      int length = path.size();
      boolean empty = true;
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        empty = false;
        Path.append(path, checked(parser.currentName()));
        parser.nextToken();
        read(parser);
        path.truncate(length);
      }
      if (empty) {
        add(EMPTY_OBJECT);
      }
    }

    private void add(byte[] leafValue) {
      var leaf = new Leaf(path.toByteArray(), leafValue);
      sorted = sorted && (leaves.isEmpty() || leaves.getLast().compareTo(leaf) < 0);
      leaves.add(leaf);
    }

    List<Leaf> leaves() {
      if (!sorted) {
        leaves.sort(Comparator.naturalOrder());
      }
      return leaves;
    }
  }

  /** Copies the value at the parser's current token, canonically; leaves the parser on its last. */
  private static void copy(JsonParser parser, ByteWriter out) throws IOException {
    switch (parser.currentToken()) {
      case VALUE_NULL -> ascii(out, "null");
      case VALUE_TRUE -> ascii(out, "true");
      case VALUE_FALSE -> ascii(out, "false");
      case VALUE_STRING -> string(out, checked(parser.getText()));
      case VALUE_NUMBER_INT -> integer(out, parser);
      case VALUE_NUMBER_FLOAT -> number(out, parser.getDoubleValue(), parser.getText());
      case START_ARRAY -> {
        out.u8('[');
        for (int i = 0; parser.nextToken() != JsonToken.END_ARRAY; i++) {
          if (i > 0) {
            out.u8(',');
          }
          copy(parser, out);
        }
        out.u8(']');
      }
      case START_OBJECT -> object(parser, out);
      default -> throw serialization("unexpected " + parser.currentToken());
    }
  }

  private static void object(JsonParser parser, ByteWriter out) throws IOException {
    record Field(byte[] name, byte[] value) {}
    var fields = new ArrayList<Field>();
    var scratch = new ByteWriter();
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String name = checked(parser.currentName());
      parser.nextToken();
      copy(parser, scratch.clear());
      fields.add(new Field(name.getBytes(StandardCharsets.UTF_8), scratch.toByteArray()));
    }
    fields.sort((a, b) -> Arrays.compareUnsigned(a.name, b.name));
    out.u8('{');
    for (int i = 0; i < fields.size(); i++) {
      if (i > 0) {
        out.u8(',');
      }
      string(out, new String(fields.get(i).name, StandardCharsets.UTF_8));
      out.u8(':').bytes(fields.get(i).value);
    }
    out.u8('}');
  }

  private static void integer(ByteWriter out, JsonParser parser) throws IOException {
    switch (parser.getNumberType()) {
      case INT, LONG -> ascii(out, Long.toString(parser.getLongValue()));
      default -> {
        BigInteger value = parser.getBigIntegerValue();
        throw serialization(
            "integer must be -2^63 to 2^63-1, but has "
                + value.bitLength()
                + " bits: write it as a string");
      }
    }
  }

  private static void number(ByteWriter out, double value, String text) {
    if (Double.isNaN(value) || Double.isInfinite(value)) {
      throw serialization("number must be finite, but is " + text);
    }
    if (value == Math.rint(value) && Math.abs(value) < TWO_TO_63) {
      ascii(out, Long.toString((long) value));
    } else {
      ascii(out, Double.toString(value).replace(".0E", "e").replace('E', 'e'));
    }
  }

  private static String checked(String text) {
    if (!Utf8.isEncodable(text)) {
      throw serialization("string holds a lone surrogate, which has no UTF-8 form");
    }
    return text;
  }

  /** Appends {@code text} as a JSON string. */
  public static void string(ByteWriter out, String text) {
    out.u8('"');
    boolean plain = true;
    for (int i = 0; i < text.length() && plain; i++) {
      char c = text.charAt(i);
      plain = c >= 0x20 && c != '"' && c != '\\';
    }
    if (plain) {
      out.bytes(text.getBytes(StandardCharsets.UTF_8));
    } else {
      for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
        escaped(out, b);
      }
    }
    out.u8('"');
  }

  private static void escaped(ByteWriter out, byte b) {
    switch (b) {
      case '"' -> ascii(out, "\\\"");
      case '\\' -> ascii(out, "\\\\");
      case '\b' -> ascii(out, "\\b");
      case '\t' -> ascii(out, "\\t");
      case '\n' -> ascii(out, "\\n");
      case '\f' -> ascii(out, "\\f");
      case '\r' -> ascii(out, "\\r");
      default -> {
        if (b >= 0 && b < 0x20) {
          ascii(out, String.format("\\u%04x", (int) b));
        } else {
          out.u8(b);
        }
      }
    }
  }

  private static void ascii(ByteWriter out, String text) {
    for (int i = 0; i < text.length(); i++) {
      out.u8(text.charAt(i));
    }
  }

  /** Whether {@code value} could have come from {@link #leaves}: canonical, and not an object. */
  public static boolean isLeafValue(byte[] value) {
    if (value.length == 0) {
      return false;
    }
    return switch (value[0]) {
      case '"' -> isPlainString(value) || reencodes(value);
      case 't', 'f', 'n', '[', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9' ->
          isPlainInteger(value) || reencodes(value);
      case '{' -> Arrays.equals(value, EMPTY_OBJECT);
      default -> false;
    };
  }

  /** Whether {@code value} is the canonical encoding of any JSON value. */
  public static boolean isValue(byte[] value) {
    return value.length > 0 && (isLeafValue(value) || (value[0] == '{' && reencodes(value)));
  }

  /**
   * The elements of a canonical array, canonical each.
   *
   * @throws CoreException when {@code array} is not an array
   */
  public static List<byte[]> elements(byte[] array) {
    checkForm(array, 0, array.length);
    return parse(array, 0, array.length, ArrayParts::new).elements;
  }

  /**
   * What a canonical string says.
   *
   * @throws CoreException when {@code string} is not a string
   */
  public static String text(byte[] string) {
    checkForm(string, 0, string.length);
    return parse(string, 0, string.length, Text::new).text;
  }

  private static final class ArrayParts implements Target {
    final List<byte[]> elements = new ArrayList<>();

    @Override
    public void read(JsonParser parser) throws IOException {
      if (parser.currentToken() != JsonToken.START_ARRAY) {
        throw serialization("JSON must be an array");
      }
      var element = new ByteWriter();
      while (parser.nextToken() != JsonToken.END_ARRAY) {
        copy(parser, element.clear());
        elements.add(element.toByteArray());
      }
    }
  }

  private static final class Text implements Target {
    String text = "";

    @Override
    public void read(JsonParser parser) throws IOException {
      if (parser.currentToken() != JsonToken.VALUE_STRING) {
        throw serialization("JSON must be a string");
      }
      text = checked(parser.getText());
    }
  }

  private static boolean isPlainString(byte[] value) {
    int last = value.length - 1;
    if (last < 1 || value[last] != '"') {
      return false;
    }
    for (int i = 1; i < last; i++) {
      // Negative bytes are not ASCII: the slow way checks the UTF-8.
      if (value[i] < 0x20 || value[i] == '"' || value[i] == '\\') {
        return false;
      }
    }
    return true;
  }

  private static boolean isPlainInteger(byte[] value) {
    if (value.length > 18 || value[0] < '1' || value[0] > '9') {
      return false;
    }
    for (byte b : value) {
      if (b < '0' || b > '9') {
        return false;
      }
    }
    return true;
  }

  private static boolean reencodes(byte[] value) {
    try {
      return Arrays.equals(canonical(value), value);
    } catch (CoreException e) {
      return false;
    }
  }

  /**
   * Joins leaves into one canonical document; {@code leaves} ascend and do not shadow each other.
   */
  public static byte[] join(List<Leaf> leaves) {
    if (leaves.isEmpty()) {
      return EMPTY_OBJECT.clone();
    }
    var out = new ByteWriter(256);
    join(leaves, 0, leaves.size(), 0, out);
    return out.toByteArray();
  }

  private static void join(List<Leaf> leaves, int from, int to, int depthBytes, ByteWriter out) {
    if (leaves.get(from).path().length == depthBytes) {
      out.bytes(leaves.get(from).value());
      return;
    }
    out.u8('{');
    for (int i = from; i < to; ) {
      byte[] path = leaves.get(i).path();
      int keyEnd = Path.keyEnd(path, depthBytes);
      int next = i + 1;
      while (next < to
          && leaves.get(next).path().length >= keyEnd
          && Arrays.mismatch(path, depthBytes, keyEnd, leaves.get(next).path(), depthBytes, keyEnd)
              < 0) {
        next++;
      }
      if (i > from) {
        out.u8(',');
      }
      string(out, Path.key(path, depthBytes, keyEnd));
      out.u8(':');
      join(leaves, i, next, keyEnd, out);
      i = next;
    }
    out.u8('}');
  }
}
