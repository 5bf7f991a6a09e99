package io.pluresdb.daemon.migration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.daemon.migration.SqliteSource.Row;
import io.pluresdb.daemon.migration.SqliteSource.Table;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What tables and values become, read from files that SQLite wrote. */
class SqliteSourceTest {
  @TempDir Path directory;

  private Path database(String... statements) throws SQLException {
    Path file = directory.resolve("source.db");
    try (var connection = DriverManager.getConnection("jdbc:sqlite:" + file);
        var statement = connection.createStatement()) {
      for (String sql : statements) {
        statement.executeUpdate(sql);
      }
    }
    return file;
  }

  private static List<String> lines(SqliteSource source, Table table, long skip) {
    var lines = new ArrayList<String>();
    try (var rows = source.rows(table, skip)) {
      for (Row row = rows.next(); row != null; row = rows.next()) {
        byte[] line = row.line();
        lines.add(
            line == null
                ? row.id() + " too large"
                : new String(line, StandardCharsets.UTF_8).strip());
      }
    }
    return lines;
  }

  @Test
  void values_keepWhatTheyAre() throws SQLException {
    Path file =
        database(
            "create table t (id integer primary key, i int, r real, s text, b blob, ok boolean,"
                + " j json, n)",
            "insert into t values (1, 9223372036854775807, 0.5, 'a\"\nü', x'00ff', 1,"
                + " '{\"a\": [1]}', null)",
            "insert into t values (2, -1, 9e999, '', x'', 7, 'no json', 'x')");
    try (SqliteSource source = SqliteSource.open(file)) {
      Table table = source.tables().getFirst();
      assertThat(table.rows()).isEqualTo(2);
      assertThat(table.key()).containsExactly("id");
      assertThat(lines(source, table, 0))
          .containsExactly(
              "{\"id\":\"t:1\",\"data\":{\"id\":1,\"i\":9223372036854775807,\"r\":0.5,"
                  + "\"s\":\"a\\\"\\nü\",\"b\":{\"$blob\":\"AP8=\"},\"ok\":true,\"j\":{\"a\": [1]},"
                  + "\"n\":null}}",
              "{\"id\":\"t:2\",\"data\":{\"id\":2,\"i\":-1,\"r\":\"Infinity\",\"s\":\"\","
                  + "\"b\":{\"$blob\":\"\"},\"ok\":7,\"j\":\"no json\",\"n\":\"x\"}}");
      assertThat(lines(source, table, 1)).hasSize(1);
    }
  }

  @Test
  void keys_nameEveryRowOnce() throws SQLException {
    Path file =
        database(
            "create table \"a:b\" (x text, y text, primary key (x, y)) without rowid",
            "insert into \"a:b\" values ('1:2', '3'), ('1', '2:3'), ('%3A', '')",
            "create table plain (rowid text)",
            "insert into plain values ('first'), ('second')",
            "create view v as select 1");
    try (SqliteSource source = SqliteSource.open(file)) {
      assertThat(source.tables()).extracting(Table::name).containsExactly("a:b", "plain");
      assertThat(lines(source, source.tables().getFirst(), 0))
          .extracting(line -> line.substring(7, line.indexOf("\",\"data")))
          .containsExactly("a%3Ab:%253A:", "a%3Ab:1:2%3A3", "a%3Ab:1%3A2:3");
      assertThat(lines(source, source.tables().getLast(), 0))
          .containsExactly(
              "{\"id\":\"plain:1\",\"data\":{\"rowid\":\"first\"}}",
              "{\"id\":\"plain:2\",\"data\":{\"rowid\":\"second\"}}");
    }
  }

  @Test
  void rowsBeyondTheLimit_areNamed_andOneAtItIsNot() throws SQLException {
    int around = "{\"id\":\"t:1\",\"data\":{\"s\":\"\"}}".length();
    int most = SqliteSource.MAX_ROW_BYTES - around + "}}".length();
    Path file =
        database(
            "create table t (s text)",
            "insert into t values (printf('%." + most + "c', 'x'))",
            "insert into t values (printf('%." + (most + 1) + "c', 'x'))");
    try (SqliteSource source = SqliteSource.open(file)) {
      List<String> lines = lines(source, source.tables().getFirst(), 0);
      assertThat(lines.get(0)).startsWith("{\"id\":\"t:1\"");
      assertThat(lines.get(1)).isEqualTo("t:2 too large");
    }
  }

  @Test
  void whatIsNoSqlite_isRefused() throws IOException {
    Path file = Files.writeString(directory.resolve("x.db"), "no database, but long enough");
    assertThatThrownBy(() -> SqliteSource.open(file))
        .isInstanceOf(MigrationException.class)
        .hasMessageContaining("is no SQLite database");
    assertThatThrownBy(() -> SqliteSource.open(directory.resolve("none")))
        .isInstanceOf(MigrationException.class)
        .hasMessageContaining("cannot be read");
    assertThatThrownBy(() -> SqliteSource.open(Files.writeString(directory.resolve("y"), "short")))
        .isInstanceOf(MigrationException.class)
        .hasMessageContaining("cannot be read");
  }
}
