package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.JsonWriter;
import io.pluresdb.daemon.api.Request;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Commands on which databases there are. */
final class Databases {
  private Databases() {}

  /** {@code db} with its subcommands. */
  static CommandLine command(Root root) {
    return new CommandLine(new DbCommand())
        .addSubcommand("list", new ListDatabases(root))
        .addSubcommand("create", new Create(root))
        .addSubcommand("drop", new Drop(root))
        .addSubcommand("move", new Move(root))
        .addSubcommand("copy", new Copy(root))
        .addSubcommand("quota", new Limit(root));
  }

  @Command(name = "db", description = "Make, rename, copy, limit and delete databases.")
  static final class DbCommand implements Runnable {
    @Spec private @Nullable CommandSpec spec;

    @Override
    public void run() {
      if (spec != null) {
        throw new CommandLine.ParameterException(
            spec.commandLine(), "say list, create, drop, move, copy or quota");
      }
    }
  }

  /** A number of bytes as people write it: digits, and K, M, G or T for powers of 1024. */
  static long bytes(String text) {
    String upper = text.toUpperCase(Locale.ROOT);
    int power = upper.isEmpty() ? -1 : "KMGT".indexOf(upper.charAt(upper.length() - 1));
    try {
      long number = Long.parseLong(power < 0 ? upper : upper.substring(0, upper.length() - 1));
      return Math.multiplyExact(number, 1L << (10 * (power + 1)));
    } catch (ArithmeticException | NumberFormatException e) {
      throw CliException.usage(
          "a size must be a number of bytes, or with K, M, G or T, but is \"" + text + "\"",
          "for example 500M");
    }
  }

  /** The limits of a database; those not named stay as they are. */
  static final class QuotaOptions {
    @Option(
        names = "--max-bytes",
        paramLabel = "N",
        description = "On disk; 500M, 2G. 0: no limit.")
    private @Nullable String bytes;

    @Option(names = "--max-documents", paramLabel = "N", description = "0: no limit.")
    private @Nullable Long documents;

    void write(JsonWriter body) {
      if (bytes != null) {
        body.name("bytes").number(bytes(bytes));
      }
      if (documents != null) {
        body.name("documents").number(documents);
      }
    }
  }

  private static byte[] names(String name, String to) {
    return new JsonWriter()
        .beginObject()
        .name("name")
        .string(name)
        .name("to")
        .string(to)
        .endObject()
        .toByteArray();
  }

  @Command(name = "list", description = "Print the databases of this device.")
  static final class ListDatabases implements Callable<Integer> {
    private final Root root;

    ListDatabases(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      byte[] answer = root.callDevice(Request.get("/api/databases"));
      if (root.json()) {
        root.print(answer);
        return Main.OK;
      }
      var table = new Table("NAME", "DOCUMENTS", "BYTES", "PEERS", "ROLE", "QUOTA");
      for (Map<String, Json> database : Json.parse(answer).objects()) {
        table.row(
            Json.text(database, "name"),
            Json.text(database, "documents"),
            Json.text(database, "bytesOnDisk"),
            Json.text(database, "peers"),
            Json.text(database, "role"),
            quota(database.getOrDefault("quota", Json.NONE).members()));
      }
      table.print(root.io().out());
      return Main.OK;
    }
  }

  private static String quota(Map<String, Json> quota) {
    String bytes = Json.text(quota, "bytes");
    String documents = Json.text(quota, "documents");
    String both =
        (bytes.equals("0") ? "" : bytes + " bytes ")
            + (documents.equals("0") ? "" : documents + " documents");
    return both.isEmpty() ? "none" : both.strip();
  }

  @Command(name = "create", description = "Make a database with a sync key of its own.")
  static final class Create implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "NAME", description = "1 to 63 of a-z, 0-9, - and _.")
    private String name = "";

    @Mixin private QuotaOptions quota = new QuotaOptions();

    Create(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      var body = new JsonWriter().beginObject().name("name").string(name);
      quota.write(body);
      byte[] answer =
          root.callDevice(Request.post("/api/databases", body.endObject().toByteArray()));
      Documents.done(root, answer, "made database", name);
      return Main.OK;
    }
  }

  @Command(
      name = "drop",
      description = {
        "Delete a database with its keys from this device.",
        "Other members keep theirs. Without another member or a backup it is gone."
      })
  static final class Drop implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "NAME", description = "The database.")
    private String name = "";

    @Option(
        names = "--confirm",
        paramLabel = "NAME",
        description = "The name once more; it is asked for otherwise.")
    private @Nullable String confirmed;

    Drop(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      String again = confirmed;
      if (again == null) {
        again = root.io().prompt().ask("Type the name of the database again to delete it");
      }
      if (again == null || !name.equals(again)) {
        throw CliException.usage(
            "database \"" + name + "\" is not deleted: the name was not given twice",
            "pluresdb db drop " + name + " --confirm " + name);
      }
      byte[] answer =
          root.callDevice(
              Request.delete("/api/databases").with("name", name).with("confirm", again));
      Documents.done(root, answer, "dropped database", name);
      return Main.OK;
    }
  }

  @Command(name = "move", description = "Give a database another name on this device.")
  static final class Move implements Callable<Integer> {
    private final Root root;

    @Parameters(index = "0", paramLabel = "NAME", description = "The database.")
    private String name = "";

    @Parameters(index = "1", paramLabel = "TO", description = "The name that is not taken yet.")
    private String to = "";

    Move(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      byte[] answer = root.callDevice(Request.post("/api/databases/move", names(name, to)));
      Documents.done(root, answer, "moved database " + name + " to", to);
      return Main.OK;
    }
  }

  @Command(
      name = "copy",
      description = {
        "Make a database of its own out of the documents of another.",
        "It has its own sync key, and neither the history nor the members."
      })
  static final class Copy implements Callable<Integer> {
    private final Root root;

    @Parameters(index = "0", paramLabel = "NAME", description = "The database.")
    private String name = "";

    @Parameters(index = "1", paramLabel = "TO", description = "The name that is not taken yet.")
    private String to = "";

    Copy(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      byte[] answer = root.callDevice(Request.post("/api/databases/copy", names(name, to)));
      String copied = Json.text(Json.parse(answer).members(), "copied");
      Documents.done(root, answer, "copied " + copied + " documents to database", to);
      return Main.OK;
    }
  }

  @Command(
      name = "quota",
      description = "Limit what is written to a database on this device; 0 is no limit.")
  static final class Limit implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "NAME", description = "The database.")
    private String name = "";

    @Mixin private QuotaOptions quota = new QuotaOptions();

    Limit(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      var body = new JsonWriter().beginObject().name("name").string(name);
      quota.write(body);
      byte[] answer =
          root.callDevice(Request.post("/api/databases/quota", body.endObject().toByteArray()));
      var quota = Json.parse(answer).members().getOrDefault("quota", Json.NONE).members();
      Documents.done(root, answer, "quota of " + name + ":", quota(quota));
      return Main.OK;
    }
  }
}
