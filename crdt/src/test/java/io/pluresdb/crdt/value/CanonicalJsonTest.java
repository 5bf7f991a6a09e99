package io.pluresdb.crdt.value;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.op.Register;
import io.pluresdb.crdt.property.Gen;
import io.pluresdb.crdt.property.Property;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** One encoding for every value, and nothing accepted that has none. */
class CanonicalJsonTest {
  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static String canonical(String json) {
    return new String(CanonicalJson.canonical(utf8(json)), StandardCharsets.UTF_8);
  }

  private static void assertRefused(byte[] json) {
    assertThatThrownBy(() -> CanonicalJson.canonical(json))
        .isInstanceOfSatisfying(
            CoreException.class,
            e -> assertThat(e.kind()).isEqualTo(CoreException.Kind.SERIALIZATION));
    assertThatThrownBy(() -> CanonicalJson.leaves(json)).isInstanceOf(CoreException.class);
    assertThat(CanonicalJson.isLeafValue(json)).isFalse();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '>',
      quoteCharacter = '`',
      value = {
        "-0 > 0",
        "-0.0 > 0",
        "0e7 > 0",
        "1.0 > 1",
        "1e0 > 1",
        "1E2 > 100",
        "1e18 > 1000000000000000000",
        "-1.5e1 > -15",
        "1.50 > 1.5",
        "0.1 > 0.1",
        "1e-5 > 1e-5",
        "0.00001 > 1e-5",
        "1.25E-7 > 1.25e-7",
        "1e23 > 1e23",
        "-1e23 > -1e23",
        "5e-324 > 4.9e-324",
        "1e-400 > 0",
        "-1e-400 > 0",
        "1.7976931348623157e308 > 1.7976931348623157e308",
        "9007199254740993 > 9007199254740993",
        "9223372036854775807 > 9223372036854775807",
        "-9223372036854775808 > -9223372036854775808",
        "9223372036854775808.0 > 9.223372036854775807e18",
        "[ 1 , 2 ] > [1,2]",
        "{ \"b\" : 1 , \"a\" : {} } > {\"a\":{},\"b\":1}",
        "{\"ab\":1,\"a\":2,\"\":3} > {\"\":3,\"a\":2,\"ab\":1}",
        "\"\\u0041\" > \"A\"",
        "\"\\/\" > \"/\"",
        "\"\\u000a\\u0008\\u0009\\u000c\\u000d\" > \"\\n\\b\\t\\f\\r\"",
        "\"\\u0000\\u001F\\u007f\" > \"\\u0000\\u001f\u007f\"",
        "\"\\u00e9\" > \"\u00e9\"",
        "\"\\ud83d\\ude00\" > \"\ud83d\ude00\"",
        "{\"\\u0000\":1,\"\\u0001\":2} > {\"\\u0000\":1,\"\\u0001\":2}",
      })
  void canonical_ofAnAcceptedValue_isPinned(String json, String expected) {
    // 2^63 as a double prints as the shortest digits that read back the same.
    String wanted = expected.equals("9.223372036854775807e18") ? "9.223372036854776e18" : expected;
    assertThat(canonical(json)).isEqualTo(wanted);
    assertThat(canonical(wanted)).isEqualTo(wanted);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        " ",
        "1 2",
        "{}x",
        "{}}",
        "[1,]",
        "{\"a\":1,}",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "-1e400",
        "9223372036854775808",
        "-9223372036854775809",
        "123456789012345678901234567890",
        "01",
        "+1",
        ".5",
        "1.",
        "0x10",
        "tru",
        "'a'",
        "{a:1}",
        "// c\n1",
        "\"\\ud800\"",
        "\"\\udc00x\"",
        "{\"\\ud800\":1}",
        "[\"\\ud83d\\u0041\"]",
        "\"\\x41\"",
        "\"a\nb\"",
        "\"\u0001\"",
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"\\u0061\":2}",
        "[{\"k\":{\"a\":1,\"\\u0061\":2}}]",
        "\ufeff{}",
        "\"open",
        "[",
        "{\"a\"",
        "nul\u0000"
      })
  void canonical_ofWhatHasNoCanonicalForm_isRefused(String json) {
    assertRefused(utf8(json));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "22ff22", // no UTF-8 at all
        "22c322", // truncated
        "22c0af22", // overlong '/'
        "22e08080" + "22", // overlong NUL
        "22eda08022", // a raw surrogate
        "22eda0bdedb88022", // CESU-8
        "22f490808022", // beyond U+10FFFF
        "7b007d00", // UTF-16, little-endian
        "007b007d", // UTF-16, big-endian
        "0000007b0000007d", // UTF-32
        "3100" // a digit and NUL
      })
  void canonical_ofOtherEncodings_isRefused(String hex) {
    assertRefused(HexFormat.of().parseHex(hex));
  }

  @Test
  void depth64_isAccepted_anywhere_and65Refused() {
    for (String[] brackets : new String[][] {{"[", "]"}, {"{\"a\":", "}"}}) {
      String fits = brackets[0].repeat(64) + "1" + brackets[1].repeat(64);
      assertThat(canonical(fits)).isEqualTo(fits);
      assertThatCode(() -> CanonicalJson.leaves(utf8(fits))).doesNotThrowAnyException();
      assertThatThrownBy(() -> canonical(brackets[0] + fits + brackets[1]))
          .isInstanceOf(CoreException.class);
    }
  }

  @Test
  void deepestAcceptedDocument_hasPathsThatPeersAccept() {
    String deepest = "{\"a\":".repeat(64) + "1" + "}".repeat(64);
    for (Leaf leaf : CanonicalJson.leaves(utf8(deepest))) {
      assertThatCode(() -> Path.check(leaf.path())).doesNotThrowAnyException();
      assertThat(Register.path(Register.field(leaf.path()))).isEqualTo(leaf.path());
    }
  }

  @Test
  void size_atTheLimitIsAccepted_andOneOverRefused() {
    String fits = "\"" + "x".repeat(CanonicalJson.MAX_BYTES - 2) + "\"";
    assertThat(canonical(fits)).isEqualTo(fits);
    assertThatThrownBy(() -> canonical(fits + " "))
        .isInstanceOfSatisfying(
            CoreException.class, e -> assertThat(e.kind()).isEqualTo(CoreException.Kind.TOO_LARGE))
        .hasMessageContaining("1048577");
  }

  @Test
  void path_atTheLimitIsAccepted_andOneOverRefused() {
    String fits = "{\"" + "k".repeat(Path.MAX_BYTES - 1) + "\":1}";
    assertThat(CanonicalJson.leaves(utf8(fits)).getFirst().path()).hasSize(Path.MAX_BYTES);
    String over = "{\"" + "k".repeat(Path.MAX_BYTES) + "\":1}";
    assertThatThrownBy(() -> CanonicalJson.leaves(utf8(over))).hasMessageContaining("4097");
  }

  /** JSON with all liberties the grammar gives. */
  private static String json(RandomGenerator random, int depth) {
    String space = Gen.pick(random, List.of("", "", " ", "\n\t"));
    int kind = random.nextInt(depth > 3 ? 6 : 9);
    return space
        + switch (kind) {
          case 0 -> Gen.pick(random, List.of("null", "true", "false", "-0", "1e2", "0.10", "1e-7"));
          case 1 -> Long.toString(random.nextLong() >> random.nextInt(64));
          case 2 -> finite(random);
          case 3, 4, 5 -> string(random);
          case 6 -> {
            var elements = new ArrayList<String>();
            for (int i = random.nextInt(4); i > 0; i--) {
              elements.add(json(random, depth + 1));
            }
            yield "[" + String.join(",", elements) + space + "]";
          }
          default -> {
            var fields = new ArrayList<String>();
            for (int i = random.nextInt(4); i > 0; i--) {
              // The number keeps keys apart.
              fields.add(
                  "\"" + i + string(random).substring(1) + space + ":" + json(random, depth + 1));
            }
            yield "{" + String.join(",", fields) + "}";
          }
        }
        + space;
  }

  private static String finite(RandomGenerator random) {
    double value = Double.longBitsToDouble(random.nextLong());
    return Double.isFinite(value) ? Double.toString(value) : "0.5";
  }

  private static String string(RandomGenerator random) {
    var out = new StringBuilder("\"");
    for (int i = random.nextInt(6); i > 0; i--) {
      out.append(
          Gen.pick(
              random,
              List.of(
                  "a",
                  "Z",
                  "\u00e9",
                  "\ud83d\ude00",
                  "\\u0000",
                  "\\u0001",
                  "\\\"",
                  "\\\\",
                  "\\n",
                  "\\/",
                  "\\ud83d\\ude00",
                  "\\u00E9",
                  ".",
                  "\u007f",
                  "\uffff")));
    }
    return out.append('"').toString();
  }

  @Test
  void canonical_ofCanonical_isItself() {
    Property.forAll(
        20_000,
        Gen.of(random -> json(random, 0)),
        json -> {
          String once = canonical(json);
          assertThat(canonical(once)).isEqualTo(once);
        });
  }

  @Test
  void join_ofLeaves_isTheCanonicalDocument() {
    Property.forAll(
        20_000,
        Gen.of(random -> json(random, 0)),
        json -> {
          List<Leaf> leaves = CanonicalJson.leaves(utf8(json));
          assertThat(leaves).isSorted();
          assertThat(new String(CanonicalJson.join(leaves), StandardCharsets.UTF_8))
              .isEqualTo(canonical(json));
          for (Leaf leaf : leaves) {
            assertThat(CanonicalJson.isLeafValue(leaf.value())).isTrue();
            Path.check(leaf.path());
          }
        });
  }

  @Test
  void isLeafValue_acceptsExactlyWhatLeavesProduces() {
    Property.forAll(
        20_000,
        Gen.of(
            random -> {
              byte[] value = utf8(json(random, 2));
              if (random.nextBoolean() && value.length > 0) {
                value[random.nextInt(value.length)] = (byte) random.nextInt(256);
              }
              return value;
            }),
        value -> {
          boolean produced;
          try {
            List<Leaf> leaves = CanonicalJson.leaves(value);
            produced =
                leaves.size() == 1
                    && leaves.getFirst().path().length == 0
                    && Arrays.equals(leaves.getFirst().value(), value);
          } catch (CoreException e) {
            produced = false;
          }
          assertThat(CanonicalJson.isLeafValue(value))
              .as(() -> new String(value, StandardCharsets.ISO_8859_1))
              .isEqualTo(produced);
        });
  }

  @Test
  void paths_ofKeysWithNulAndOne_sortLikeTheKeys_andComeBack() {
    List<String> keys =
        List.of("", "\u0000", "\u0000\u0000", "\u0000\u0001", "\u0001", "\u0001a", "\u0002", "a");
    byte[] before = {};
    for (String key : keys) {
      String json = "{" + Quoted.of(key) + ":1}";
      byte[] path = CanonicalJson.leaves(utf8(json)).getFirst().path();
      assertThat(Path.keys(path)).containsExactly(key);
      assertThat(Arrays.compareUnsigned(before, path)).isNegative();
      Path.check(path);
      before = path;
    }
  }
}
