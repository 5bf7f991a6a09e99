package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.Answer;
import io.pluresdb.daemon.api.ApiClient;
import io.pluresdb.daemon.api.JsonMembers;
import io.pluresdb.daemon.api.JsonWriter;
import io.pluresdb.daemon.api.Request;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Commands on documents. */
final class Documents {
  private static final List<String> DOCUMENT =
      List.of("id", "data", "timestamp", "clock", "embedding", "conflicts");

  private Documents() {}

  /**
   * One JSON value as the command line gives it.
   *
   * @throws CliException when it is something else, which would not stay within its place
   */
  static byte[] json(Root root, String argument) throws IOException {
    byte[] json = content(root, argument);
    String wrong = Json.mistake(json);
    if (!wrong.isEmpty()) {
      throw new CliException(
          Main.FAILURE,
          "CORE_SERIALIZATION_ERROR",
          (argument.startsWith("@") || argument.equals("-") ? argument : "\"" + argument + "\"")
              + " is no JSON value: "
              + wrong,
          "a text is JSON in double quotes, such as '\"text\"'; @FILE takes it from a file");
    }
    return json;
  }

  /** An argument itself, what is in {@code @FILE}, or {@code -} for standard input. */
  static byte[] content(Root root, String argument) throws IOException {
    if (argument.equals("-")) {
      return root.io().in().readAllBytes();
    }
    if (!argument.startsWith("@")) {
      return argument.getBytes(StandardCharsets.UTF_8);
    }
    Path file = Path.of(argument.substring(1));
    if (!Files.isReadable(file)) {
      throw CliException.file(file + " cannot be read", "check the path after @");
    }
    return Files.readAllBytes(file);
  }

  static void done(Root root, byte[] answer, String verb, String id) {
    if (root.json()) {
      root.print(answer);
    } else {
      root.io().out().println(verb + " " + id);
    }
  }

  /** How safe a write must be before the command ends. */
  static final class CopiesOptions {
    @Option(
        names = "--copies",
        paramLabel = "N",
        description = "Wait until N other devices have it on their disks too; 0 to 63.")
    private @Nullable Integer copies;

    @Option(
        names = "--wait-millis",
        paramLabel = "MILLIS",
        description = "For so long with --copies; 10000 unless said.")
    private @Nullable Long waitMillis;

    JsonWriter write(JsonWriter body) {
      if (copies != null) {
        body.name("copies").number(copies);
      }
      if (waitMillis != null) {
        body.name("waitMillis").number(waitMillis);
      }
      return body;
    }

    Request query(Request request) {
      Request asked = copies == null ? request : request.with("copies", copies.toString());
      return waitMillis == null ? asked : asked.with("waitMillis", waitMillis.toString());
    }
  }

  @Command(name = "put", description = "Write a document.")
  static final class Put implements Callable<Integer> {
    private final Root root;

    @Parameters(index = "0", paramLabel = "ID", description = "The document.")
    private String id = "";

    @Parameters(index = "1", paramLabel = "JSON", description = "JSON, @FILE, or - for stdin.")
    private String data = "";

    @Option(
        names = "--embedding",
        paramLabel = "JSON",
        description = "An array of numbers, @FILE, or - for stdin.")
    private @Nullable String embedding;

    @Mixin private CopiesOptions copies = new CopiesOptions();

    Put(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
      var body = new JsonWriter().beginObject().name("id").string(id);
      body.name("data").raw(json(root, data));
      if (embedding != null) {
        body.name("embedding").raw(json(root, embedding));
      }
      byte[] json = copies.write(body).endObject().toByteArray();
      done(root, root.call(Request.post("/api/put", json)), "put", id);
      return Main.OK;
    }
  }

  @Command(name = "patch", description = "Merge a patch (RFC 7396) into a document.")
  static final class Patch implements Callable<Integer> {
    private final Root root;

    @Parameters(index = "0", paramLabel = "ID", description = "The document.")
    private String id = "";

    @Parameters(index = "1", paramLabel = "JSON", description = "JSON, @FILE, or - for stdin.")
    private String patch = "";

    @Mixin private CopiesOptions copies = new CopiesOptions();

    Patch(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
      var body = new JsonWriter().beginObject().name("id").string(id);
      body.name("patch").raw(json(root, patch));
      copies.write(body).endObject();
      done(root, root.call(Request.post("/api/patch", body.toByteArray())), "patched", id);
      return Main.OK;
    }
  }

  @Command(name = "delete", description = "Delete a document.")
  static final class Delete implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "ID", description = "The document.")
    private String id = "";

    @Mixin private CopiesOptions copies = new CopiesOptions();

    Delete(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      Request request = copies.query(Request.delete("/api/delete").with("id", id));
      done(root, root.call(request), "deleted", id);
      return Main.OK;
    }
  }

  @Command(name = "get", description = "Print a document.")
  static final class Get implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "ID", description = "The document.")
    private String id = "";

    @Option(
        names = "--metadata",
        description = "Also print its time, clock, embedding and conflicts.")
    private boolean metadata;

    @Option(
        names = "--at",
        paramLabel = "MOMENT",
        description = "As it was: a time, a version, or versions joined by commas.")
    private @Nullable String at;

    Get(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      Request request = with(Request.get("/api/get").with("id", id), "at", at);
      byte[] answer = root.call(metadata ? request.with("metadata", "true") : request);
      if (root.json() || metadata) {
        root.print(answer);
      } else {
        root.print(JsonMembers.read(answer, "the answer", DOCUMENT).required("data").bytes());
      }
      return Main.OK;
    }
  }

  @Command(name = "list", description = "Print documents, one JSON object a line.")
  static final class ListDocuments implements Callable<Integer> {
    private final Root root;

    @Option(names = "--prefix", paramLabel = "P", description = "Only ids that start with P.")
    private @Nullable String prefix;

    @Option(names = "--type", paramLabel = "T", description = "Only documents of this type.")
    private @Nullable String type;

    @Option(names = "--limit", paramLabel = "N", description = "At most N documents.")
    private @Nullable String limit;

    @Option(names = "--after", paramLabel = "ID", description = "Only ids after this one.")
    private @Nullable String after;

    @Option(
        names = "--filter",
        paramLabel = "JSON",
        description = "Only what holds this, such as {\"year\":{\"gte\":1990}}.")
    private @Nullable String filter;

    @Option(
        names = "--sort",
        paramLabel = "FIELDS",
        description = "In this order, such as year or -year,title (at most 100, or --limit).")
    private @Nullable String sort;

    ListDocuments(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
      Request request = Request.get("/api/list").withHeader("accept", Answer.NDJSON);
      request = with(request, "prefix", prefix);
      request = with(request, "type", type);
      request = with(request, "limit", limit);
      request = with(request, "after", after);
      request = with(request, "filter", filter);
      request = with(request, "sort", sort);
      try (ApiClient client = root.client()) {
        client.exchange(root.chosen(request), new OutSink(root.io().out()));
      }
      return Main.OK;
    }
  }

  static Request with(Request request, String name, @Nullable String value) {
    return value == null ? request : request.with(name, value);
  }

  @Command(name = "watch", description = "Print changes as they come, one JSON object a line.")
  static final class Watch implements Callable<Integer> {
    private final Root root;

    @Option(names = "--prefix", paramLabel = "P", description = "Only ids that start with P.")
    private @Nullable String prefix;

    @Option(
        names = "--since",
        paramLabel = "N",
        description = "From this place in the arrival log; 0 is its start (default: now).")
    private @Nullable String since;

    Watch(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
      Request request = with(with(Request.get("/api/watch"), "prefix", prefix), "since", since);
      try (ApiClient client = root.daemon()) {
        client.exchange(root.chosen(request), new EventSink(root.io().out()));
      }
      return Main.OK;
    }
  }

  @Command(
      name = "vsearch",
      description =
          "Print the documents most similar to a text or an embedding; see embedding.model.")
  static final class VectorSearch implements Callable<Integer> {
    private final Root root;

    @Parameters(arity = "0..*", paramLabel = "TEXT", description = "What they should be about.")
    private List<String> text = List.of();

    @Mixin private SearchOptions options = new SearchOptions();

    VectorSearch(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
      var body = new JsonWriter().beginObject();
      if (!text.isEmpty()) {
        body.name("near").string(String.join(" ", text));
      }
      return options.search(root, body, !text.isEmpty(), false);
    }
  }

  @Command(
      name = "search",
      description =
          "Print the documents with some words, or most similar to an embedding, or both.")
  static final class Search implements Callable<Integer> {
    private final Root root;

    @Parameters(
        arity = "0..*",
        paramLabel = "TEXT",
        description = "Words, \"phrases in quotes\", begin*, -without.")
    private List<String> text = List.of();

    @Option(names = "--field", paramLabel = "F", description = "Look for words in this field only.")
    private @Nullable String field;

    @Option(
        names = "--alpha",
        paramLabel = "A",
        description = "Weight of the embedding, 0 to 1, beside words (default: by ranks).")
    private @Nullable Double alpha;

    @Mixin private SearchOptions options = new SearchOptions();

    Search(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
      var body = new JsonWriter().beginObject();
      if (!text.isEmpty()) {
        body.name("query").string(String.join(" ", text));
      }
      if (field != null) {
        body.name("field").string(field);
      }
      if (alpha != null) {
        body.name("alpha").number(alpha.doubleValue());
      }
      return options.search(root, body, !text.isEmpty(), !text.isEmpty());
    }
  }

  /** What searches share. */
  static final class SearchOptions {
    @Option(
        names = "--embedding",
        paramLabel = "JSON",
        description = "An array of numbers, @FILE, or - for stdin.")
    private @Nullable String embedding;

    @Option(
        names = "--filter",
        paramLabel = "JSON",
        description = "Only documents that hold this, as list takes it.")
    private @Nullable String filter;

    @Option(names = "--limit", paramLabel = "N", description = "Most hits (default: 10).")
    private @Nullable Integer limit;

    @Option(
        names = "--threshold",
        paramLabel = "S",
        description = "Least score of the embedding, 0 to 1 (default: 0).")
    private @Nullable Double threshold;

    /** Completes a search, sends it and prints what was found. */
    int search(Root root, JsonWriter body, boolean hasText, boolean highlighted)
        throws IOException, InterruptedException {
      if (embedding == null && !hasText) {
        throw CliException.usage(
            "there is nothing to search for", "say words, or --embedding with an array of numbers");
      }
      if (embedding != null) {
        body.name("embedding").raw(json(root, embedding));
      }
      if (filter != null) {
        body.name("filter").raw(json(root, filter));
      }
      if (limit != null) {
        body.name("limit").number(limit.longValue());
      }
      if (threshold != null) {
        body.name("threshold").number(threshold.doubleValue());
      }
      byte[] answer = root.call(Request.post("/api/search", body.endObject().toByteArray()));
      if (root.json()) {
        root.print(answer);
        return Main.OK;
      }
      var table = new Table("SCORE", "ID", highlighted ? "TEXT" : "DATA");
      for (Map<String, Json> hit : Json.parse(answer).objects()) {
        String score = String.format("%.4f", Double.parseDouble(Json.text(hit, "score")));
        List<Map<String, Json>> found = hit.getOrDefault("highlights", Json.NONE).objects();
        String shown =
            found.isEmpty() ? Json.text(hit, "data") : Json.text(found.getFirst(), "text");
        table.row(score, Json.text(hit, "id"), shown);
      }
      table.print(root.io().out());
      return Main.OK;
    }
  }
}
