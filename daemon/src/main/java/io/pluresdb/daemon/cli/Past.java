package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.JsonWriter;
import io.pluresdb.daemon.api.Request;
import java.io.IOException;
import java.io.PrintStream;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Commands about what documents were, and about what lost. */
final class Past {
  private Past() {}

  @Command(name = "history", description = "Print the versions of a document, newest first.")
  static final class Versions implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "ID", description = "The document.")
    private String id = "";

    @Option(names = "--limit", paramLabel = "N", description = "Most versions (default: 50).")
    private @Nullable String limit;

    @Option(names = "--before", paramLabel = "N", description = "Go on where a page ended.")
    private @Nullable String before;

    Versions(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      Request request = Request.get("/api/history").with("id", id);
      request = Documents.with(request, "limit", limit);
      request = Documents.with(request, "before", before);
      byte[] answer = root.call(request);
      if (root.json()) {
        root.print(answer);
        return Main.OK;
      }
      Map<String, Json> page = Json.parse(answer).members();
      var table = new Table("VERSION", "TIME", "DEVICE", "EFFECT", "WHAT");
      for (Map<String, Json> version : page.getOrDefault("versions", Json.NONE).objects()) {
        table.row(
            Json.text(version, "version"),
            Json.time(version, "timestamp"),
            device(version),
            Json.text(version, "effect"),
            what(version));
      }
      PrintStream out = root.io().out();
      table.print(out);
      if (!Json.text(page, "next").equals("null")) {
        out.println("more: --before " + Json.text(page, "next"));
      }
      if (Json.text(page, "truncated").equals("true")) {
        out.println("older versions are no longer kept");
      }
      return Main.OK;
    }

    private static String what(Map<String, Json> version) {
      String steps =
          version.getOrDefault("steps", Json.NONE).objects().stream()
              .map(Versions::step)
              .collect(Collectors.joining(", "));
      String omitted = Json.text(version, "omitted");
      return omitted.equals("0") ? steps : steps + ", and " + omitted + " more";
    }

    private static String step(Map<String, Json> step) {
      String path = place(step);
      return switch (Json.text(step, "op")) {
        case "set" ->
            path
                + "="
                + (step.containsKey("value")
                    ? Json.source(step, "value")
                    : Json.text(step, "bytes") + " bytes");
        case "remove" -> "-" + path;
        case "increment" -> path + "+=" + Json.text(step, "amount");
        case "embed" -> "embedding";
        case "removeEmbedding" -> "-embedding";
        case "unknown" -> "unknown operation " + Json.text(step, "tag");
        default -> path + " " + Json.text(step, "op") + " " + Json.text(step, "elements");
      };
    }
  }

  /** What people call the device behind a version or value, as far as that is known. */
  private static String device(Map<String, Json> author) {
    String name = Json.text(author, "name");
    return name.isEmpty() ? Json.text(author, "actor").substring(0, 8) : name;
  }

  private static String place(Map<String, Json> at) {
    String path = Json.text(at, "path");
    return path.isEmpty() ? "(document)" : path;
  }

  @Command(name = "revert", description = "Make a document look as it did.")
  static final class Revert implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "ID", description = "The document.")
    private String id = "";

    @Option(
        names = "--to",
        required = true,
        paramLabel = "MOMENT",
        description = "A version as history prints it, or a time.")
    private String to = "";

    Revert(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      var body = new JsonWriter().beginObject().name("id").string(id).name("to").string(to);
      byte[] answer = root.call(Request.post("/api/revert", body.endObject().toByteArray()));
      Documents.done(root, answer, "reverted", id);
      return Main.OK;
    }
  }

  @Command(
      name = "conflicts",
      description = "Print where concurrent values compete, or choose one.")
  static final class Conflicts implements Callable<Integer> {
    private final Root root;

    @Parameters(arity = "0..1", paramLabel = "ID", description = "Only this document.")
    private @Nullable String id;

    @Option(
        names = "--resolve",
        paramLabel = "PATH=CHOICE",
        description = "Choose: winner, the number of a lost value, or JSON (@FILE, - for stdin).")
    private List<String> resolve = List.of();

    Conflicts(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
      return resolve.isEmpty() ? print() : resolve();
    }

    private int resolve() throws IOException, InterruptedException {
      if (id == null) {
        throw CliException.usage(
            "--resolve needs the document", "pluresdb conflicts ID --resolve …");
      }
      for (String one : resolve) {
        int at = one.indexOf('=');
        if (at < 0) {
          throw CliException.usage(
              "--resolve must be PATH=CHOICE, but is " + one, "pluresdb conflicts shows the paths");
        }
        String choice = one.substring(at + 1);
        var body = new JsonWriter().beginObject().name("id").string(id);
        body.name("path").string(one.substring(0, at));
        if (choice.equals("winner")) {
          body.name("choose").string(choice);
        } else if (choice.matches("[0-9]+")) {
          body.name("choose").raw(Documents.json(root, choice));
        } else {
          body.name("value").raw(Documents.json(root, choice));
        }
        byte[] answer =
            root.call(Request.post("/api/conflicts/resolve", body.endObject().toByteArray()));
        Documents.done(root, answer, "resolved " + one.substring(0, at) + " of", id);
      }
      return Main.OK;
    }

    private int print() throws InterruptedException {
      byte[] answer = root.call(Documents.with(Request.get("/api/conflicts"), "id", id));
      if (root.json()) {
        root.print(answer);
        return Main.OK;
      }
      var table = new Table("ID", "PATH", "CHOICE", "DEVICE", "TIME", "VALUE");
      for (Map<String, Json> document : Json.parse(answer).objects()) {
        for (Map<String, Json> contest : document.getOrDefault("conflicts", Json.NONE).objects()) {
          String name = Json.text(document, "id");
          row(table, name, contest, "winner", contest.getOrDefault("winner", Json.NONE).members());
          int number = 1;
          for (Map<String, Json> loser : contest.getOrDefault("losers", Json.NONE).objects()) {
            row(table, name, contest, Integer.toString(number++), loser);
          }
        }
      }
      table.print(root.io().out());
      return Main.OK;
    }

    private static void row(
        Table table, String id, Map<String, Json> contest, String choice, Map<String, Json> claim) {
      table.row(
          id,
          place(contest),
          choice,
          device(claim),
          Json.time(claim, "timestamp"),
          Json.source(claim, "value"));
    }
  }
}
