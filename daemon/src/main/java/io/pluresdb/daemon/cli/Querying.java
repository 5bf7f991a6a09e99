package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.JsonWriter;
import io.pluresdb.daemon.api.Request;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** Commands that take a query language. */
final class Querying {
  private Querying() {}

  @Command(
      name = "query",
      description = "Carry SQL out: SELECT, INSERT, UPDATE or DELETE on one table.")
  static final class Sql implements Callable<Integer> {
    private final Root root;

    @Parameters(
        index = "0",
        paramLabel = "SQL",
        description = "The statement, @FILE, or - for stdin.")
    private String sql = "";

    @Parameters(
        index = "1",
        arity = "0..*",
        paramLabel = "PARAM",
        description = "What its question marks stand for: JSON, or else a text.")
    private List<String> parameters = List.of();

    Sql(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
      var body = new JsonWriter().beginObject().name("sql").string(text(root, sql));
      body.name("params").beginArray();
      for (String parameter : parameters) {
        if (Json.mistake(parameter.getBytes(StandardCharsets.UTF_8)).isEmpty()) {
          body.raw(parameter.getBytes(StandardCharsets.UTF_8));
        } else {
          body.string(parameter);
        }
      }
      body.endArray().endObject();
      byte[] answer = root.call(Request.post("/api/query", body.toByteArray()));
      if (root.json()) {
        root.print(answer);
        return Main.OK;
      }
      Map<String, Json> result = Json.parse(answer).members();
      List<Json> columns = result.getOrDefault("columns", Json.NONE).elements();
      if (columns.isEmpty()) {
        root.io().out().println("changed " + Json.text(result, "changes"));
        return Main.OK;
      }
      var table = new Table(columns.stream().map(Json::cell).toArray(String[]::new));
      for (Json row : result.getOrDefault("rows", Json.NONE).elements()) {
        table.row(row.elements().stream().map(Json::cell).toArray(String[]::new));
      }
      table.print(root.io().out());
      return Main.OK;
    }
  }

  /** A query as the command line gives it: itself, {@code @FILE} or {@code -}. */
  private static String text(Root root, String argument) throws IOException {
    return new String(Documents.content(root, argument), StandardCharsets.UTF_8).strip();
  }

  @Command(
      name = "dsl",
      description = "Carry a pipeline out, such as 'filter(year > 1990) |> limit(3)'.")
  static final class Pipeline implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "QUERY", description = "The pipeline, @FILE, or - for stdin.")
    private String query = "";

    Pipeline(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
      var body = new JsonWriter().beginObject().name("query").string(text(root, query)).endObject();
      byte[] answer = root.call(Request.post("/api/dsl", body.toByteArray()));
      if (root.json()) {
        root.print(answer);
        return Main.OK;
      }
      Map<String, Json> result = Json.parse(answer).members();
      for (Json node : result.getOrDefault("nodes", Json.NONE).elements()) {
        root.io().out().println(node.source());
      }
      if (result.containsKey("aggregate")) {
        root.io().out().println(Json.source(result, "aggregate"));
      }
      if (result.containsKey("mutated")) {
        root.io().out().println("changed " + Json.text(result, "mutated"));
      }
      return Main.OK;
    }
  }
}
