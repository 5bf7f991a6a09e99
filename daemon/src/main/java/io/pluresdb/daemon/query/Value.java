package io.pluresdb.daemon.query;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.value.CanonicalJson;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A JSON value, or none. Equal values are equal JSON.
 *
 * <p>The order is that of indexes: null, false, true, numbers by size, strings by their UTF-8
 * bytes, arrays and objects by their JSON, and last where there is no value.
 */
public sealed interface Value extends Comparable<Value> {
  /** No value. */
  record None() implements Value {
    static final Value VALUE = new None();
  }

  record Null() implements Value {
    static final Value VALUE = new Null();
  }

  record Truth(boolean value) implements Value {}

  /**
   * @param digits as canonical JSON has them
   */
  record Numeric(String digits) implements Value {
    BigDecimal value() {
      return new BigDecimal(digits);
    }
  }

  record Text(String value) implements Value {}

  record Items(List<Value> values) implements Value {
    public Items {
      values = List.copyOf(values);
    }
  }

  /**
   * @param values in the order of their names' UTF-8 bytes
   */
  record Members(Map<String, Value> values) implements Value {}

  JsonFactory FACTORY = new JsonFactory();

  /**
   * Reads any JSON.
   *
   * @throws io.pluresdb.crdt.CoreException saying what is wrong and where
   */
  static Value parse(byte[] json) {
    return ofCanonical(CanonicalJson.canonical(json));
  }

  /** Reads canonical JSON, as documents are. */
  static Value ofCanonical(byte[] json) {
    try (JsonParser parser = FACTORY.createParser(json)) {
      parser.nextToken();
      return read(parser);
    } catch (IOException e) {
      throw new IllegalStateException("a stored document is no JSON", e);
    }
  }

  private static Value read(JsonParser parser) throws IOException {
    return switch (parser.currentToken()) {
      case START_OBJECT -> {
        var members = new LinkedHashMap<String, Value>();
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
          String name = parser.currentName();
          parser.nextToken();
          members.put(name, read(parser));
        }
        yield new Members(members);
      }
      case START_ARRAY -> {
        var items = new ArrayList<Value>();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          items.add(read(parser));
        }
        yield new Items(items);
      }
      case VALUE_STRING -> new Text(parser.getText());
      case VALUE_TRUE -> new Truth(true);
      case VALUE_FALSE -> new Truth(false);
      case VALUE_NULL -> Null.VALUE;
      default -> new Numeric(parser.getText());
    };
  }

  /** A whole number. */
  static Value of(long number) {
    return new Numeric(Long.toString(number));
  }

  /** A number as JSON has it: exact as a whole one of 64 bits, else the nearest double. */
  static Value of(BigDecimal number) {
    BigDecimal plain = number.stripTrailingZeros();
    boolean whole = plain.scale() <= 0 && plain.precision() - plain.scale() <= 20;
    if (whole && plain.toBigInteger().bitLength() <= 63) {
      return new Numeric(plain.toBigInteger().toString());
    }
    double nearest = number.doubleValue();
    if (Double.isInfinite(nearest)) {
      return Null.VALUE;
    }
    return parse(Double.toString(nearest).getBytes(StandardCharsets.US_ASCII));
  }

  /** Whether it is none or null. */
  default boolean isNothing() {
    return this instanceof None || this instanceof Null;
  }

  /** The member with that name, or none. */
  default Value member(String name) {
    return this instanceof Members(var values) ? values.getOrDefault(name, None.VALUE) : None.VALUE;
  }

  /** Canonical JSON; null where there is none. */
  default byte[] json() {
    var out = new ByteWriter();
    write(out);
    return out.toByteArray();
  }

  /** The same as text. */
  default String text() {
    return new String(json(), StandardCharsets.UTF_8);
  }

  private void write(ByteWriter out) {
    switch (this) {
      case None none -> ascii(out, "null");
      case Null none -> ascii(out, "null");
      case Truth(boolean value) -> ascii(out, value ? "true" : "false");
      case Numeric(String digits) -> ascii(out, digits);
      case Text(String value) -> CanonicalJson.string(out, value);
      case Items(var values) -> {
        out.u8('[');
        String separator = "";
        for (Value value : values) {
          ascii(out, separator);
          value.write(out);
          separator = ",";
        }
        out.u8(']');
      }
      case Members(var values) -> {
        out.u8('{');
        String separator = "";
        for (Map.Entry<String, Value> member : values.entrySet()) {
          ascii(out, separator);
          CanonicalJson.string(out, member.getKey());
          out.u8(':');
          member.getValue().write(out);
          separator = ",";
        }
        out.u8('}');
      }
    }
  }

  private static void ascii(ByteWriter out, String text) {
    out.bytes(text.getBytes(StandardCharsets.US_ASCII));
  }

  private int rank() {
    return switch (this) {
      case Null none -> 0;
      case Truth(boolean value) -> value ? 2 : 1;
      case Numeric number -> 3;
      case Text text -> 4;
      case Items items -> 5;
      case Members members -> 5;
      case None none -> 6;
    };
  }

  @Override
  default int compareTo(Value other) {
    if (this instanceof Numeric mine && other instanceof Numeric theirs) {
      return mine.value().compareTo(theirs.value());
    }
    if (this instanceof Text(String mine) && other instanceof Text(String theirs)) {
      return Arrays.compareUnsigned(
          mine.getBytes(StandardCharsets.UTF_8), theirs.getBytes(StandardCharsets.UTF_8));
    }
    int byRank = Integer.compare(rank(), other.rank());
    return byRank != 0 || rank() != 5 ? byRank : Arrays.compareUnsigned(json(), other.json());
  }
}
