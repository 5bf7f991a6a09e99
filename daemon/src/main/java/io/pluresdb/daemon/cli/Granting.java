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
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Commands on tokens and on what was done with them. */
final class Granting {
  private Granting() {}

  /** {@code token} with its subcommands. */
  static CommandLine command(Root root) {
    return new CommandLine(new TokenCommand())
        .addSubcommand("list", new ListTokens(root))
        .addSubcommand("create", new Create(root))
        .addSubcommand("revoke", new Revoke(root));
  }

  @Command(name = "token", description = "Let apps use the HTTP API within limits.")
  static final class TokenCommand implements Runnable {
    @Spec private @Nullable CommandSpec spec;

    @Override
    public void run() {
      if (spec != null) {
        throw new CommandLine.ParameterException(spec.commandLine(), "say list, create or revoke");
      }
    }
  }

  private static String time(Map<String, Json> members, String name, String otherwise) {
    return Json.text(members, name).equals("null") ? otherwise : Json.time(members, name);
  }

  @Command(name = "list", description = "Print the tokens; their secrets are not kept.")
  static final class ListTokens implements Callable<Integer> {
    private final Root root;

    ListTokens(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      byte[] answer = root.callDevice(Request.get("/api/tokens"));
      if (root.json()) {
        root.print(answer);
        return Main.OK;
      }
      var table = new Table("NAME", "SCOPE", "DATABASES", "EXPIRES", "LAST USED");
      for (Map<String, Json> token : Json.parse(answer).objects()) {
        List<String> databases =
            token.getOrDefault("databases", Json.NONE).elements().stream().map(Json::text).toList();
        table.row(
            Json.text(token, "name"),
            Json.text(token, "scope"),
            databases.isEmpty() ? "all" : String.join(",", databases),
            time(token, "expires", "never"),
            time(token, "lastUsed", "not since the start"));
      }
      table.print(root.io().out());
      return Main.OK;
    }
  }

  @Command(name = "create", description = "Make a token and print its secret, once.")
  static final class Create implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "NAME", description = "What it is for; 1 to 64 characters.")
    private String name = "";

    @Option(
        names = "--scope",
        paramLabel = "S",
        description = "read (the default), write or admin.")
    private @Nullable String scope;

    @Option(
        names = "--databases",
        paramLabel = "NAME,...",
        split = ",",
        description = "What it is for (default: all); not with admin.")
    private @Nullable List<String> databases;

    @Option(
        names = "--expires",
        paramLabel = "D",
        description = "How long it is valid: 30m, 24h, 90d (default: until it is revoked).")
    private @Nullable String expires;

    Create(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      var body = new JsonWriter().beginObject().name("name").string(name);
      if (scope != null) {
        body.name("scope").string(scope);
      }
      if (databases != null) {
        body.name("databases").beginArray();
        databases.forEach(body::string);
        body.endArray();
      }
      if (expires != null) {
        body.name("expiresSeconds").number(Sharing.Invite.seconds(expires));
      }
      byte[] answer = root.callDevice(Request.post("/api/tokens", body.endObject().toByteArray()));
      if (root.json()) {
        root.print(answer);
      } else {
        root.io().out().println(Json.text(Json.parse(answer).members(), "secret"));
      }
      return Main.OK;
    }
  }

  @Command(name = "revoke", description = "Make a token worthless, from its next request on.")
  static final class Revoke implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "NAME", description = "The token.")
    private String name = "";

    Revoke(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      byte[] answer = root.callDevice(Request.delete("/api/tokens").with("name", name));
      Documents.done(root, answer, "revoked token", name);
      return Main.OK;
    }
  }

  @Command(name = "audit", description = "Print what administrators did, newest first.")
  static final class Audit implements Callable<Integer> {
    private final Root root;

    @Option(names = "--limit", paramLabel = "N", description = "1 to 10000 (default: 100).")
    private @Nullable Integer limit;

    Audit(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      Request request = Request.get("/api/audit");
      byte[] answer =
          root.callDevice(limit == null ? request : request.with("limit", limit.toString()));
      if (root.json()) {
        root.print(answer);
        return Main.OK;
      }
      var table = new Table("TIME", "WHO", "ACT", "DATABASE", "SUBJECT", "OUTCOME");
      for (Map<String, Json> entry : Json.parse(answer).objects()) {
        table.row(
            Json.time(entry, "time"),
            Json.text(entry, "who"),
            Json.text(entry, "act"),
            Json.text(entry, "database"),
            Json.text(entry, "subject"),
            Json.text(entry, "outcome"));
      }
      table.print(root.io().out());
      return Main.OK;
    }
  }
}
