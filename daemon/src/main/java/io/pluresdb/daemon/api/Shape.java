package io.pluresdb.daemon.api;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * What a JSON value looks like, as routes declare what they take and answer. Written like the types
 * of TypeScript, with ranges:
 *
 * <pre>
 * shape   := part ("|" part)*
 * part    := primary ("[" [MOST] "]")*
 * primary := "any" | "null" | "boolean" | "string" ["(" LEAST ".." MOST ")"]
 *          | ("integer" | "number") ["(" LEAST ".." MOST ")"] | "'" literal "'"
 *          | "map&lt;" shape ">" | Name | "{" [member ("," member)*] "}" | "(" shape ")"
 * member  := name ["?"] ":" shape
 * </pre>
 *
 * A Name stands for a shape of {@link Shapes}. Strings are measured in characters.
 */
sealed interface Shape {
  record Any() implements Shape {}

  record Null() implements Shape {}

  record Truth() implements Shape {}

  record Text(long least, long most) implements Shape {}

  record Whole(long least, long most) implements Shape {}

  record Real(double least, double most) implements Shape {}

  record Literal(String value) implements Shape {}

  record Items(Shape element, int most) implements Shape {}

  record Entries(Shape value) implements Shape {}

  record Named(String name) implements Shape {}

  record Members(Map<String, Member> members) implements Shape {}

  record Member(Shape shape, boolean required) {}

  record OneOf(List<Shape> shapes) implements Shape {}

  /**
   * Reads a shape.
   *
   * @throws IllegalArgumentException when it is none
   */
  static Shape parse(String text) {
    var parser = new Parser(text);
    Shape shape = parser.union();
    parser.end();
    return shape;
  }

  /** The shape as it is written. */
  default String text() {
    return switch (this) {
      case Any any -> "any";
      case Null none -> "null";
      case Truth truth -> "boolean";
      case Text(long least, long most) -> "string" + range(least, most, 0, Long.MAX_VALUE);
      case Whole(long least, long most) ->
          "integer" + range(least, most, Long.MIN_VALUE, Long.MAX_VALUE);
      case Real(double least, double most) ->
          least == -Double.MAX_VALUE && most == Double.MAX_VALUE
              ? "number"
              : "number(" + least + ".." + most + ")";
      case Literal(String value) -> "'" + value + "'";
      case Items(Shape element, int most) ->
          (element instanceof OneOf ? "(" + element.text() + ")" : element.text())
              + (most == Integer.MAX_VALUE ? "[]" : "[" + most + "]");
      case Entries(Shape value) -> "map<" + value.text() + ">";
      case Named(String name) -> name;
      case Members(var members) ->
          members.entrySet().stream()
              .map(
                  m ->
                      m.getKey()
                          + (m.getValue().required() ? ": " : "?: ")
                          + m.getValue().shape().text())
              .collect(Collectors.joining(", ", "{", "}"));
      case OneOf(var shapes) -> shapes.stream().map(Shape::text).collect(Collectors.joining(" | "));
    };
  }

  private static String range(long least, long most, long lowest, long highest) {
    return least == lowest && most == highest
        ? ""
        : "(" + least + ".." + (most == highest ? "" : most) + ")";
  }

  /** A recursive-descent reader of the grammar above. */
  final class Parser {
    private final String text;
    private int at;

    private Parser(String text) {
      this.text = text;
    }

    private Shape union() {
      var parts = new ArrayList<Shape>();
      do {
        parts.add(part());
      } while (taken("|"));
      return parts.size() == 1 ? parts.getFirst() : new OneOf(List.copyOf(parts));
    }

    private Shape part() {
      Shape shape = primary();
      while (taken("[")) {
        String most = until(']');
        shape = new Items(shape, most.isEmpty() ? Integer.MAX_VALUE : Integer.parseInt(most));
      }
      return shape;
    }

    private Shape primary() {
      if (taken("{")) {
        return members();
      }
      if (taken("(")) {
        Shape inner = union();
        expect(")");
        return inner;
      }
      if (taken("'")) {
        return new Literal(until('\''));
      }
      String word = word();
      if (word.equals("map")) {
        expect("<");
        Shape value = union();
        expect(">");
        return new Entries(value);
      }
      String[] range = taken("(") ? until(')').split("\\.\\.", -1) : null;
      return switch (word) {
        case "any" -> new Any();
        case "null" -> new Null();
        case "boolean" -> new Truth();
        case "string" -> new Text(whole(range, 0, 0), whole(range, 1, Long.MAX_VALUE));
        case "integer" ->
            new Whole(whole(range, 0, Long.MIN_VALUE), whole(range, 1, Long.MAX_VALUE));
        case "number" ->
            range == null
                ? new Real(-Double.MAX_VALUE, Double.MAX_VALUE)
                : new Real(Double.parseDouble(range[0]), Double.parseDouble(range[1]));
        default -> new Named(Shapes.checked(word));
      };
    }

    private static long whole(String @Nullable [] range, int end, long otherwise) {
      return range == null || range[end].isEmpty() ? otherwise : Long.parseLong(range[end]);
    }

    private Shape members() {
      var members = new LinkedHashMap<String, Member>();
      while (!taken("}")) {
        if (!members.isEmpty()) {
          expect(",");
        }
        String name = word();
        boolean optional = taken("?");
        expect(":");
        members.put(name, new Member(union(), !optional));
      }
      return new Members(members);
    }

    private String word() {
      skipSpace();
      int from = at;
      while (at < text.length()
          && (Character.isLetterOrDigit(text.charAt(at)) || text.charAt(at) == '-')) {
        at++;
      }
      if (from == at) {
        throw wrong("a name");
      }
      return text.substring(from, at);
    }

    private String until(char end) {
      int to = text.indexOf(end, at);
      if (to < 0) {
        throw wrong(String.valueOf(end));
      }
      String inner = text.substring(at, to);
      at = to + 1;
      return inner;
    }

    private boolean taken(String token) {
      skipSpace();
      if (text.startsWith(token, at)) {
        at += token.length();
        return true;
      }
      return false;
    }

    private void expect(String token) {
      if (!taken(token)) {
        throw wrong(token);
      }
    }

    private void end() {
      skipSpace();
      if (at < text.length()) {
        throw wrong("the end");
      }
    }

    private void skipSpace() {
      while (at < text.length() && Character.isWhitespace(text.charAt(at))) {
        at++;
      }
    }

    private IllegalArgumentException wrong(String expected) {
      return new IllegalArgumentException(
          "the shape " + text + " must have " + expected + " at character " + at);
    }
  }
}
