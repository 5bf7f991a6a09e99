package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.Answer;
import io.pluresdb.daemon.api.ApiClient;
import io.pluresdb.daemon.api.ApiException;
import io.pluresdb.daemon.api.JsonWriter;
import io.pluresdb.daemon.api.Request;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * Commands on the types of documents: a type is what a document's member {@code type} says. What is
 * said of one is the document {@code type:NAME}; it describes and refuses nothing.
 */
final class Typing {
  private static final String PREFIX = "type:";

  /** Documents that are looked at to find out what is in them. */
  private static final int SAMPLE = 1_000;

  private static final String IN_USE =
      "SELECT type, COUNT(*) AS documents FROM documents WHERE type IS NOT NULL GROUP BY type";

  private Typing() {}

  /** {@code type} with its subcommands. */
  static CommandLine command(Root root) {
    return new CommandLine(new TypeCommand())
        .addSubcommand("define", new Define(root))
        .addSubcommand("list", new ListTypes(root))
        .addSubcommand("instances", new Instances(root))
        .addSubcommand("schema", new Schema(root));
  }

  @Command(
      name = "type",
      description = "Describe the types of documents, and find documents of one.")
  static final class TypeCommand implements Runnable {
    @Spec private @Nullable CommandSpec spec;

    @Override
    public void run() {
      if (spec != null) {
        throw new CommandLine.ParameterException(
            spec.commandLine(), "say define NAME JSON, list, instances NAME or schema NAME");
      }
    }
  }

  @Command(
      name = "define",
      description = "Say what documents of a type hold, for those who read it.")
  static final class Define implements Callable<Integer> {
    private final Root root;

    @Parameters(index = "0", paramLabel = "NAME", description = "The type.")
    private String name = "";

    @Parameters(
        index = "1",
        paramLabel = "JSON",
        description = "An object such as a JSON Schema, @FILE, or - for stdin.")
    private String schema = "";

    Define(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
      byte[] json = Documents.json(root, schema);
      if (!new String(json, StandardCharsets.UTF_8).stripLeading().startsWith("{")) {
        throw CliException.usage(
            "the description of a type must be a JSON object",
            "such as '{\"properties\":{\"title\":{\"type\":\"string\"}}}'");
      }
      var body = new JsonWriter().beginObject().name("id").string(PREFIX + name);
      body.name("data").beginObject().name("schema").raw(json).endObject().endObject();
      byte[] answer = root.call(Request.post("/api/put", body.toByteArray()));
      Documents.done(root, answer, "defined", name);
      return Main.OK;
    }
  }

  @Command(name = "list", description = "Print the types that are defined or in use.")
  static final class ListTypes implements Callable<Integer> {
    private final Root root;

    ListTypes(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      var documents = new TreeMap<String, String>();
      var defined = new TreeSet<String>();
      try (ApiClient client = root.client()) {
        rows(client, root, IN_USE)
            .forEach(row -> documents.put(row.getFirst().text(), row.get(1).text()));
        rows(client, root, "SELECT key FROM type")
            .forEach(row -> defined.add(row.getFirst().text()));
      }
      defined.forEach(name -> documents.putIfAbsent(name, "0"));
      if (root.json()) {
        var json = new JsonWriter().beginArray();
        documents.forEach(
            (name, count) -> {
              json.beginObject().name("type").string(name);
              json.name("documents").number(Long.parseLong(count));
              json.name("defined").bool(defined.contains(name)).endObject();
            });
        root.print(json.endArray().toByteArray());
        return Main.OK;
      }
      var table = new Table("TYPE", "DOCUMENTS", "DEFINED");
      documents.forEach(
          (name, count) -> table.row(name, count, defined.contains(name) ? "yes" : "no"));
      table.print(root.io().out());
      return Main.OK;
    }
  }

  private static List<List<Json>> rows(ApiClient client, Root root, String sql)
      throws InterruptedException {
    byte[] body = new JsonWriter().beginObject().name("sql").string(sql).endObject().toByteArray();
    byte[] answer = client.call(root.chosen(Request.post("/api/query", body)));
    return Json.parse(answer).members().getOrDefault("rows", Json.NONE).elements().stream()
        .map(Json::elements)
        .toList();
  }

  @Command(
      name = "instances",
      description = "Print the documents of a type, one JSON object a line.")
  static final class Instances implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "NAME", description = "The type.")
    private String name = "";

    @Option(names = "--limit", paramLabel = "N", description = "At most N documents.")
    private @Nullable String limit;

    @Option(names = "--after", paramLabel = "ID", description = "Only ids after this one.")
    private @Nullable String after;

    Instances(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
      Request request = Request.get("/api/list").withHeader("accept", Answer.NDJSON);
      request = Documents.with(request.with("type", name), "limit", limit);
      request = Documents.with(request, "after", after);
      try (ApiClient client = root.client()) {
        client.exchange(root.chosen(request), new OutSink(root.io().out()));
      }
      return Main.OK;
    }
  }

  @Command(
      name = "schema",
      description = "Print what a type was defined as, or else what its documents hold.")
  static final class Schema implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "NAME", description = "The type.")
    private String name = "";

    Schema(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      try (ApiClient client = root.client()) {
        Request get = Request.get("/api/get").with("id", PREFIX + name);
        try {
          Json document = Json.parse(client.call(root.chosen(get)));
          Json data = document.members().getOrDefault("data", Json.NONE);
          root.io().out().println(Json.source(data.members(), "schema"));
          return Main.OK;
        } catch (ApiException e) {
          if (!e.code().equals("CORE_NODE_NOT_FOUND")) {
            throw e;
          }
        }
        Request list = Request.get("/api/list").with("type", name);
        byte[] documents = client.call(root.chosen(list.with("limit", Integer.toString(SAMPLE))));
        List<Map<String, Json>> found = Json.parse(documents).objects();
        if (found.isEmpty()) {
          throw new CliException(
              Main.NOT_FOUND,
              "CORE_NODE_NOT_FOUND",
              "no document has the type \"" + name + "\", and it is not defined",
              "type list shows the types");
        }
        root.print(inferred(found));
        return Main.OK;
      }
    }

    /** A JSON Schema of what there is: kinds of each member, and which all have. */
    private static byte[] inferred(List<Map<String, Json>> documents) {
      var kinds = new TreeMap<String, TreeSet<String>>();
      var counts = new TreeMap<String, Integer>();
      for (Map<String, Json> document : documents) {
        document
            .getOrDefault("data", Json.NONE)
            .members()
            .forEach(
                (member, value) -> {
                  kinds.computeIfAbsent(member, m -> new TreeSet<>()).add(value.kind());
                  counts.merge(member, 1, Integer::sum);
                });
      }
      var json = new JsonWriter().beginObject().name("type").string("object");
      json.name("properties").beginObject();
      kinds.forEach(
          (member, of) -> {
            json.name(member).beginObject().name("type");
            if (of.size() == 1) {
              json.string(of.getFirst());
            } else {
              json.beginArray();
              of.forEach(json::string);
              json.endArray();
            }
            json.endObject();
          });
      json.endObject().name("required").beginArray();
      var all = new ArrayList<String>();
      counts.forEach(
          (member, count) -> {
            if (count == documents.size()) {
              all.add(member);
            }
          });
      all.forEach(json::string);
      return json.endArray().endObject().toByteArray();
    }
  }
}
