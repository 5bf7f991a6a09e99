package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.Answer;
import io.pluresdb.daemon.api.ApiClient;
import io.pluresdb.daemon.api.Request;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Commands on many documents at once. */
final class Bulk {
  private Bulk() {}

  @Command(
      name = "import",
      description = {
        "Write the documents of a file.",
        "FILE is .jsonl with {\"id\",\"data\"} a line, or .csv with a header that names a column"
            + " id; either may end in .gz. - reads JSON lines from stdin.",
        "Importing a file again gives the same documents: after an error correct the file and"
            + " import all of it once more."
      })
  static final class Import implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "FILE", description = "The file, or - for stdin.")
    private String file = "";

    Import(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
      boolean stdin = file.equals("-");
      Path path = Path.of(file);
      if (!stdin && !Files.isReadable(path)) {
        throw CliException.file(file + " cannot be read", "check the path");
      }
      try (InputStream raw = stdin ? root.io().in() : Files.newInputStream(path);
          var progress = new Progress(raw, stdin ? 0 : Files.size(path), root.io())) {
        byte[] answer;
        try (ApiClient client = root.client()) {
          answer = client.call(root.chosen(request(progress)));
        } finally {
          progress.clear();
        }
        if (root.json()) {
          root.print(answer);
        } else {
          long count = Long.parseLong(Json.text(Json.parse(answer).members(), "imported"));
          root.io()
              .out()
              .println(
                  String.format(
                      "Imported %,d documents in %.1f s (%,.0f/s)",
                      count, progress.seconds(), count / progress.seconds()));
        }
      }
      return Main.OK;
    }

    private Request request(InputStream in) throws IOException {
      boolean gzip = file.endsWith(".gz");
      String name = gzip ? file.substring(0, file.length() - 3) : file;
      if (name.endsWith(".csv")) {
        InputStream csv = gzip ? new GZIPInputStream(in) : new BufferedInputStream(in);
        return Request.post("/api/import", new CsvLines(csv));
      }
      if (!name.endsWith(".jsonl") && !name.endsWith(".ndjson") && !file.equals("-")) {
        throw CliException.usage(
            "FILE must end in .jsonl, .ndjson or .csv, each with or without .gz, but is " + file,
            "rename it, or pipe JSON lines into: pluresdb import -");
      }
      Request request = Request.post("/api/import", in);
      return gzip ? request.withHeader("content-encoding", "gzip") : request;
    }
  }

  @Command(
      name = "export",
      description =
          "Print documents with their embeddings and types, and what indexes there are, as JSON"
              + " lines, which import reads.")
  static final class Export implements Callable<Integer> {
    private final Root root;

    @Option(names = "--prefix", paramLabel = "P", description = "Only ids that start with P.")
    private @Nullable String prefix;

    @Option(
        names = {"-o", "--output"},
        paramLabel = "FILE",
        description = "Write to FILE, which must not exist, instead of stdout.")
    private @Nullable Path output;

    Export(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
      Request request = Request.get("/api/export").withHeader("accept", Answer.NDJSON);
      Request chosen = root.chosen(Documents.with(request, "prefix", prefix));
      try (ApiClient client = root.client()) {
        if (output == null) {
          client.exchange(chosen, new OutSink(root.io().out()));
          return Main.OK;
        }
        try (var out =
            new BufferedOutputStream(
                Files.newOutputStream(output, java.nio.file.StandardOpenOption.CREATE_NEW))) {
          var sink = new OutSink(out);
          client.exchange(chosen, sink);
          root.io().err().println(String.format("Exported %,d documents", sink.documents()));
        } catch (java.nio.file.FileAlreadyExistsException e) {
          throw CliException.file(output + " exists", "choose another name");
        }
      }
      return Main.OK;
    }
  }
}
