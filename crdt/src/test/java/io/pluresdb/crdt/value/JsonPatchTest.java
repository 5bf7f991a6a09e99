package io.pluresdb.crdt.value;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.pluresdb.crdt.property.Gen;
import io.pluresdb.crdt.property.Property;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class JsonPatchTest {
  private static final ObjectMapper MAPPER = new ObjectMapper();

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static String patched(String document, String patch) {
    List<Leaf> leaves = JsonPatch.parse(utf8(patch)).apply(CanonicalJson.leaves(utf8(document)));
    assertThat(leaves).isSorted();
    return new String(CanonicalJson.join(leaves), StandardCharsets.UTF_8);
  }

  /** RFC 7396, appendix A. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"a\":\"b\"} | {\"a\":\"c\"} | {\"a\":\"c\"}",
        "{\"a\":\"b\"} | {\"b\":\"c\"} | {\"a\":\"b\",\"b\":\"c\"}",
        "{\"a\":\"b\"} | {\"a\":null} | {}",
        "{\"a\":\"b\",\"b\":\"c\"} | {\"a\":null} | {\"b\":\"c\"}",
        "{\"a\":[\"b\"]} | {\"a\":\"c\"} | {\"a\":\"c\"}",
        "{\"a\":\"c\"} | {\"a\":[\"b\"]} | {\"a\":[\"b\"]}",
        "{\"a\":{\"b\":\"c\"}} | {\"a\":{\"b\":\"d\",\"c\":null}} | {\"a\":{\"b\":\"d\"}}",
        "{\"a\":[{\"b\":\"c\"}]} | {\"a\":[1]} | {\"a\":[1]}",
        "[\"a\",\"b\"] | [\"c\",\"d\"] | [\"c\",\"d\"]",
        "{\"a\":\"b\"} | [\"c\"] | [\"c\"]",
        "{\"a\":\"foo\"} | null | null",
        "{\"a\":\"foo\"} | \"bar\" | \"bar\"",
        "{\"e\":null} | {\"a\":1} | {\"a\":1,\"e\":null}",
        "[1,2] | {\"a\":\"b\",\"c\":null} | {\"a\":\"b\"}",
        "{} | {\"a\":{\"bb\":{\"ccc\":null}}} | {\"a\":{\"bb\":{}}}",
      })
  void rfc7396_appendixA(String document, String patch, String expected) {
    assertThat(patched(document, patch)).isEqualTo(expected);
  }

  private static JsonNode merged(JsonNode target, JsonNode patch) {
    if (!patch.isObject()) {
      return patch;
    }
    ObjectNode result =
        target.isObject() ? (ObjectNode) target.deepCopy() : JsonNodeFactory.instance.objectNode();
    for (var field : patch.properties()) {
      if (field.getValue().isNull()) {
        result.remove(field.getKey());
      } else {
        JsonNode old = result.path(field.getKey());
        result.set(field.getKey(), merged(old, field.getValue()));
      }
    }
    return result;
  }

  private static String tree(RandomGenerator random, int depth) {
    if (depth > 3 || random.nextInt(5) < (depth == 0 ? 0 : 2)) {
      return Gen.pick(random, List.of("1", "null", "null", "\"x\"", "[1,{\"a\":null}]", "{}"));
    }
    var fields = new ArrayList<String>();
    for (String key : List.of("a", "b", "", "\\u0000", "a\\u0001")) {
      if (random.nextInt(5) < 2) {
        fields.add("\"" + key + "\":" + tree(random, depth + 1));
      }
    }
    return "{" + String.join(",", fields) + "}";
  }

  private record Case(String document, String patch) {}

  @Test
  void apply_isTheMergeOfTrees_andIdempotent() {
    Property.forAll(
        20_000,
        Gen.of(random -> new Case(tree(random, 0), tree(random, 0))),
        c -> {
          String expected =
              merged(MAPPER.readTree(c.document), MAPPER.readTree(c.patch)).toString();
          String once = patched(c.document, c.patch);
          assertThat(once)
              .isEqualTo(
                  new String(CanonicalJson.canonical(utf8(expected)), StandardCharsets.UTF_8));
          assertThat(patched(once, c.patch)).isEqualTo(once);
        });
  }
}
