package io.pluresdb.crdt.value;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.property.Gen;
import io.pluresdb.crdt.property.Property;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The short way to the leaves of a document, beside the long one. */
class FlatObjectTest {
  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static @Nullable List<Leaf> flat(String json) {
    byte[] bytes = utf8(json);
    return FlatObject.leaves(bytes, 0, bytes.length);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"a\":1}",
        " { \"b\" : -12 ,\t\"a\":\"\u00e9 \u007f\" , \"\":null,\r\n\"c\":true,\"d\":false } ",
        "{\"a\":999999999999999999,\"b\":-999999999999999999}",
      })
  void plainObjects_areRead_asTheWholeParserReadsThem(String json) {
    List<Leaf> leaves = flat(json);
    assertThat(leaves).isNotNull().isSorted();
    assertThat(CanonicalJson.join(leaves == null ? List.of() : leaves))
        .isEqualTo(CanonicalJson.canonical(utf8(json)));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "{}",
        "1",
        "[1]",
        "{\"a\":{}}",
        "{\"a\":[]}",
        "{\"a\":0}",
        "{\"a\":-0}",
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":1.0}",
        "{\"a\":1e1}",
        "{\"a\":1000000000000000000}",
        "{\"a\":\"\\n\"}",
        "{\"\\u0061\":1}",
        "{\"a\":\"\n\"}",
        "{\"a\u0001\":1}",
        "{\"a\":1,\"b\":2,\"a\":3}",
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,}",
        "{\"a\":1} 2",
        "{\"a\":1",
        "{\"a\":",
        "{\"a\"",
        "{\"a",
        "{\"a\":tru",
        "{\"a\":truer}",
        "{a:1}",
      })
  void anythingElse_isLeftToTheWholeParser(String json) {
    assertThat(flat(json)).isNull();
  }

  @Test
  void path_atTheLimitIsRead_andOneOverLeft() {
    assertThat(flat("{\"" + "k".repeat(Path.MAX_BYTES - 1) + "\":1}")).hasSize(1);
    assertThat(flat("{\"" + "k".repeat(Path.MAX_BYTES) + "\":1}")).isNull();
  }

  /** An object that is nearly flat, with a byte here or there that does not belong. */
  private static byte[] damaged(RandomGenerator random) {
    var json = new StringBuilder("{");
    for (int i = random.nextInt(5); i >= 0; i--) {
      String key = Gen.pick(random, List.of("a", "b", "", "\u00e9", "\\u0061"));
      String value =
          Gen.pick(
              random, List.of("1", "-7", "0", "true", "null", "\"x\"", "1.5", "{}", "\"\\\"\""));
      json.append('"').append(key).append("\": ").append(value).append(i > 0 ? "," : "}");
    }
    byte[] bytes = utf8(json.toString());
    if (random.nextBoolean()) {
      bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(128);
    }
    return bytes;
  }

  @Test
  void leaves_ofNearlyFlatObjects_areThoseOfTheWholeParser() {
    Property.forAll(
        50_000,
        Gen.of(FlatObjectTest::damaged),
        json -> {
          byte[] canonical;
          try {
            canonical = CanonicalJson.canonical(json);
          } catch (CoreException e) {
            assertThatThrownBy(() -> CanonicalJson.leaves(json)).isInstanceOf(CoreException.class);
            return;
          }
          List<Leaf> leaves = CanonicalJson.leaves(json);
          assertThat(leaves).isSorted();
          assertThat(CanonicalJson.join(leaves)).isEqualTo(canonical);
        });
  }
}
