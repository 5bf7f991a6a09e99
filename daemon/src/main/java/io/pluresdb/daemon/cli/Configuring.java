package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.Api;
import io.pluresdb.daemon.api.JsonWriter;
import io.pluresdb.daemon.config.Config.Entry;
import io.pluresdb.daemon.config.Settings;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Commands on settings. They read files and the environment, and need no daemon. */
final class Configuring {
  private Configuring() {}

  /** {@code config} with its subcommands. */
  static CommandLine command(Root root) {
    return new CommandLine(new ConfigCommand())
        .addSubcommand("list", new ListSettings(root))
        .addSubcommand("get", new GetSetting(root));
  }

  @Command(name = "config", description = "Print settings and where they come from.")
  static final class ConfigCommand implements Runnable {
    @Spec private @Nullable CommandSpec spec;

    @Override
    public void run() {
      if (spec != null) {
        throw new CommandLine.ParameterException(spec.commandLine(), "say list or get KEY");
      }
    }
  }

  @Command(
      name = "list",
      description = "Print every setting with its value and origin; no passwords or tokens.")
  static final class ListSettings implements Callable<Integer> {
    private final Root root;

    ListSettings(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() {
      List<Entry> entries = root.config(Map.of()).entries();
      if (root.json()) {
        var json = new JsonWriter().beginArray();
        entries.forEach(entry -> json(json, entry, entry.shown()));
        root.print(json.endArray().toByteArray());
        return Main.OK;
      }
      var table = new Table("KEY", "VALUE", "ORIGIN");
      entries.forEach(entry -> table.row(entry.setting().key(), entry.shown(), entry.origin()));
      table.print(root.io().out());
      return Main.OK;
    }
  }

  private static JsonWriter json(JsonWriter json, Entry entry, String text) {
    json.beginObject().name("key").string(entry.setting().key());
    json.name("value").string(text);
    return json.name("origin").string(entry.origin()).endObject();
  }

  @Command(
      name = "typescript",
      description = "Print a client of the HTTP API in TypeScript; it needs nothing but Node.")
  static final class TypeScript implements Callable<Integer> {
    private final Root root;

    TypeScript(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() {
      root.io().out().print(Api.typeScript(Version.text()));
      return Main.OK;
    }
  }

  @Command(name = "get", description = "Print one setting's value.")
  static final class GetSetting implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "KEY", description = "For example api.port.")
    private String key = "";

    GetSetting(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() {
      Entry entry = root.config(Map.of()).entry(Settings.of(key, "the command line"));
      if (root.json()) {
        root.print(json(new JsonWriter(), entry, entry.text()).toByteArray());
      } else {
        root.io().out().println(entry.text());
      }
      return Main.OK;
    }
  }
}
