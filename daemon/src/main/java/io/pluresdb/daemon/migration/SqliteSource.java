package io.pluresdb.daemon.migration;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import io.pluresdb.daemon.api.JsonWriter;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.sqlite.SQLiteConfig;

/**
 * The tables of an SQLite database as documents, all of one moment; the file is only read.
 *
 * <p>A row is the document {@code TABLE:KEY} with a member for each column. KEY is the primary key,
 * or the rowid where there is none; the parts of a key of several columns are joined by colons.
 * Colons and percent signs of names and keys are written {@code %3A} and {@code %25}, so that no
 * two rows share an id. An INTEGER or REAL value is a number, except in a column declared BOOLEAN,
 * where 0 and 1 are false and true, and an infinite one, which is a text. A TEXT value is a string,
 * except in a column declared JSON, where it is what it holds. A BLOB is {@code {"$blob": BASE64}}.
 */
public final class SqliteSource implements AutoCloseable {
  /** Longest JSON text of one row; what it becomes must fit into a change of 1 MiB. */
  public static final int MAX_ROW_BYTES = 960 << 10;

  private static final String MAGIC = "SQLite format 3\0";
  private static final JsonFactory JSON = new JsonFactory();

  /**
   * A table.
   *
   * @param key the columns that name a row, in their order; empty for the rowid
   * @param rows how many there are
   */
  public record Table(String name, List<Column> columns, List<String> key, long rows) {}

  /**
   * A column.
   *
   * @param type as declared, in upper case; may be empty
   */
  public record Column(String name, String type) {}

  /**
   * A row.
   *
   * @param id of its document
   * @param line {@code {"id", "data"}} as JSON, UTF-8, with a line end; null where that is longer
   *     than {@link #MAX_ROW_BYTES}
   */
  public record Row(String id, byte @Nullable [] line) {}

  /** Reads rows in the order of their keys. */
  public interface Rows extends AutoCloseable {
    /** The next row; null at the end. */
    @Nullable Row next();

    @Override
    void close();
  }

  private final Connection connection;

  private SqliteSource(Connection connection) {
    this.connection = connection;
  }

  /**
   * Opens a file.
   *
   * @throws MigrationException when it is no SQLite database or cannot be read
   */
  public static SqliteSource open(Path file) {
    if (!java.nio.file.Files.isReadable(file)) {
      throw new MigrationException(
          file + " cannot be read: it is missing, or its permissions forbid it",
          "check the path and its permissions");
    }
    byte[] start = new byte[MAGIC.length()];
    try (var in = new RandomAccessFile(file.toFile(), "r")) {
      in.readFully(start);
    } catch (IOException e) {
      throw new MigrationException(
          file + " cannot be read as SQLite: " + e.getMessage(), "check the path");
    }
    if (!new String(start, StandardCharsets.US_ASCII).equals(MAGIC)) {
      throw new MigrationException(
          file + " is no SQLite database", "it must begin with \"SQLite format 3\"");
    }
    try {
      var config = new SQLiteConfig();
      config.setReadOnly(true);
      Connection connection = config.createConnection("jdbc:sqlite:" + file.toAbsolutePath());
      // One transaction: all tables are of one moment, whoever writes meanwhile.
      connection.setAutoCommit(false);
      return new SqliteSource(connection);
    } catch (SQLException e) {
      throw failed("the database", e);
    }
  }

  private static MigrationException failed(String what, SQLException e) {
    return new MigrationException(
        what + " cannot be read: " + e.getMessage(),
        "look whether sqlite3 FILE 'pragma integrity_check' says ok");
  }

  /** The tables by name, without SQLite's own. */
  public List<Table> tables() {
    var names = new ArrayList<String>();
    try (Statement statement = connection.createStatement();
        ResultSet rows =
            statement.executeQuery(
                "select name from sqlite_schema where type = 'table'"
                    + " and name not like 'sqlite\\_%' escape '\\' order by name")) {
      while (rows.next()) {
        names.add(rows.getString(1));
      }
    } catch (SQLException e) {
      throw failed("the schema", e);
    }
    return names.stream().map(this::table).toList();
  }

  private Table table(String name) {
    var columns = new ArrayList<Column>();
    var key = new ArrayList<String>();
    try (PreparedStatement info =
            connection.prepareStatement(
                "select name, type, pk from pragma_table_info(?) order by cid");
        Statement count = connection.createStatement();
        PreparedStatement keys =
            connection.prepareStatement(
                "select name from pragma_table_info(?) where pk > 0 order by pk")) {
      info.setString(1, name);
      try (ResultSet rows = info.executeQuery()) {
        while (rows.next()) {
          columns.add(new Column(rows.getString(1), rows.getString(2).toUpperCase(Locale.ROOT)));
        }
      }
      keys.setString(1, name);
      try (ResultSet rows = keys.executeQuery()) {
        while (rows.next()) {
          key.add(rows.getString(1));
        }
      }
      try (ResultSet rows = count.executeQuery("select count(*) from " + quoted(name))) {
        return new Table(name, columns, key, rows.getLong(1));
      }
    } catch (SQLException e) {
      throw failed("table " + name, e);
    }
  }

  private static String quoted(String name) {
    return '"' + name.replace("\"", "\"\"") + '"';
  }

  /**
   * The rows of a table, ascending by key.
   *
   * @param skip how many of the first to leave out
   */
  public Rows rows(Table table, long skip) {
    // Without columns of the key, SQLite has a rowid under one of three names.
    List<String> key =
        table.key().isEmpty()
            ? List.of(rowid(table))
            : table.key().stream().map(SqliteSource::quoted).toList();
    String all =
        table.columns().stream()
            .map(column -> quoted(column.name()))
            .collect(Collectors.joining(", "));
    String order = String.join(", ", key);
    try {
      Statement statement = connection.createStatement();
      ResultSet rows =
          statement.executeQuery(
              "select "
                  + order
                  + ", "
                  + all
                  + " from "
                  + quoted(table.name())
                  + " order by "
                  + order
                  + " limit -1 offset "
                  + skip);
      return new Cursor(table, key.size(), statement, rows);
    } catch (SQLException e) {
      throw failed("table " + table.name(), e);
    }
  }

  private static String rowid(Table table) {
    List<String> taken =
        table.columns().stream().map(column -> column.name().toLowerCase(Locale.ROOT)).toList();
    return List.of("rowid", "_rowid_", "oid").stream()
        .filter(name -> !taken.contains(name))
        .findFirst()
        .orElseThrow(
            () ->
                new MigrationException(
                    "table " + table.name() + " hides the number of its rows",
                    "give it a primary key"));
  }

  @Override
  public void close() {
    try {
      connection.close();
    } catch (SQLException e) {
      throw failed("the database", e);
    }
  }

  private static final class Cursor implements Rows {
    private final Table table;
    private final int keys;
    private final Statement statement;
    private final ResultSet rows;
    private final JsonWriter json = new JsonWriter();

    Cursor(Table table, int keys, Statement statement, ResultSet rows) {
      this.table = table;
      this.keys = keys;
      this.statement = statement;
      this.rows = rows;
    }

    @Override
    public @Nullable Row next() {
      try {
        if (!rows.next()) {
          return null;
        }
        var id = new StringBuilder(escaped(table.name()));
        for (int i = 1; i <= keys; i++) {
          id.append(':').append(escaped(keyText(rows.getObject(i))));
        }
        json.clear().beginObject().name("id").string(id.toString()).name("data").beginObject();
        for (int i = 0; i < table.columns().size(); i++) {
          Column column = table.columns().get(i);
          json.name(column.name());
          value(column, rows.getObject(keys + 1 + i));
          if (json.size() > MAX_ROW_BYTES) {
            return new Row(id.toString(), null);
          }
        }
        json.endObject().endObject().newline();
        return new Row(id.toString(), json.toByteArray());
      } catch (SQLException e) {
        throw failed("table " + table.name(), e);
      }
    }

    private static String keyText(@Nullable Object value) {
      return value instanceof byte[] bytes
          ? Base64.getUrlEncoder().withoutPadding().encodeToString(bytes)
          : String.valueOf(value);
    }

    private static String escaped(String text) {
      return text.replace("%", "%25").replace(":", "%3A");
    }

    private void value(Column column, @Nullable Object value) {
      switch (value) {
        case null -> json.nothing();
        case Integer number -> integer(column, number);
        case Long number -> integer(column, number);
        case Double number when Double.isFinite(number) -> json.number(number);
        case Double infinite -> json.string(infinite.toString());
        case byte[] bytes ->
            json.beginObject()
                .name("$blob")
                .string(Base64.getEncoder().encodeToString(bytes))
                .endObject();
        default -> text(column, value.toString());
      }
    }

    private void integer(Column column, long number) {
      if (column.type().startsWith("BOOL") && (number == 0 || number == 1)) {
        json.bool(number == 1);
      } else {
        json.number(number);
      }
    }

    private void text(Column column, String text) {
      if (column.type().startsWith("JSON") && isJson(text)) {
        json.raw(text.replace('\n', ' ').replace('\r', ' ').getBytes(StandardCharsets.UTF_8));
      } else {
        json.string(text);
      }
    }

    /** Whether the whole text is one JSON value. */
    private static boolean isJson(String text) {
      try (JsonParser parser = JSON.createParser(text)) {
        if (parser.nextToken() == null) {
          return false;
        }
        parser.skipChildren();
        return parser.nextToken() == null;
      } catch (IOException e) {
        return false;
      }
    }

    @Override
    public void close() {
      try (statement) {
        rows.close();
      } catch (SQLException e) {
        throw failed("table " + table.name(), e);
      }
    }
  }
}
