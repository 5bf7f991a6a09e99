package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.ApiClient;
import io.pluresdb.daemon.api.JsonWriter;
import io.pluresdb.daemon.api.Request;
import io.pluresdb.daemon.migration.MigrationException;
import io.pluresdb.daemon.migration.SqliteSource;
import io.pluresdb.daemon.migration.SqliteSource.Row;
import io.pluresdb.daemon.migration.SqliteSource.Rows;
import io.pluresdb.daemon.migration.SqliteSource.Table;
import io.pluresdb.daemon.node.DataDirectory;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code migrate-from-sqlite}: rows become documents. */
@Command(
    name = "migrate-from-sqlite",
    description = {
      "Write every row of an SQLite database as the document TABLE:KEY. The file is only read.",
      "Interrupted, the same command goes on where it was; done again it gives the same documents."
    })
final class Migrating implements Callable<Integer> {
  private static final int MAX_BATCH = 100_000;
  private static final Duration EVERY = Duration.ofMillis(100);

  private final Root root;

  @Parameters(paramLabel = "FILE", description = "The SQLite database.")
  private Path file = Path.of("");

  @Option(names = "--dry-run", description = "Read everything, write nothing, say what there is.")
  private boolean dryRun;

  @Option(
      names = "--table",
      paramLabel = "T",
      description = "Only this table; repeat it for more than one (default: all).")
  private List<String> only = new ArrayList<>();

  @Option(
      names = "--batch-size",
      paramLabel = "N",
      description = "Rows between two places to go on from, 1 to 100000 (default: 1000).")
  private int batchSize = 1_000;

  @Option(
      names = "--skip-too-large",
      description = "Leave out, and name, rows of more than 960 KiB of JSON instead of stopping.")
  private boolean skipTooLarge;

  private Instant shown = Instant.EPOCH;

  Migrating(Root root) {
    this.root = root;
  }

  /** What came of a table. */
  private record Outcome(Table table, long documents, List<String> tooLarge) {}

  @Override
  public Integer call() throws IOException, InterruptedException {
    if (batchSize < 1 || batchSize > MAX_BATCH) {
      throw CliException.usage(
          "--batch-size must be 1 to " + MAX_BATCH + ", but is " + batchSize,
          "leave it out for 1000");
    }
    var outcomes = new ArrayList<Outcome>();
    Instant start = root.io().clock().instant();
    try (SqliteSource source = SqliteSource.open(file)) {
      List<Table> tables = chosen(source.tables());
      if (dryRun) {
        for (Table table : tables) {
          outcomes.add(read(source, table));
        }
      } else {
        Place place = Place.of(root.dataDir(), root.databaseName(), file);
        try (ApiClient client = root.client()) {
          for (Table table : tables) {
            outcomes.add(write(source, table, client, place));
          }
        }
        place.done();
      }
    } catch (MigrationException e) {
      throw CliException.file(String.valueOf(e.getMessage()), e.hint());
    } finally {
      clear();
    }
    double seconds =
        Math.max(1, Duration.between(start, root.io().clock().instant()).toMillis()) / 1e3;
    print(outcomes, seconds);
    return Main.OK;
  }

  private List<Table> chosen(List<Table> tables) {
    List<String> names = tables.stream().map(Table::name).toList();
    for (String name : only) {
      if (!names.contains(name)) {
        throw CliException.usage(
            "there is no table " + name + " in " + file, "there are: " + String.join(", ", names));
      }
    }
    return only.isEmpty()
        ? tables
        : tables.stream().filter(table -> only.contains(table.name())).toList();
  }

  private Outcome read(SqliteSource source, Table table) {
    long documents = 0;
    var tooLarge = new ArrayList<String>();
    try (Rows rows = source.rows(table, 0)) {
      for (Row row = rows.next(); row != null; row = rows.next()) {
        if (row.line() == null) {
          tooLarge.add(row.id());
        } else {
          documents++;
        }
        progress(table, documents);
      }
    }
    return new Outcome(table, documents, tooLarge);
  }

  private Outcome write(SqliteSource source, Table table, ApiClient client, Place place)
      throws IOException, InterruptedException {
    long done = place.rowsDone(table.name());
    long documents = 0;
    var tooLarge = new ArrayList<String>();
    var batch = new ByteArrayOutputStream();
    try (Rows rows = source.rows(table, done)) {
      Row row = rows.next();
      while (row != null) {
        batch.reset();
        int taken = 0;
        for (; row != null && taken < batchSize; taken++, row = rows.next()) {
          byte[] line = row.line();
          if (line != null) {
            batch.writeBytes(line);
            documents++;
          } else if (skipTooLarge) {
            tooLarge.add(row.id());
          } else {
            throw CliException.file(
                "the row "
                    + row.id()
                    + " is more than "
                    + (SqliteSource.MAX_ROW_BYTES >> 10)
                    + " KiB of JSON, which no document may be",
                "shorten it, or leave such rows out with --skip-too-large");
          }
        }
        if (batch.size() > 0) {
          client.call(root.chosen(Request.post("/api/import", batch.toByteArray())));
        }
        done += taken;
        place.reached(table.name(), done);
        progress(table, done);
      }
    }
    return new Outcome(table, documents, tooLarge);
  }

  private void progress(Table table, long rows) {
    Instant now = root.io().clock().instant();
    if (root.io().terminal() && Duration.between(shown, now).compareTo(EVERY) >= 0) {
      shown = now;
      root.io()
          .err()
          .print(String.format("\r\u001b[K%s: %,d of %,d rows", table.name(), rows, table.rows()));
      root.io().err().flush();
    }
  }

  private void clear() {
    if (root.io().terminal()) {
      root.io().err().print("\r\u001b[K");
    }
  }

  private void print(List<Outcome> outcomes, double seconds) {
    long documents = outcomes.stream().mapToLong(Outcome::documents).sum();
    if (root.json()) {
      var json = new JsonWriter().beginObject().name("dryRun").bool(dryRun);
      json.name("documents").number(documents).name("tables").beginArray();
      for (Outcome outcome : outcomes) {
        json.beginObject().name("table").string(outcome.table().name());
        json.name("documents").number(outcome.documents());
        json.name("tooLarge").beginArray();
        outcome.tooLarge().forEach(json::string);
        json.endArray().endObject();
      }
      root.print(json.endArray().endObject().toByteArray());
      return;
    }
    var table =
        new io.pluresdb.daemon.cli.Table("TABLE", "DOCUMENTS", "TOO LARGE", "KEY", "COLUMNS");
    for (Outcome outcome : outcomes) {
      table.row(
          outcome.table().name(),
          Long.toString(outcome.documents()),
          Integer.toString(outcome.tooLarge().size()),
          outcome.table().key().isEmpty() ? "rowid" : String.join(", ", outcome.table().key()),
          outcome.table().columns().stream()
              .map(column -> (column.name() + " " + column.type()).strip())
              .collect(Collectors.joining(", ")));
    }
    table.print(root.io().out());
    outcomes.forEach(o -> o.tooLarge().forEach(id -> root.io().out().println("too large: " + id)));
    root.io()
        .out()
        .println(
            dryRun
                ? String.format("%,d documents would be written.", documents)
                : String.format("Wrote %,d documents in %.1f s.", documents, seconds));
  }

  /** How far a migration has come, in a small file of the data directory. */
  private static final class Place {
    private final Path file;
    private final String source;
    private @Nullable Map<String, Json> read;

    private Place(Path file, String source, @Nullable Map<String, Json> read) {
      this.file = file;
      this.source = source;
      this.read = read;
    }

    /** A source that has changed since is read from its beginning. */
    static Place of(Path dataDir, String database, Path source) throws IOException {
      String name =
          database
              + " "
              + source.toRealPath()
              + " "
              + Files.size(source)
              + " "
              + Files.getLastModifiedTime(source).toMillis();
      Path file = dataDir.resolve("migration.json");
      if (Files.exists(file)) {
        Map<String, Json> read = Json.parse(Files.readAllBytes(file)).members();
        if (Json.text(read, "source").equals(name)) {
          return new Place(file, name, read.getOrDefault("tables", Json.NONE).members());
        }
      }
      return new Place(file, name, null);
    }

    long rowsDone(String table) {
      String rows = read == null ? "" : Json.text(read, table);
      return rows.isEmpty() ? 0 : Long.parseLong(rows);
    }

    void reached(String table, long rows) {
      var json = new JsonWriter().beginObject().name("source").string(source);
      json.name("tables").beginObject();
      if (read != null) {
        read.forEach(
            (name, done) -> {
              if (!name.equals(table)) {
                json.name(name).number(Long.parseLong(done.text()));
              }
            });
      }
      byte[] text = json.name(table).number(rows).endObject().endObject().toByteArray();
      DataDirectory.writeAtomically(file, text);
      read = Json.parse(text).members().getOrDefault("tables", Json.NONE).members();
    }

    void done() throws IOException {
      Files.deleteIfExists(file);
    }
  }
}
