package io.pluresdb.client;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A JSON value (RFC 8259). Numbers keep their digits. */
public sealed interface Json {
  record Null() implements Json {}

  record Truth(boolean value) implements Json {}

  /** A number as it is written. */
  record Digits(String digits) implements Json {}

  record Text(String value) implements Json {}

  record Array(List<Json> elements) implements Json {}

  record Members(Map<String, Json> members) implements Json {}

  /** Deepest nesting that is read. */
  int MAX_DEPTH = 512;

  /**
   * Reads a value.
   *
   * @throws IllegalArgumentException when it is none
   */
  static Json parse(String text) {
    var parser = new Parser(text);
    Json value = parser.value(0);
    parser.skipSpace();
    if (parser.at < text.length()) {
      throw parser.wrong("the end");
    }
    return value;
  }

  /**
   * What a value of Java stands for: null, a {@link Boolean}, a {@link Number} of the JDK, a {@link
   * CharSequence}, a list of such, or JSON itself.
   *
   * @throws IllegalArgumentException when it is another, or a number that is not finite
   */
  static Json of(@Nullable Object value) {
    return switch (value) {
      case null -> new Null();
      case Json json -> json;
      case Boolean truth -> new Truth(truth);
      case CharSequence text -> new Text(text.toString());
      case Double number when !Double.isFinite(number) -> throw notFinite(number);
      case Float number when !Float.isFinite(number) -> throw notFinite(number);
      case Number number -> new Digits(number.toString());
      case List<?> elements -> new Array(elements.stream().map(Json::of).toList());
      default ->
          throw new IllegalArgumentException(
              "a value must be null, a boolean, a number, a string, a list or Json, but is of "
                  + value.getClass().getName());
    };
  }

  private static IllegalArgumentException notFinite(Number number) {
    return new IllegalArgumentException("JSON has no number for " + number);
  }

  /** A member of an object. */
  default Json get(String name) {
    Json member = this instanceof Members(var members) ? members.get(name) : null;
    if (member != null) {
      return member;
    }
    throw new IllegalArgumentException("there is no member \"" + name + "\" in " + write());
  }

  /** Whether an object has a member. */
  default boolean has(String name) {
    return this instanceof Members(var members) && members.containsKey(name);
  }

  /** The content of a string. */
  default String string() {
    if (this instanceof Text(String value)) {
      return value;
    }
    throw new IllegalArgumentException("this is no string: " + write());
  }

  /** The value of an integer. */
  default long integer() {
    if (this instanceof Digits(String digits)) {
      return Long.parseLong(digits);
    }
    throw new IllegalArgumentException("this is no number: " + write());
  }

  /** The elements of an array. */
  default List<Json> elements() {
    if (this instanceof Array(var elements)) {
      return elements;
    }
    throw new IllegalArgumentException("this is no array: " + write());
  }

  /** The value as JSON. */
  default String write() {
    var out = new StringBuilder();
    write(out, this);
    return out.toString();
  }

  /** A string in quotes. */
  static String quoted(String text) {
    var out = new StringBuilder();
    quote(out, text);
    return out.toString();
  }

  private static void write(StringBuilder out, Json json) {
    switch (json) {
      case Null none -> out.append("null");
      case Truth(boolean value) -> out.append(value);
      case Digits(String digits) -> out.append(digits);
      case Text(String value) -> quote(out, value);
      case Array(var elements) -> {
        out.append('[');
        for (int i = 0; i < elements.size(); i++) {
          out.append(i == 0 ? "" : ",");
          write(out, elements.get(i));
        }
        out.append(']');
      }
      case Members(var members) -> {
        out.append('{');
        boolean first = true;
        for (Map.Entry<String, Json> member : members.entrySet()) {
          out.append(first ? "" : ",");
          first = false;
          quote(out, member.getKey());
          out.append(':');
          write(out, member.getValue());
        }
        out.append('}');
      }
    }
  }

  private static void quote(StringBuilder out, String text) {
    out.append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '"' -> out.append("\\\"");
        case '\\' -> out.append("\\\\");
        case '\n' -> out.append("\\n");
        default -> {
          if (c < 0x20) {
            out.append("\\u00").append(c < 0x10 ? "0" : "1").append(Character.forDigit(c & 15, 16));
          } else {
            out.append(c);
          }
        }
      }
    }
    out.append('"');
  }

  /** A recursive-descent reader. */
  final class Parser {
    private final String text;
    private int at;

    private Parser(String text) {
      this.text = text;
    }

    private Json value(int depth) {
      if (depth > MAX_DEPTH) {
        throw new IllegalArgumentException("JSON is nested deeper than " + MAX_DEPTH);
      }
      skipSpace();
      char c = peek();
      return switch (c) {
        case '{' -> object(depth);
        case '[' -> array(depth);
        case '"' -> new Text(string());
        case 't' -> word("true", new Truth(true));
        case 'f' -> word("false", new Truth(false));
        case 'n' -> word("null", new Null());
        default -> number();
      };
    }

    private Json object(int depth) {
      at++;
      var members = new LinkedHashMap<String, Json>();
      skipSpace();
      while (peek() != '}') {
        if (!members.isEmpty()) {
          expect(',');
          skipSpace();
        }
        String name = string();
        skipSpace();
        expect(':');
        members.put(name, value(depth + 1));
        skipSpace();
      }
      at++;
      return new Members(members);
    }

    private Json array(int depth) {
      at++;
      var elements = new ArrayList<Json>();
      skipSpace();
      while (peek() != ']') {
        if (!elements.isEmpty()) {
          expect(',');
        }
        elements.add(value(depth + 1));
        skipSpace();
      }
      at++;
      return new Array(List.copyOf(elements));
    }

    private String string() {
      expect('"');
      var out = new StringBuilder();
      while (peek() != '"') {
        char c = text.charAt(at++);
        if (c == '\\') {
          char escape = peek();
          at++;
          switch (escape) {
            case 'n' -> out.append('\n');
            case 't' -> out.append('\t');
            case 'r' -> out.append('\r');
            case 'b' -> out.append('\b');
            case 'f' -> out.append('\f');
            case 'u' -> {
              if (at + 4 > text.length()) {
                throw wrong("four hexadecimal digits");
              }
              out.append((char) Integer.parseInt(text, at, at + 4, 16));
              at += 4;
            }
            case '"', '\\', '/' -> out.append(escape);
            default -> throw wrong("an escape");
          }
        } else {
          out.append(c);
        }
      }
      at++;
      return out.toString();
    }

    private Json word(String word, Json value) {
      if (!text.startsWith(word, at)) {
        throw wrong(word);
      }
      at += word.length();
      return value;
    }

    private Json number() {
      int from = at;
      while (at < text.length() && "+-.eE0123456789".indexOf(text.charAt(at)) >= 0) {
        at++;
      }
      String digits = text.substring(from, at);
      if (!digits.matches("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")) {
        throw wrong("a value");
      }
      return new Digits(digits);
    }

    private char peek() {
      if (at >= text.length()) {
        throw wrong("more");
      }
      return text.charAt(at);
    }

    private void expect(char c) {
      if (peek() != c) {
        throw wrong("'" + c + "'");
      }
      at++;
    }

    private void skipSpace() {
      while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
        at++;
      }
    }

    private IllegalArgumentException wrong(String expected) {
      return new IllegalArgumentException("JSON must have " + expected + " at character " + at);
    }
  }
}
