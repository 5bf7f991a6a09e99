package io.pluresdb.daemon.cli;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A daemon's answer as a small tree, for tables. Databind would cost a client command more time
 * than everything else it does.
 *
 * @param text a string's content, or any other value as it was written
 * @param source the value as it was written
 * @param members of an object, otherwise empty
 * @param elements of an array, otherwise empty
 */
record Json(String text, String source, Map<String, Json> members, List<Json> elements) {
  static final Json NONE = new Json("", "", Map.of(), List.of());

  private static final JsonFactory FACTORY = new JsonFactory();

  static Json parse(byte[] json) {
    try (JsonParser parser = FACTORY.createParser(json)) {
      parser.nextToken();
      return read(parser, json);
    } catch (IOException e) {
      throw new IllegalStateException("the daemon's answer is no JSON", e);
    }
  }

  /** Why bytes are not one JSON value; empty when they are. */
  static String mistake(byte[] json) {
    try (JsonParser parser = FACTORY.createParser(json)) {
      if (parser.nextToken() == null) {
        return "it is empty";
      }
      parser.skipChildren();
      return parser.nextToken() == null ? "" : "something follows it";
    } catch (JacksonException e) {
      long at = e.getLocation() == null ? 0 : Math.max(0, e.getLocation().getByteOffset());
      return e.getOriginalMessage() + " at byte " + at;
    } catch (IOException e) {
      return String.valueOf(e.getMessage());
    }
  }

  /** The value as a cell of a table: a string as it is, unless it would move the cursor. */
  String cell() {
    return text.chars().anyMatch(Character::isISOControl) ? source : text;
  }

  /** Its kind, as JSON Schema names it. */
  String kind() {
    return switch (source.charAt(0)) {
      case '{' -> "object";
      case '[' -> "array";
      case '"' -> "string";
      case 't', 'f' -> "boolean";
      case 'n' -> "null";
      default ->
          source.chars().allMatch(c -> c == '-' || Character.isDigit(c)) ? "integer" : "number";
    };
  }

  private static Json read(JsonParser parser, byte[] json) throws IOException {
    int from = (int) parser.currentTokenLocation().getByteOffset();
    var members = new LinkedHashMap<String, Json>();
    var elements = new ArrayList<Json>();
    switch (parser.currentToken()) {
      case START_OBJECT -> {
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
          String name = parser.currentName();
          parser.nextToken();
          members.put(name, read(parser, json));
        }
      }
      case START_ARRAY -> {
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          elements.add(read(parser, json));
        }
      }
      default -> {
        String text = parser.getText();
        return new Json(text, source(parser, json, from), members, elements);
      }
    }
    String source = source(parser, json, from);
    return new Json(source, source, members, elements);
  }

  private static String source(JsonParser parser, byte[] json, int from) throws IOException {
    parser.finishToken();
    int to = (int) parser.currentLocation().getByteOffset();
    return new String(json, from, to - from, StandardCharsets.UTF_8);
  }

  /** The members of each element. */
  List<Map<String, Json>> objects() {
    return elements.stream().map(Json::members).toList();
  }

  /** A member's text, or the empty text when it is absent. */
  static String text(Map<String, Json> members, String name) {
    return members.getOrDefault(name, NONE).text;
  }

  /** A member as JSON; a string in quotes. */
  static String source(Map<String, Json> members, String name) {
    return members.getOrDefault(name, NONE).source;
  }

  /** A member with milliseconds since 1970, as people read it (UTC). */
  static String time(Map<String, Json> members, String name) {
    long millis = Long.parseLong(text(members, name));
    return Instant.ofEpochMilli(millis).truncatedTo(ChronoUnit.SECONDS).toString();
  }
}
