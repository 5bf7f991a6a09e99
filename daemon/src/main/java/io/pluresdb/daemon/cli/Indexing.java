package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.JsonWriter;
import io.pluresdb.daemon.api.Request;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Commands on indexes. */
final class Indexing {
  private Indexing() {}

  /** {@code index} with its subcommands. */
  static CommandLine command(Root root) {
    return new CommandLine(new IndexCommand())
        .addSubcommand("list", new ListIndexes(root))
        .addSubcommand("add", new Add(root))
        .addSubcommand("drop", new Drop(root));
  }

  @Command(name = "index", description = "Keep documents in the order of some fields.")
  static final class IndexCommand implements Runnable {
    @Spec private @Nullable CommandSpec spec;

    @Override
    public void run() {
      if (spec != null) {
        throw new CommandLine.ParameterException(
            spec.commandLine(), "say list, add FIELDS or drop FIELDS");
      }
    }
  }

  @Command(name = "list", description = "Print the indexes and how far they are.")
  static final class ListIndexes implements Callable<Integer> {
    private final Root root;

    ListIndexes(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      byte[] answer = root.call(Request.get("/api/indexes"));
      if (root.json()) {
        root.print(answer);
        return Main.OK;
      }
      var table = new Table("KIND", "FIELDS", "CHANGES", "ERROR");
      for (Map<String, Json> index : Json.parse(answer).objects()) {
        table.row(
            Json.text(index, "kind"),
            Json.text(index, "fields"),
            Json.text(index, "arrivals"),
            Json.text(index, "error"));
      }
      table.print(root.io().out());
      return Main.OK;
    }
  }

  @Command(name = "add", description = "Make an index; it is filled in the background.")
  static final class Add implements Callable<Integer> {
    private final Root root;

    @Parameters(
        paramLabel = "FIELDS",
        description = "Such as type or type,year; genres[] for the elements of an array.")
    private String fields = "";

    Add(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      var body = new JsonWriter().beginObject().name("fields").beginArray();
      List.of(fields.split(",", -1)).forEach(body::string);
      byte[] json = body.endArray().endObject().toByteArray();
      Documents.done(root, root.call(Request.post("/api/indexes", json)), "indexed", fields);
      return Main.OK;
    }
  }

  @Command(name = "drop", description = "Forget an index.")
  static final class Drop implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "FIELDS", description = "As add took them.")
    private String fields = "";

    Drop(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      Request request = Request.delete("/api/indexes").with("fields", fields);
      byte[] answer = root.call(request);
      if (!Json.text(Json.parse(answer).members(), "dropped").equals("true")) {
        throw new CliException(
            Main.NOT_FOUND,
            "CLI_USAGE",
            "there is no index on " + fields,
            "index list shows the indexes");
      }
      Documents.done(root, answer, "dropped", fields);
      return Main.OK;
    }
  }
}
