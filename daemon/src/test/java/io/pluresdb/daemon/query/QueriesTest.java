package io.pluresdb.daemon.query;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.daemon.node.NodeOptions;
import io.pluresdb.storage.index.IndexDefinition;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Each test has a prefix, or a database, of its own. */
class QueriesTest {
  @TempDir static Path directory;
  private static DeviceNode node;

  @BeforeAll
  static void open() {
    node = DeviceNode.open(directory, NodeOptions.offline("laptop"));
  }

  @AfterAll
  static void close() {
    node.close();
  }

  private static Queries in(String database) {
    return new Queries(node.store(database), node.searches(database), () -> {});
  }

  private static Queries fresh(String database) {
    node.createDatabase(database, io.pluresdb.daemon.node.Quota.NONE);
    return in(database);
  }

  private static byte[] bytes(String json) {
    return json.getBytes(StandardCharsets.UTF_8);
  }

  private static void put(String database, String id, String json) {
    node.store(database).put(id, bytes(json));
  }

  private static String rows(Queries queries, String sql, Object... parameters) {
    var values = new ArrayList<Value>();
    for (Object one : parameters) {
      values.add(
          one instanceof Integer number
              ? Value.of(number.longValue())
              : new Value.Text(one.toString()));
    }
    return queries.sql(sql, values).rows().stream()
        .map(row -> String.join(",", row.stream().map(Value::text).toList()))
        .toList()
        .toString();
  }

  private static List<String> ids(Queries.Nodes nodes) {
    return nodes.nodes().stream().map(Queries.Node::id).toList();
  }

  private static Queries films(String database) {
    Queries films = fresh(database);
    put(database, "film:1", "{\"title\":\"Alien\",\"year\":1979,\"genres\":[\"Horror\",\"SF\"]}");
    put(
        database,
        "film:2",
        "{\"title\":\"Brazil\",\"year\":1985,\"genres\":[\"SF\"],\"rating\":{\"imdb\":7.9}}");
    put(database, "film:3", "{\"title\":\"Casablanca\",\"year\":1942,\"genres\":[\"Drama\"]}");
    put(database, "film:x", "{\"title\":\"Unknown\",\"year\":null}");
    put(database, "note", "{\"type\":\"note\",\"year\":1979}");
    return films;
  }

  @Test
  void select_ofATable_givesItsRows() {
    Queries films = films("films");
    assertThat(rows(films, "SELECT title FROM film WHERE year > 1950 ORDER BY year DESC"))
        .isEqualTo("[\"Brazil\", \"Alien\"]");
    assertThat(rows(films, "SELECT key, rating.imdb r FROM film WHERE key IN (1, '2')"))
        .isEqualTo("[\"1\",null, \"2\",7.9]");
    assertThat(rows(films, "SELECT id FROM documents WHERE year = ?", 1979))
        .isEqualTo("[\"film:1\", \"note\"]");
    assertThat(rows(films, "SELECT id FROM film WHERE genres CONTAINS 'SF'"))
        .isEqualTo("[\"film:1\", \"film:2\"]");
    assertThat(rows(films, "SELECT id FROM film WHERE title LIKE '_a%a'"))
        .isEqualTo("[\"film:3\"]");
    assertThat(rows(films, "SELECT id FROM film WHERE title LIKE 'Br%'")).isEqualTo("[\"film:2\"]");
    assertThat(rows(films, "SELECT id FROM documents WHERE id > 'film:2' LIMIT 2"))
        .isEqualTo("[\"film:3\", \"film:x\"]");
    assertThat(rows(films, "SELECT key FROM film WHERE key = 3")).isEqualTo("[\"3\"]");
    assertThat(rows(films, "SELECT key FROM film ORDER BY title LIMIT 2 OFFSET 1"))
        .isEqualTo("[\"2\", \"3\"]");
    assertThat(rows(films, "SELECT key FROM film LIMIT 0")).isEqualTo("[]");
    var all = films.sql("SELECT * FROM film", List.of());
    assertThat(all.columns()).containsExactly("key", "genres", "rating", "title", "year");
    assertThat(films.sql("SELECT * FROM documents LIMIT 1", List.of()).columns())
        .containsExactly("id", "data", "timestamp");
  }

  @Test
  void select_withNulls_followsTheLogicOfSql() {
    Queries films = films("nulls");
    assertThat(rows(films, "SELECT key FROM film WHERE year <> 1979")).isEqualTo("[\"2\", \"3\"]");
    assertThat(rows(films, "SELECT key FROM film WHERE NOT year = 1979"))
        .isEqualTo("[\"2\", \"3\"]");
    assertThat(rows(films, "SELECT key FROM film WHERE year IS NULL")).isEqualTo("[\"x\"]");
    assertThat(rows(films, "SELECT key FROM film WHERE year NOT IN (1979, NULL)")).isEqualTo("[]");
    assertThat(rows(films, "SELECT key FROM film WHERE year = NULL OR year IS NOT NULL"))
        .isEqualTo("[\"1\", \"2\", \"3\"]");
    assertThat(ids(films.pipeline("filter(id starts_with \"film:\" and year != 1979)")))
        .containsExactly("film:2", "film:3", "film:x");
    assertThat(ids(films.pipeline("filter(not (year > 1950)) |> filter(year == null)")))
        .containsExactly("film:x");
  }

  @Test
  void select_inGroups_countsAndSums() {
    Queries queries = fresh("groups");
    for (int i = 0; i < 10; i++) {
      put(
          "groups",
          "n:" + i,
          "{\"kind\":\"" + (i % 3) + "\",\"n\":" + i + ",\"half\":" + i / 2.0 + "}");
    }
    assertThat(
            rows(
                queries,
                "SELECT kind, COUNT(*) AS c, SUM(n) FROM n GROUP BY kind ORDER BY c DESC, kind"))
        .isEqualTo("[\"0\",4,18, \"1\",3,12, \"2\",3,15]");
    assertThat(
            rows(
                queries, "SELECT COUNT(*), AVG(half), MIN(n), MAX(n), COUNT(DISTINCT kind) FROM n"))
        .isEqualTo("[10,2.25,0,9,3]");
    assertThat(rows(queries, "SELECT kind FROM n GROUP BY kind HAVING kind <> '1'"))
        .isEqualTo("[\"0\", \"2\"]");
    assertThat(rows(queries, "SELECT kind, COUNT(*) FROM n GROUP BY kind HAVING COUNT(*) > 3"))
        .isEqualTo("[\"0\",4]");
    assertThat(rows(queries, "SELECT DISTINCT kind FROM n ORDER BY kind DESC"))
        .isEqualTo("[\"2\", \"1\", \"0\"]");
    assertThat(rows(queries, "SELECT COUNT(*), SUM(n) FROM nothing")).isEqualTo("[0,null]");
  }

  /** Both see no row before they write: all rows of one of them are written, none of the other. */
  @Test
  void inserts_ofTheSameRowsAtOnce_areWholeOrNot() throws InterruptedException {
    Queries queries = fresh("race");
    for (int round = 0; round < 50; round++) {
      int first = 10 * round;
      var written = new ConcurrentLinkedQueue<Integer>();
      var refused = new ConcurrentLinkedQueue<RuntimeException>();
      var start = new CountDownLatch(1);
      var threads = new ArrayList<Thread>();
      for (int writer = 0; writer < 4; writer++) {
        int who = writer;
        threads.add(
            Thread.ofVirtual()
                .start(
                    () -> {
                      try {
                        start.await();
                        // Each begins with a row of its own, and has the others in common.
                        queries.sql(
                            "INSERT INTO r (key, w) VALUES ('%d-%d', %d), (%d, %d), (%d, %d)"
                                .formatted(first, who, who, first, who, first + 1, who),
                            List.of());
                        written.add(who);
                      } catch (RuntimeException e) {
                        refused.add(e);
                      } catch (InterruptedException e) {
                        Thread.currentThread().interrupt();
                      }
                    }));
      }
      start.countDown();
      for (Thread thread : threads) {
        thread.join();
      }
      assertThat(written).hasSize(1);
      assertThat(refused)
          .hasSize(3)
          .allSatisfy(e -> assertThat(e).hasMessageContaining("exists; INSERT OR REPLACE"));
      assertThat(
              rows(
                  queries,
                  "SELECT w FROM r WHERE id IN ('r:%d', 'r:%d')".formatted(first, first + 1)))
          .isEqualTo("[%d, %d]".formatted(written.peek(), written.peek()));
      assertThat(rows(queries, "SELECT COUNT(*) FROM r")).isEqualTo("[" + 3 * (round + 1) + "]");
    }
  }

  @Test
  void insertUpdateDelete_write_andSayWhatTheyChanged() {
    Queries queries = fresh("writes");
    Queries.Result inserted =
        queries.sql(
            "INSERT INTO user (key, name, home.city) VALUES (7, 'Ann', 'Bonn'), (8, 'Ben', NULL)",
            List.of());
    assertThat(inserted.changes()).isEqualTo(2);
    assertThat(inserted.lastKey()).isEqualTo(8);
    assertThat(rows(queries, "SELECT id, data FROM documents"))
        .isEqualTo(
            "[\"user:7\",{\"home\":{\"city\":\"Bonn\"},\"name\":\"Ann\"}, \"user:8\",{\"name\":\"Ben\"}]");
    assertThatThrownBy(
            () -> queries.sql("INSERT INTO user (key, name) VALUES (9, 'C'), (7, 'D')", List.of()))
        .isInstanceOf(CoreException.class)
        .hasMessageContaining("\"user:7\" exists; INSERT OR REPLACE");
    assertThat(rows(queries, "SELECT COUNT(*) FROM user")).isEqualTo("[2]");
    queries.sql(
        "INSERT OR REPLACE INTO user (key, data) VALUES (7, ?)",
        List.of(Value.parse(bytes("{\"n\":1}"))));
    assertThat(
            queries
                .sql("UPDATE user SET n = n + 5, home.zip = 53111, name = NULL", List.of())
                .changes())
        .isEqualTo(2);
    assertThat(rows(queries, "SELECT data FROM user"))
        .isEqualTo("[{\"home\":{\"zip\":53111},\"n\":6}, {\"home\":{\"zip\":53111},\"n\":5}]");
    assertThat(queries.sql("DELETE FROM user WHERE n = 6", List.of()).changes()).isEqualTo(1);
    assertThat(queries.sql("DELETE FROM user WHERE n = 6", List.of()).changes()).isZero();
    assertThat(rows(queries, "SELECT key FROM user")).isEqualTo("[\"8\"]");
  }

  @Test
  void statement_overALimit_isRefusedAndChangesNothing() {
    Queries queries = fresh("limits");
    var edits = new ArrayList<Edit>();
    for (int i = 0; i <= QueryLimits.MAX_ROWS; i++) {
      edits.add(Edit.put("d:" + i, bytes("{\"n\":" + i + "}")));
      if (edits.size() == 1_000 || i == QueryLimits.MAX_ROWS) {
        node.store("limits").batch(edits);
        edits.clear();
      }
    }
    assertThatThrownBy(() -> queries.sql("SELECT n FROM d", List.of()))
        .hasMessageContaining("at most 10000 rows");
    assertThatThrownBy(() -> queries.pipeline("sort(by: \"n\")"))
        .hasMessageContaining("at most 10000 rows");
    assertThatThrownBy(() -> queries.sql("SELECT n FROM d LIMIT 9000 OFFSET 1001", List.of()))
        .hasMessageContaining("LIMIT and OFFSET together must be at most 10000, but are 10001");
    assertThatThrownBy(() -> queries.sql("DELETE FROM d", List.of()))
        .hasMessageContaining("changes at most 1000 documents");
    assertThatThrownBy(() -> queries.sql("UPDATE d SET a = 1, n = n + 1 WHERE n < 501", List.of()))
        .hasMessageContaining("changes at most 500 documents");
    assertThat(rows(queries, "SELECT COUNT(*), SUM(n) FROM d")).isEqualTo("[10001,50005000]");
    assertThat(queries.sql("SELECT n FROM d LIMIT 10000", List.of()).rows()).hasSize(10_000);
    put("limits", "big:1", "\"" + "x".repeat(1_000_000) + "\"");
    assertThat(queries.sql("SELECT data FROM big", List.of()).rows()).hasSize(1);
    for (int i = 2; i <= 5; i++) {
      put("limits", "big:" + i, "\"" + "x".repeat(1_000_000) + "\"");
    }
    assertThatThrownBy(() -> queries.sql("SELECT data FROM big", List.of()))
        .hasMessageContaining("at most 4194304 bytes of JSON");
  }

  @Test
  void pipeline_ofSteps_doesThemInTheirOrder() {
    Queries films = films("steps");
    assertThat(
            ids(
                films.pipeline(
                    "filter(year > 1950) |> sort(by: \"year\", dir: \"desc\") |> limit(2)")))
        .containsExactly("film:2", "note");
    assertThat(ids(films.pipeline("sort(by: \"title\") |> sort(by: \"year\")")))
        .containsExactly("film:x", "film:3", "film:1", "note", "film:2");
    assertThat(ids(films.pipeline("limit(2) |> filter(year < 1980)"))).containsExactly("film:1");
    assertThat(films.pipeline("aggregate(count)").aggregate()).isEqualTo(Value.of(5));
    assertThat(films.pipeline("limit(3) |> aggregate(sum, field: \"year\")").aggregate())
        .isEqualTo(Value.of(5906));
    assertThat(films.pipeline("aggregate(distinct, field: \"year\")").aggregate())
        .isEqualTo(Value.parse(bytes("[1942,1979,1985]")));
    assertThat(ids(films.pipeline("filter(title contains \"bl\" or genres contains \"Horror\")")))
        .containsExactly("film:1", "film:3");
    assertThat(
            films
                .pipeline(
                    "filter(id == \"film:2\") |> project([\"rating.imdb\", \"year\", \"no\"])")
                .nodes()
                .getFirst()
                .data()
                .text())
        .isEqualTo("{\"rating\":{\"imdb\":7.9},\"year\":1985}");
    Queries.Nodes written =
        films.pipeline(
            "mutate(put(\"new\", {\"year\": 2024}), patch(\"note\", {\"year\": 2025}), delete(\"film:x\"))"
                + " |> filter(year > 2000)");
    assertThat(written.mutated()).isEqualTo(3);
    assertThat(ids(written)).containsExactly("new", "note");
    Value ir =
        Value.parse(
            bytes(
                "[{\"op\":\"filter\",\"predicate\":{\"and\":[{\"field\":\"year\",\"cmp\":\">=\",\"value\":1979},"
                    + "{\"not\":{\"field\":\"id\",\"cmp\":\"==\",\"value\":\"note\"}}]}},"
                    + "{\"op\":\"sort\",\"by\":\"year\",\"dir\":\"desc\"},{\"op\":\"limit\",\"n\":2}]"));
    assertThat(ids(films.steps(ir))).containsExactly("new", "film:2");
  }

  @Test
  void writing_withoutTheScope_isRefused() {
    String database = "scope";
    fresh(database);
    var reader =
        new Queries(
            node.store(database),
            node.searches(database),
            () -> {
              throw new IllegalStateException("no");
            });
    for (String sql :
        List.of("DELETE FROM a", "UPDATE a SET b = 1", "INSERT INTO a (key) VALUES (1)")) {
      assertThatThrownBy(() -> reader.sql(sql, List.of())).hasMessage("no");
    }
    assertThatThrownBy(() -> reader.pipeline("mutate(put(\"a\", 1))")).hasMessage("no");
    assertThat(reader.sql("SELECT a FROM b", List.of()).rows()).isEmpty();
  }

  /** What goes through the store's filters and indexes gives what looking at every row gives. */
  @Test
  void condition_ofAnyKind_givesTheSameWithIndexesAndByLookingAtEveryRow() {
    String database = "random";
    Queries queries = fresh(database);
    var random = new SplittableRandom(7);
    List<String> values =
        List.of(
            "1", "2", "2.5", "\"a\"", "\"ab\"", "\"b\"", "true", "null", "[1,\"a\"]", "{\"c\":1}");
    var edits = new ArrayList<Edit>();
    for (int i = 0; i < 300; i++) {
      String a = values.get(random.nextInt(values.size()));
      String b = values.get(random.nextInt(values.size()));
      String json =
          random.nextInt(5) == 0 ? "{\"b\":" + b + "}" : "{\"a\":" + a + ",\"b\":" + b + "}";
      edits.add(Edit.put((random.nextBoolean() ? "t:" : "u:") + i, bytes(json)));
    }
    node.store(database).batch(edits);
    node.searches(database).declare(new IndexDefinition(List.of("a", "b")));
    node.searches(database).declare(new IndexDefinition(List.of("a[]")));
    node.searches(database).await(30_000);
    List<Row> all = new ArrayList<>();
    try (var documents = node.store(database).list("", null)) {
      documents.forEachRemaining(document -> all.add(Row.of(document, "t:")));
    }
    for (int run = 0; run < 500; run++) {
      String condition = condition(random, 2, values);
      boolean ofTable = random.nextBoolean();
      String table = ofTable ? "t" : "documents";
      String order =
          random.nextBoolean() ? "" : " ORDER BY a" + (random.nextBoolean() ? " DESC" : "");
      String limit = random.nextBoolean() ? "" : " LIMIT " + random.nextInt(1, 20);
      String sql = "SELECT id FROM " + table + " WHERE " + condition + order + limit;
      var select = (Statement.Select) Sql.parse(sql, List.of());
      var expected = new ArrayList<Row>();
      for (Row row : all) {
        boolean inTable = !ofTable || row.get(new Field.Id()).text().startsWith("\"t:");
        if (inTable && select.where().isMetBy(row)) {
          expected.add(row);
        }
      }
      if (!order.isEmpty()) {
        boolean down = order.endsWith("DESC");
        if (down) {
          java.util.Collections.reverse(expected);
        }
        Field a = new Field.Path(List.of("a"));
        expected.sort((x, y) -> Best.compare(x.get(a), y.get(a), down));
      }
      List<String> wanted =
          expected.stream()
              .map(row -> row.get(new Field.Id()).text())
              .limit(select.limit() == null ? 1_000 : select.limit())
              .toList();
      assertThat(rows(queries, sql)).as("run %d: %s", run, sql).isEqualTo(wanted.toString());
    }
  }

  private static String condition(SplittableRandom random, int depth, List<String> values) {
    String field = List.of("a", "b", "id", "b.c").get(random.nextInt(4));
    String value = values.get(random.nextInt(8)).replace('"', '\'');
    return switch (random.nextInt(depth == 0 ? 8 : 11)) {
      case 0 -> field + " = " + value;
      case 1 -> field + " <> " + value;
      case 2 -> field + List.of(" < ", " <= ", " > ", " >= ").get(random.nextInt(4)) + value;
      case 3 -> field + " IN (" + value + ", 'b')";
      case 4 -> field + " LIKE '" + List.of("a%", "%b", "t:1%", "a").get(random.nextInt(4)) + "'";
      case 5 -> field + " IS NULL";
      case 6 -> field + " CONTAINS " + value;
      case 7 -> field + " BETWEEN 1 AND " + value;
      case 8 -> "NOT (" + condition(random, depth - 1, values) + ")";
      case 9 ->
          "("
              + condition(random, depth - 1, values)
              + " OR "
              + condition(random, depth - 1, values)
              + ")";
      default ->
          condition(random, depth - 1, values) + " AND " + condition(random, depth - 1, values);
    };
  }
}
