package io.pluresdb.daemon.api;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.daemon.config.Nearest;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The members of one JSON object, each as the slice of the text it stands in: a document inside a
 * request is cut out, never parsed into a tree and written again.
 */
public final class JsonMembers {
  /** Longest string or name inside a request, in characters: one whole document may be one. */
  private static final int MAX_STRING = 2 << 20;

  private static final JsonFactory FACTORY =
      new JsonFactoryBuilder()
          .disable(JsonFactory.Feature.CHARSET_DETECTION)
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxStringLength(MAX_STRING)
                  .maxNameLength(MAX_STRING)
                  .build())
          .build();

  /** A value's place in the text: {@code [from, to)}. */
  public record Slice(byte[] json, int from, int to) {
    public byte[] bytes() {
      return Arrays.copyOfRange(json, from, to);
    }
  }

  @FunctionalInterface
  private interface Reading<T> {
    T read(JsonParser parser) throws IOException;
  }

  private final String subject;
  private final Map<String, Slice> members;

  private JsonMembers(String subject, Map<String, Slice> members) {
    this.subject = subject;
    this.members = members;
  }

  /** Reads a whole request body; see {@link #read(Slice, String, List)}. */
  public static JsonMembers read(byte[] json, String subject, List<String> allowed) {
    return read(new Slice(json, 0, json.length), subject, allowed);
  }

  /**
   * Reads one object.
   *
   * @param subject what the object is, for messages
   * @param allowed every name it may have
   * @throws ApiException when it is no object, malformed, has an unknown or a repeated member
   */
  public static JsonMembers read(Slice slice, String subject, List<String> allowed) {
    return parse(
        slice,
        subject,
        parser -> {
          if (parser.nextToken() != JsonToken.START_OBJECT) {
            throw ApiException.invalid(subject + " must be a JSON object");
          }
          var members = new HashMap<String, Slice>();
          while (parser.nextToken() == JsonToken.FIELD_NAME) {
            String name = parser.currentName();
            if (!allowed.contains(name)) {
              throw ApiException.invalid(
                  subject
                      + " has no member \""
                      + name
                      + (allowed.isEmpty()
                          ? "\": it takes none"
                          : "\"; it takes "
                              + String.join(", ", allowed)
                              + "; the nearest is \""
                              + Nearest.to(name, allowed)
                              + "\""));
            }
            parser.nextToken();
            if (members.put(name, value(parser, slice)) != null) {
              throw ApiException.invalid(subject + " names \"" + name + "\" twice");
            }
          }
          return new JsonMembers(subject, members);
        });
  }

  /** Whether the text is an object whose first member has that name. */
  static boolean beginsWith(Slice slice, String name) {
    try (JsonParser parser = FACTORY.createParser(slice.json, slice.from, slice.to - slice.from)) {
      return parser.nextToken() == JsonToken.START_OBJECT
          && parser.nextToken() == JsonToken.FIELD_NAME
          && parser.currentName().equals(name);
    } catch (IOException e) {
      // Whoever reads it as a whole says what is wrong with it.
      return false;
    }
  }

  /** The members of an object member, in their order. */
  Map<String, Slice> entries(String name) {
    Slice object = required(name);
    return parse(
        object,
        name,
        parser -> {
          if (parser.nextToken() != JsonToken.START_OBJECT) {
            throw ApiException.invalid(name + " must be a JSON object");
          }
          var entries = new LinkedHashMap<String, Slice>();
          while (parser.nextToken() == JsonToken.FIELD_NAME) {
            String entry = parser.currentName();
            parser.nextToken();
            if (entries.put(entry, value(parser, object)) != null) {
              throw ApiException.invalid(name + " names \"" + entry + "\" twice");
            }
          }
          return entries;
        });
  }

  /** The elements of an array member, at most {@code limit} of them. */
  List<Slice> elements(String name, int limit) {
    return elements(required(name), name, limit);
  }

  /** The elements of an array, at most {@code limit} of them. */
  static List<Slice> elements(Slice array, String name, int limit) {
    return parse(
        array,
        name,
        parser -> {
          if (parser.nextToken() != JsonToken.START_ARRAY) {
            throw ApiException.invalid(name + " must be an array");
          }
          var elements = new ArrayList<Slice>();
          while (parser.nextToken() != JsonToken.END_ARRAY) {
            if (elements.size() == limit) {
              throw new ApiException(
                  413,
                  "CORE_LIMIT_EXCEEDED",
                  name + " must hold at most " + limit + " elements",
                  "split it into several requests");
            }
            elements.add(value(parser, array));
          }
          return elements;
        });
  }

  public boolean has(String name) {
    return members.containsKey(name);
  }

  /** The member's text as it stands. */
  public Slice required(String name) {
    Slice slice = members.get(name);
    if (slice == null) {
      throw ApiException.invalid(subject + " must have a member \"" + name + "\"");
    }
    return slice;
  }

  public String string(String name) {
    return text(required(name), name);
  }

  /** The string that a slice is. */
  static String text(Slice slice, String name) {
    if (isPlainString(slice)) {
      return new String(
          slice.json, slice.from + 1, slice.to - slice.from - 2, StandardCharsets.US_ASCII);
    }
    return parse(
        slice,
        name,
        parser -> {
          if (parser.nextToken() != JsonToken.VALUE_STRING) {
            throw ApiException.invalid(name + " must be a string");
          }
          return parser.getText();
        });
  }

  /** Whether a value that was parsed before is a string of printable ASCII without escapes. */
  private static boolean isPlainString(Slice slice) {
    if (slice.json[slice.from] != '"') {
      return false;
    }
    for (int i = slice.from + 1; i < slice.to - 1; i++) {
      if (slice.json[i] < ' ' || slice.json[i] == '\\') {
        return false;
      }
    }
    return true;
  }

  /** An integer in {@code [least, most]}, or {@code otherwise} when the member is absent. */
  long integer(String name, long least, long most, long otherwise) {
    if (!has(name)) {
      return otherwise;
    }
    return parse(
        required(name),
        name,
        parser -> {
          String range = name + " must be an integer from " + least + " to " + most;
          if (parser.nextToken() != JsonToken.VALUE_NUMBER_INT) {
            throw ApiException.invalid(range);
          }
          var value = parser.getBigIntegerValue();
          if (value.bitLength() > 63 || value.longValue() < least || value.longValue() > most) {
            throw ApiException.invalid(range + ", but is " + parser.getText());
          }
          return value.longValue();
        });
  }

  /** A number in {@code [least, most]}, or {@code otherwise} when the member is absent. */
  double number(String name, double least, double most, double otherwise) {
    if (!has(name)) {
      return otherwise;
    }
    return parse(
        required(name),
        name,
        parser -> {
          String range = name + " must be a number from " + least + " to " + most;
          if (!parser.nextToken().isNumeric()) {
            throw ApiException.invalid(range);
          }
          double value = parser.getDoubleValue();
          if (!(value >= least && value <= most)) {
            throw ApiException.invalid(range + ", but is " + parser.getText());
          }
          return value;
        });
  }

  boolean bool(String name, boolean otherwise) {
    if (!has(name)) {
      return otherwise;
    }
    return parse(
        required(name),
        name,
        parser -> {
          if (!parser.nextToken().isBoolean()) {
            throw ApiException.invalid(name + " must be true or false");
          }
          return parser.getBooleanValue();
        });
  }

  /** An array of numbers, or null when the member is absent or {@code null}. */
  float @Nullable [] floats(String name) {
    if (!has(name)) {
      return null;
    }
    // A list of one result, because the functional shape cannot carry null.
    List<float[]> found =
        parse(
            required(name),
            name,
            parser -> {
              JsonToken first = parser.nextToken();
              if (first == JsonToken.VALUE_NULL) {
                return List.of();
              }
              if (first != JsonToken.START_ARRAY) {
                throw ApiException.invalid(name + " must be an array of numbers");
              }
              float[] values = new float[64];
              int count = 0;
              while (parser.nextToken() != JsonToken.END_ARRAY) {
                if (!parser.currentToken().isNumeric() || count == ChangeBody.MAX_DIMENSIONS) {
                  throw ApiException.invalid(
                      name + " must be at most " + ChangeBody.MAX_DIMENSIONS + " numbers");
                }
                if (count == values.length) {
                  values = Arrays.copyOf(values, 2 * count);
                }
                values[count++] = (float) parser.getDoubleValue();
              }
              return List.of(Arrays.copyOf(values, count));
            });
    return found.isEmpty() ? null : found.getFirst();
  }

  /**
   * The string member {@code name} of a stored document, or null when it has none or it is no
   * string.
   */
  static @Nullable String stringMember(byte[] document, String name) {
    try (JsonParser parser = FACTORY.createParser(document)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        return null;
      }
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        boolean found = parser.currentName().equals(name);
        JsonToken value = parser.nextToken();
        if (found) {
          return value == JsonToken.VALUE_STRING ? parser.getText() : null;
        }
        parser.skipChildren();
      }
      return null;
    } catch (IOException e) {
      throw new IllegalStateException("a stored document is no JSON", e);
    }
  }

  /** The string member {@code name} of any text, or nothing when it has none. */
  static String memberIfAny(byte[] json, String name) {
    try {
      String member = stringMember(json, name);
      return member == null ? "" : member;
    } catch (IllegalStateException e) {
      return "";
    }
  }

  /** The slice of the value at the parser's current token; leaves the parser on its last token. */
  private static Slice value(JsonParser parser, Slice text) throws IOException {
    int from = text.from + (int) parser.currentTokenLocation().getByteOffset();
    parser.skipChildren();
    // Strings are read lazily: only then does the parser stand behind the closing quote.
    parser.finishToken();
    return new Slice(text.json, from, text.from + (int) parser.currentLocation().getByteOffset());
  }

  private static <T> T parse(Slice slice, String subject, Reading<T> reading) {
    try (JsonParser parser = FACTORY.createParser(slice.json, slice.from, slice.to - slice.from)) {
      T result = reading.read(parser);
      if (parser.nextToken() != null) {
        throw ApiException.malformed(subject + ": something follows the JSON value");
      }
      return result;
    } catch (JacksonException e) {
      throw ApiException.malformed(
          subject
              + " is malformed JSON at byte "
              + (e.getLocation() == null ? 0 : Math.max(0, e.getLocation().getByteOffset()))
              + ": "
              + e.getOriginalMessage());
    } catch (IOException e) {
      throw ApiException.malformed(subject + " is malformed JSON");
    }
  }
}
