package io.pluresdb.daemon.query;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.CoreException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class LanguageTest {
  private static final int RUNS = Integer.getInteger("query.runs", 3_000);

  private static void assertSql(String sql, String message, Value... parameters) {
    assertThatThrownBy(() -> Sql.parse(sql, List.of(parameters)))
        .as(sql)
        .isInstanceOf(QueryException.class)
        .hasMessageContaining(message);
  }

  private static void assertPipeline(String text, String message) {
    assertThatThrownBy(() -> Pipeline.parse(text))
        .as(text)
        .isInstanceOf(QueryException.class)
        .hasMessageContaining(message);
  }

  private static void assertSteps(String json, String message) {
    assertThatThrownBy(() -> Pipeline.ofJson(value(json)))
        .as(json)
        .isInstanceOf(QueryException.class)
        .hasMessageContaining(message);
  }

  private static Value value(String json) {
    return Value.parse(json.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void sql_thatIsNotUnderstood_namesThePlaceAndWhatIsAllowed() {
    assertSql("", "character 1: expected a statement, SELECT, INSERT, UPDATE, DELETE, but found");
    assertSql("SELCT * FROM a", "the nearest is SELECT");
    assertSql("SELECT", "character 7: expected a field, but found the end");
    assertSql("SELECT a b c FROM t", "character 12: expected \"FROM\", but found \"c\"");
    assertSql("SELECT a FROM t, u", "character 16: a statement is about one table");
    assertSql("SELECT a FROM t JOIN u", "there are no joins");
    assertSql("SELECT a FROM t WHERE", "expected a field, but found the end");
    assertSql("SELECT a FROM t WHERE a", "expected =, <>, <, <=, >, >=, IS, IN, LIKE");
    assertSql("SELECT a FROM t WHERE a = \"b\"", "double quotes are for names");
    assertSql("SELECT a FROM t WHERE a = ?", "this is question mark 1, but there are 0 params");
    assertSql("SELECT a FROM t", "has 0 question marks, but there are 1", Value.of(1));
    assertSql("SELECT a FROM t WHERE a NOT = 1", "after NOT");
    assertSql("SELECT a FROM t WHERE a LIKE 3", "LIKE takes a string");
    assertSql("SELECT a FROM t WHERE COUNT(*) > 1", "functions stand in columns and in HAVING");
    assertSql("SELECT a FROM t WHERE a = 'x", "character 27: the ' has no end");
    assertSql("SELECT a FROM t WHERE a = 1e999", "is not allowed");
    assertSql("SELECT a FROM t WHERE a = 12x", "character 29: a number must not go on");
    assertSql("SELECT a FROM t LIMIT 10001", "a whole number from 0 to 10000");
    assertSql("SELECT a FROM t LIMIT ?", "from 0 to 10000", Value.of(-1));
    assertSql("SELECT a FROM t GROUP BY b", "the column a must be in GROUP BY");
    assertSql("SELECT * FROM t GROUP BY b", "* does not go with groups");
    assertSql("SELECT a FROM t HAVING a = 1", "HAVING needs GROUP BY");
    assertSql("SELECT COUNT(*) FROM t HAVING a = 1", "HAVING must name one of the columns");
    assertSql("SELECT COUNT(*) FROM t ORDER BY a", "must be one of the columns: count(*)");
    assertSql("SELECT MEDIAN(a) FROM t", "COUNT, SUM, AVG, MIN, MAX, but is \"MEDIAN\"");
    assertSql("SELECT a FROM t ORDER BY 2", "the number of a column, a whole number from 1 to 1");
    assertSql("SELECT a FROM t; SELECT b FROM t", "expected the end");
    assertSql("SELECT a FROM \"\"", "a name must not be empty");
    assertSql("SELECT select FROM t", "must be in double quotes when it is a keyword");
    assertSql("SELECT a & b FROM t", "character 10: the character \"&\" begins nothing");
    assertSql("INSERT INTO t (a) VALUES (1)", "either id or key");
    assertSql("INSERT INTO documents (a) VALUES (1)", "the columns must have id");
    assertSql("INSERT INTO t (key, a) VALUES (1)", "there are 2 columns, but 1 values");
    assertSql("INSERT INTO t (key, data, a) VALUES (1, 2, 3)", "data is the whole document");
    assertSql("INSERT INTO t (key, timestamp) VALUES (1, 2)", "timestamp is not written");
    assertSql("INSERT INTO t (key, a, a) VALUES (1, 2, 3)", "named twice");
    assertSql("UPDATE t SET id = 1", "cannot be set");
    assertSql("UPDATE t SET a = b + 1", "the field itself plus or minus a whole number");
    assertSql("UPDATE t SET a = a + 'x'", "must be a whole number of at most");
    assertSql("UPDATE t SET a = 1, a.b = 2", "set twice, or with one inside it");
    assertSql("DELETE t", "expected \"FROM\"");
  }

  @Test
  void sql_overALimit_isRefusedAndAtItIsNot() {
    String deep = "SELECT a FROM t WHERE ";
    int most = QueryLimits.MAX_DEPTH - 1;
    assertThat(Sql.parse(deep + "(".repeat(most) + "a = 1" + ")".repeat(most), List.of()))
        .isNotNull();
    assertSql(
        deep + "(".repeat(most + 1) + "a = 1" + ")".repeat(most + 1), "nested deeper than 32");
    assertSql(deep + "NOT ".repeat(100_00) + "a = 1", "nested deeper than 32");
    String tests = "a = 1 OR ".repeat(QueryLimits.MAX_COMPARISONS - 1);
    assertThat(Sql.parse(deep + tests + "a = 1", List.of())).isNotNull();
    assertSql(deep + tests + "a = 1 OR a = 1", "at most 256 comparisons");
    String in = "a IN (1" + ", 1".repeat(QueryLimits.MAX_VALUES - 1);
    assertThat(Sql.parse(deep + in + ")", List.of())).isNotNull();
    assertSql(deep + in + ", 1)", "at most 1000 values of IN");
    String columns = "SELECT a" + ", a".repeat(QueryLimits.MAX_COLUMNS - 1);
    assertThat(Sql.parse(columns + " FROM t", List.of())).isNotNull();
    assertSql(columns + ", a FROM t", "at most 64 columns");
    String text = "SELECT a FROM t WHERE a = '";
    int rest = QueryLimits.MAX_CHARACTERS - text.length() - 1;
    assertThat(Sql.parse(text + "x".repeat(rest) + "'", List.of())).isNotNull();
    assertSql(text + "x".repeat(rest + 1) + "'", "at most 65536 characters, but is 65537");
    String rows = "INSERT INTO t (key) VALUES (1)" + ", (1)".repeat(999);
    assertThat(Sql.parse(rows, List.of())).isNotNull();
    assertSql(rows + ", (1)", "at most 1000 rows");
    var parameters = new Value[QueryLimits.MAX_PARAMETERS + 1];
    java.util.Arrays.fill(parameters, Value.of(1));
    assertSql("SELECT a FROM t", "params must be at most 1000, but are 1001", parameters);
  }

  @Test
  void pipeline_thatIsNotUnderstood_namesThePlaceAndWhatIsAllowed() {
    assertPipeline("", "character 1: expected a step: filter, sort, limit");
    assertPipeline("fliter(a == 1)", "the nearest is filter");
    assertPipeline("filter()", "character 8: expected a field, \"not\" or \"(\", but found \")\"");
    assertPipeline("filter(a = 1)", "expected one of ==, !=, <, <=, >, >=, in, contains");
    assertPipeline("filter(a == 'x')", "strings are in double quotes here");
    assertPipeline("filter(a < true)", "< takes a number or a string, but found true");
    assertPipeline("filter(a in 3)", "in takes an array of at most 1000 values");
    assertPipeline("filter(a starts_with 3)", "starts_with takes a string");
    assertPipeline("filter(a == 1) limit(2)", "expected \"|>\" and another step, or the end");
    assertPipeline("|> limit(5)", "character 1: expected a step");
    assertPipeline("limit(0)", "a whole number from 1 to 10000");
    assertPipeline("limit(-1)", "a whole number from 1 to 10000");
    assertPipeline("limit(10001)", "a whole number from 1 to 10000");
    assertPipeline("sort(dir: \"desc\")", "sort must name a field");
    assertPipeline(
        "sort(by: \"a\", dir: \"up\")", "dir must be \"asc\" or \"desc\", but is \"up\"");
    assertPipeline("sort(by: \"a..b\")", "names joined by dots");
    assertPipeline("sort(by: \"a\", by: \"b\")", "by is given twice");
    assertPipeline("project(a)", "expected \"[\"");
    assertPipeline("aggregate(median)", "one of count, sum, avg, min, max, distinct, collect");
    assertPipeline("aggregate(sum)", "sum must name a field");
    assertPipeline("aggregate(count) |> limit(1)", "aggregate must be the last step");
    assertPipeline("limit(1) |> mutate(delete(\"a\"))", "mutate must be the first step");
    assertPipeline("mutate(put(\"a\"))", "expected \",\"");
    assertPipeline("mutate(put(\"a\", {\"b\": 1, \"b\": 2}))", "given twice");
    assertPipeline("filter(a == \"\\x\")", "an escape must be one of");
    assertPipeline("filter(a == \"\\ud800\")", "half of a surrogate pair");
    assertPipeline("filter(a == " + "[".repeat(100_000 / 2) + ")", "nested deeper than 32");
  }

  @Test
  void steps_thatAreNotUnderstood_nameThePlaceAndWhatIsAllowed() {
    assertSteps("{}", "steps must be an array");
    assertSteps("[]", "a pipeline must have a step");
    assertSteps("[1]", "steps[0] must be an object");
    assertSteps("[{\"op\":\"flter\"}]", "the nearest is filter");
    assertSteps("[{\"op\":\"limit\",\"n\":0}]", "steps[0].n must be a whole number from 1");
    assertSteps("[{\"op\":\"limit\",\"m\":1}]", "has no member \"m\"; it takes op, n");
    assertSteps(
        "[{\"op\":\"filter\",\"predicate\":{\"field\":\"a\",\"cmp\":\"=\",\"value\":1}}]",
        ".cmp must be one of");
    assertSteps("[{\"op\":\"filter\",\"predicate\":{\"and\":[]}}]", "one predicate or more");
    assertSteps("[{\"op\":\"aggregate\",\"func\":\"sum\"}]", "sum must name a field");
    assertSteps(
        "[{\"op\":\"mutate\",\"ops\":[{\"op\":\"put\",\"id\":\"a\"}]}]",
        "must have a member \"data\"");
  }

  /** Random steps, written as text and read again. */
  private record Random(SplittableRandom random) {
    private static final List<String> FIELDS =
        List.of("a", "b.c", "id", "timestamp", "data.id", "type", "data.data");

    <T> T one(List<T> of) {
      return of.get(random.nextInt(of.size()));
    }

    Field field() {
      return Field.of(List.of(FIELDS.get(random.nextInt(FIELDS.size())).split("\\.")));
    }

    Value json(int depth) {
      return switch (random.nextInt(depth == 0 ? 5 : 7)) {
        case 0 -> Value.Null.VALUE;
        case 1 -> new Value.Truth(random.nextBoolean());
        case 2 -> Value.of(random.nextLong() >> random.nextInt(64));
        case 3 -> value(Double.toString(random.nextDouble(-1e3, 1e3)));
        case 4 -> new Value.Text(text());
        case 5 -> {
          var items = new ArrayList<Value>();
          for (int i = random.nextInt(3); i > 0; i--) {
            items.add(json(depth - 1));
          }
          yield new Value.Items(items);
        }
        default -> {
          String members = random.nextBoolean() ? "" : "\"x\":" + json(depth - 1).text();
          yield value("{" + members + "}");
        }
      };
    }

    String text() {
      var text = new StringBuilder();
      for (int i = random.nextInt(4); i > 0; i--) {
        text.append(
            List.of("a", "\"", "\\", "\n", "é", "\u0001", "%", "😀").get(random.nextInt(8)));
      }
      return text.toString();
    }

    Step.Predicate predicate(int depth) {
      switch (random.nextInt(depth == 0 ? 1 : 4)) {
        case 1, 2 -> {
          var parts = List.of(predicate(depth - 1), predicate(depth - 1));
          return random.nextBoolean()
              ? new Step.Predicate.All(parts)
              : new Step.Predicate.Any(parts);
        }
        case 3 -> {
          return new Step.Predicate.Not(predicate(depth - 1));
        }
        default -> {
          Step.Operator operator = one(List.of(Step.Operator.values()));
          Value operand = json(2);
          while (operator.wanted(operand) != null) {
            operand = json(2);
          }
          return new Step.Predicate.Test(field(), operator, operand);
        }
      }
    }

    Step step() {
      return switch (random.nextInt(4)) {
        case 0 -> new Step.Filter(predicate(3));
        case 1 -> new Step.Sort(field(), random.nextBoolean());
        case 2 -> new Step.Limit(random.nextInt(1, QueryLimits.MAX_ROWS + 1));
        default -> new Step.Project(List.of(field(), field()));
      };
    }

    List<Step> steps() {
      var steps = new ArrayList<Step>();
      if (random.nextInt(5) == 0) {
        steps.add(
            new Step.Mutate(
                List.of(
                    new Step.Operation.Put(text(), json(3)),
                    new Step.Operation.Patch(text(), json(3)),
                    new Step.Operation.Delete(text()))));
      }
      for (int i = random.nextInt(1, 4); i > 0; i--) {
        steps.add(step());
      }
      if (random.nextInt(3) == 0) {
        Step.Function function = one(List.of(Step.Function.values()));
        steps.add(new Step.Aggregate(function, field()));
      }
      return steps;
    }
  }

  private static String text(List<Step> steps) {
    return String.join(" |> ", steps.stream().map(Step::text).toList());
  }

  @Test
  void pipeline_writtenAndReadAgain_isTheSame() {
    for (int seed = 0; seed < RUNS; seed++) {
      List<Step> steps = new Random(new SplittableRandom(seed)).steps();
      assertThat(Pipeline.parse(text(steps))).as("seed %d: %s", seed, text(steps)).isEqualTo(steps);
    }
  }

  @Test
  void json_ofEveryKind_isReadAndWrittenTheSame() {
    for (int seed = 0; seed < RUNS; seed++) {
      Value value = new Random(new SplittableRandom(seed)).json(4);
      assertThat(value(value.text())).as("seed %d", seed).isEqualTo(value);
    }
  }

  private static final List<String> SQL =
      List.of(
          "SELECT DISTINCT a, b.c AS x, COUNT(*) FROM t WHERE a IN (1, 'x''y', NULL) AND NOT (b LIKE"
              + " 'a%_' OR c IS NOT NULL) GROUP BY a, b.c HAVING COUNT(*) > 3 ORDER BY 1 DESC, x"
              + " LIMIT 10 OFFSET 5;",
          "INSERT OR REPLACE INTO \"a table\" (key, a, b.c) VALUES ('x', -1.5e3, TRUE), (2, NULL, ?)",
          "UPDATE t SET a = 'x', n = n + 2, b.c = ? WHERE a BETWEEN 1 AND 2 AND g CONTAINS 'x'",
          "DELETE FROM documents WHERE id <> 'x' AND timestamp >= 17");

  /** Cut, doubled, exchanged and misspelt text is read or refused, never anything else. */
  @Test
  void text_thatIsBroken_isReadOrRefused() {
    String signs = "()[]{},.*=<>?;+-:|\"'\\ \n0a%_é\uD83D😀\u0000";
    int refused = 0;
    for (int seed = 0; seed < 3 * RUNS; seed++) {
      var random = new SplittableRandom(seed);
      boolean sql = random.nextBoolean();
      String whole = sql ? SQL.get(random.nextInt(SQL.size())) : text(new Random(random).steps());
      var text = new StringBuilder(whole);
      for (int i = random.nextInt(1, 4); i > 0 && !text.isEmpty(); i--) {
        int at = random.nextInt(text.length());
        switch (random.nextInt(4)) {
          case 0 -> text.deleteCharAt(at);
          case 1 -> text.insert(at, signs.charAt(random.nextInt(signs.length())));
          case 2 -> text.setLength(at);
          default -> text.insert(at, text.substring(at, Math.min(text.length(), at + 12)));
        }
      }
      try {
        if (sql) {
          assertThat(Sql.parse(text.toString(), List.of(Value.of(1)))).isNotNull();
        } else {
          assertThat(Pipeline.parse(text.toString())).isNotEmpty();
        }
      } catch (QueryException e) {
        assertThat(e).as("seed %d: %s", seed, text).hasMessageMatching("(?s).{10,}");
        refused++;
      } catch (RuntimeException e) {
        throw new AssertionError("seed " + seed + ": " + text, e);
      }
    }
    assertThat(refused).as("the breaking breaks").isGreaterThan(RUNS);
  }

  /** Random JSON where steps should be is read or refused. */
  @Test
  void steps_ofAnyJson_areReadOrRefused() {
    for (int seed = 0; seed < RUNS; seed++) {
      var random = new Random(new SplittableRandom(seed));
      String predicate =
          "{\"field\":"
              + random.json(1).text()
              + ",\"cmp\":\"==\",\"value\":"
              + random.json(2).text()
              + "}";
      String json =
          List.of(
                  "[" + random.json(3).text() + "]",
                  "[{\"op\":\"filter\",\"predicate\":" + predicate + "}]",
                  "[{\"op\":\"filter\",\"predicate\":{\"not\":" + predicate + "}}]",
                  "[{\"op\":\"limit\",\"n\":" + random.json(1).text() + "}]",
                  "[{\"op\":\"mutate\",\"ops\":[" + random.json(2).text() + "]}]")
              .get(seed % 5);
      try {
        assertThat(Pipeline.ofJson(value(json))).isNotEmpty();
      } catch (QueryException e) {
        assertThat(e).hasMessageContaining("steps");
      } catch (CoreException e) {
        throw new AssertionError("seed " + seed + ": " + json, e);
      }
    }
  }

  @Test
  void values_inOrder_areOrderedAsIndexesOrderThem() {
    List<Value> ordered =
        List.of(
            Value.Null.VALUE,
            new Value.Truth(false),
            new Value.Truth(true),
            value("-1e300"),
            Value.of(-3),
            value("0.5"),
            Value.of(9_007_199_254_740_992L),
            Value.of(9_007_199_254_740_993L),
            new Value.Text(""),
            new Value.Text("a"),
            new Value.Text("é"),
            new Value.Text("\uFF61"),
            new Value.Text("😀"),
            value("[1]"),
            value("{}"),
            Value.None.VALUE);
    for (int i = 0; i < ordered.size(); i++) {
      for (int j = 0; j < ordered.size(); j++) {
        assertThat(Integer.signum(ordered.get(i).compareTo(ordered.get(j))))
            .as("%s and %s", ordered.get(i), ordered.get(j))
            .isEqualTo(Integer.compare(i, j));
      }
    }
  }
}
