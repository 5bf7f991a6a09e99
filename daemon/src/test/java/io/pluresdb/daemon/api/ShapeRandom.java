package io.pluresdb.daemon.api;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** Values made from JSON Schemas of an OpenAPI document, right ones and wrong ones. */
final class ShapeRandom {
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;
  private static final int DEEPEST = 4;

  /** Strings that break things, and names that the fixture knows. */
  private static final List<String> STRINGS =
      List.of(
          "a",
          "b",
          "default",
          "laptop",
          "",
          " ",
          ".",
          "..",
          "/",
          "\u0000",
          "\"",
          "\\",
          "%",
          "%00",
          "ü😀",
          "\ud83d\ude00",
          "127.0.0.1:9",
          "1.1",
          "0",
          "-1",
          "9223372036854775808",
          "null",
          "[]",
          "{}",
          "type",
          "type,n",
          "-n",
          "1970-01-01T00:00:00Z",
          "0123456789abcdef.1",
          "x:*",
          "/tmp/x");

  private final JsonNode schemas;
  private final Random random;

  ShapeRandom(JsonNode document, Random random) {
    this.schemas = document.at("/components/schemas");
    this.random = random;
  }

  String string() {
    return random.nextInt(8) == 0
        ? STRINGS.get(random.nextInt(STRINGS.size())).repeat(random.nextInt(700))
        : STRINGS.get(random.nextInt(STRINGS.size()));
  }

  /** Any JSON at all. */
  JsonNode any(int depth) {
    return switch (random.nextInt(depth >= DEEPEST ? 5 : 7)) {
      case 0 -> NODES.nullNode();
      case 1 -> NODES.booleanNode(random.nextBoolean());
      case 2 -> NODES.numberNode(number());
      case 3 -> NODES.numberNode(random.nextGaussian() * 1e3);
      case 4 -> NODES.textNode(string());
      case 5 -> {
        ArrayNode array = NODES.arrayNode();
        for (int i = random.nextInt(4); i > 0; i--) {
          array.add(any(depth + 1));
        }
        yield array;
      }
      default -> {
        ObjectNode object = NODES.objectNode();
        for (int i = random.nextInt(4); i > 0; i--) {
          object.set(string(), any(depth + 1));
        }
        yield object;
      }
    };
  }

  private long number() {
    return switch (random.nextInt(6)) {
      case 0 -> 0;
      case 1 -> -1;
      case 2 -> Long.MAX_VALUE;
      case 3 -> Long.MIN_VALUE;
      default -> random.nextInt(100);
    };
  }

  /** A value that the schema allows, mostly; sometimes one that it does not. */
  JsonNode value(JsonNode schema, int depth) {
    if (random.nextInt(12) == 0) {
      return any(depth);
    }
    if (schema.has("$ref")) {
      String name = schema.get("$ref").asText();
      return value(schemas.get(name.substring(name.lastIndexOf('/') + 1)), depth);
    }
    if (schema.has("const")) {
      return schema.get("const");
    }
    if (schema.has("anyOf")) {
      return value(schema.get("anyOf").get(random.nextInt(schema.get("anyOf").size())), depth + 1);
    }
    return switch (schema.path("type").asText("any")) {
      case "null" -> NODES.nullNode();
      case "boolean" -> NODES.booleanNode(random.nextBoolean());
      case "integer" ->
          NODES.numberNode(random.nextInt(6) == 0 ? number() : schema.path("minimum").asLong(0));
      case "number" -> NODES.numberNode(random.nextDouble());
      case "string" -> NODES.textNode(string());
      case "array" -> {
        ArrayNode array = NODES.arrayNode();
        for (int i = random.nextInt(4); i > 0 && depth < DEEPEST; i--) {
          array.add(value(schema.get("items"), depth + 1));
        }
        yield array;
      }
      case "object" -> object(schema, depth);
      default -> any(depth);
    };
  }

  private ObjectNode object(JsonNode schema, int depth) {
    ObjectNode object = NODES.objectNode();
    for (Map.Entry<String, JsonNode> member : schema.path("properties").properties()) {
      boolean required = false;
      for (JsonNode name : schema.path("required")) {
        required |= name.asText().equals(member.getKey());
      }
      if (required ? random.nextInt(20) > 0 : random.nextBoolean()) {
        object.set(member.getKey(), value(member.getValue(), depth + 1));
      }
    }
    if (random.nextInt(20) == 0) {
      object.set(string(), any(depth));
    }
    return object;
  }

  /** What is wrong with a value by a schema; empty when nothing is. */
  String wrong(JsonNode schema, JsonNode value, String at) {
    if (schema.has("$ref")) {
      String name = schema.get("$ref").asText();
      return wrong(schemas.get(name.substring(name.lastIndexOf('/') + 1)), value, at);
    }
    if (schema.has("const")) {
      return schema.get("const").equals(value) ? "" : at + " must be " + schema.get("const");
    }
    if (schema.has("anyOf")) {
      String all = "";
      for (JsonNode each : schema.get("anyOf")) {
        String one = wrong(each, value, at);
        if (one.isEmpty()) {
          return "";
        }
        all = all + " or " + one;
      }
      return all;
    }
    boolean fits =
        switch (schema.path("type").asText("any")) {
          case "null" -> value.isNull();
          case "boolean" -> value.isBoolean();
          case "integer" -> value.isIntegralNumber();
          case "number" -> value.isNumber();
          case "string" -> value.isTextual();
          case "array" -> value.isArray();
          case "object" -> value.isObject();
          default -> true;
        };
    if (!fits) {
      return at + " must be " + schema.get("type") + ", but is " + value;
    }
    if (value.isArray() && schema.has("items")) {
      for (int i = 0; i < value.size(); i++) {
        String one = wrong(schema.get("items"), value.get(i), at + "[" + i + "]");
        if (!one.isEmpty()) {
          return one;
        }
      }
    }
    if (value.isObject() && schema.path("additionalProperties").isObject()) {
      for (Map.Entry<String, JsonNode> member : value.properties()) {
        String one =
            wrong(
                schema.get("additionalProperties"), member.getValue(), at + "." + member.getKey());
        if (!one.isEmpty()) {
          return one;
        }
      }
    } else if (value.isObject() && schema.has("properties")) {
      for (JsonNode name : schema.path("required")) {
        if (!value.has(name.asText())) {
          return at + " must have " + name;
        }
      }
      for (Map.Entry<String, JsonNode> member : value.properties()) {
        if (!schema.get("properties").has(member.getKey())) {
          return at + " has the unknown member " + member.getKey();
        }
        String one =
            wrong(
                schema.get("properties").get(member.getKey()),
                member.getValue(),
                at + "." + member.getKey());
        if (!one.isEmpty()) {
          return one;
        }
      }
    }
    return "";
  }
}
