package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.ApiClient;
import io.pluresdb.daemon.api.JsonWriter;
import io.pluresdb.daemon.api.Request;
import java.io.IOException;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Commands on documents that join two others. */
final class Linking {
  private static final byte[] NO_BODY = {};

  private Linking() {}

  /** {@code edge} with its subcommands. */
  static CommandLine command(Root root) {
    return new CommandLine(new EdgeCommand())
        .addSubcommand("add", new Add(root))
        .addSubcommand("list", new ListEdges(root))
        .addSubcommand("drop", new Drop(root))
        .addSubcommand("rebuild", new Rebuild(root));
  }

  @Command(name = "edge", description = "Join documents by edges, and follow them.")
  static final class EdgeCommand implements Runnable {
    @Spec private @Nullable CommandSpec spec;

    @Override
    public void run() {
      if (spec != null) {
        throw new CommandLine.ParameterException(
            spec.commandLine(),
            "say add FROM RELATION TO, list ID, drop FROM RELATION TO or rebuild");
      }
    }
  }

  @Command(name = "add", description = "Write an edge; devices that write the same one agree.")
  static final class Add implements Callable<Integer> {
    private final Root root;

    @Parameters(index = "0", paramLabel = "FROM", description = "The document it leads from.")
    private String from = "";

    @Parameters(index = "1", paramLabel = "RELATION", description = "Such as follows.")
    private String relation = "";

    @Parameters(index = "2", paramLabel = "TO", description = "The document it leads to.")
    private String to = "";

    @Parameters(
        index = "3",
        arity = "0..1",
        paramLabel = "JSON",
        description = "An object that it holds besides; JSON, @FILE, or - for stdin.")
    private @Nullable String data;

    Add(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
      var body = new JsonWriter().beginObject().name("from").string(from);
      body.name("relation").string(relation).name("to").string(to);
      if (data != null) {
        body.name("data").raw(Documents.json(root, data));
      }
      byte[] answer = root.call(Request.post("/api/edges", body.endObject().toByteArray()));
      Documents.done(root, answer, "put", Json.text(Json.parse(answer).members(), "id"));
      return Main.OK;
    }
  }

  @Command(name = "list", description = "Print the edges of a document whose ends both exist.")
  static final class ListEdges implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "ID", description = "The document at one end.")
    private String id = "";

    @Option(
        names = "--direction",
        paramLabel = "WAY",
        description = "out, in or both (default: both).")
    private @Nullable String direction;

    @Option(names = "--relation", paramLabel = "R", description = "Only of this relation.")
    private @Nullable String relation;

    ListEdges(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      var table = new Table("FROM", "RELATION", "TO", "EDGE");
      Request first = Request.get("/api/edges").with("id", id).with("limit", "1000");
      first = Documents.with(first, "direction", direction);
      first = Documents.with(first, "relation", relation);
      try (ApiClient client = root.client()) {
        String after = "";
        do {
          Request request = root.chosen(after.isEmpty() ? first : first.with("after", after));
          byte[] answer = client.call(request);
          Map<String, Json> page = Json.parse(answer).members();
          for (Map<String, Json> edge : page.getOrDefault("edges", Json.NONE).objects()) {
            if (root.json()) {
              root.print(json(edge));
            } else {
              table.row(
                  Json.text(edge, "from"),
                  Json.text(edge, "relation"),
                  Json.text(edge, "to"),
                  Json.text(edge, "id"));
            }
          }
          after = Json.text(page, "next");
        } while (!after.isEmpty() && !after.equals("null"));
      }
      if (!root.json()) {
        table.print(root.io().out());
      }
      return Main.OK;
    }

    private static byte[] json(Map<String, Json> edge) {
      var json = new JsonWriter().beginObject();
      edge.keySet().forEach(name -> json.name(name).string(Json.text(edge, name)));
      return json.endObject().toByteArray();
    }
  }

  @Command(name = "drop", description = "Delete an edge.")
  static final class Drop implements Callable<Integer> {
    private final Root root;

    @Parameters(index = "0", paramLabel = "FROM", description = "As add took it.")
    private String from = "";

    @Parameters(index = "1", paramLabel = "RELATION", description = "As add took it.")
    private String relation = "";

    @Parameters(index = "2", paramLabel = "TO", description = "As add took it.")
    private String to = "";

    Drop(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      Request request = Request.delete("/api/edges").with("from", from);
      byte[] answer = root.call(request.with("relation", relation).with("to", to));
      Documents.done(root, answer, "deleted", Json.text(Json.parse(answer).members(), "id"));
      return Main.OK;
    }
  }

  @Command(name = "rebuild", description = "Make the index of edges anew; writes wait meanwhile.")
  static final class Rebuild implements Callable<Integer> {
    private final Root root;

    Rebuild(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      byte[] answer = root.call(Request.post("/api/edges/rebuild", NO_BODY));
      Documents.done(root, answer, "edges", Json.text(Json.parse(answer).members(), "edges"));
      return Main.OK;
    }
  }
}
