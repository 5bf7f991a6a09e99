package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.Api;
import io.pluresdb.daemon.api.JsonWriter;
import io.pluresdb.daemon.config.Config;
import io.pluresdb.daemon.config.Config.Entry;
import io.pluresdb.daemon.config.ConfigException;
import io.pluresdb.daemon.config.ConfigFile;
import io.pluresdb.daemon.config.Setting;
import io.pluresdb.daemon.config.Settings;
import io.pluresdb.storage.file.DurableFiles;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Commands on settings. They work on files and the environment, and need no daemon. */
final class Configuring {
  private Configuring() {}

  /** {@code config} with its subcommands. */
  static CommandLine command(Root root) {
    return new CommandLine(new ConfigCommand())
        .addSubcommand("list", new ListSettings(root))
        .addSubcommand("get", new GetSetting(root))
        .addSubcommand("set", new SetSetting(root))
        .addSubcommand("reset", new ResetSetting(root));
  }

  @Command(name = "config", description = "Print and change settings.")
  static final class ConfigCommand implements Runnable {
    @Spec private @Nullable CommandSpec spec;

    @Override
    public void run() {
      if (spec != null) {
        throw new CommandLine.ParameterException(
            spec.commandLine(), "say list, get KEY, set KEY VALUE or reset KEY");
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
      name = "completion",
      description = {
        "Print a script that completes commands in bash and zsh.",
        "To use it: source <(pluresdb completion)"
      })
  static final class Completion implements Callable<Integer> {
    private final Root root;

    @Spec private @Nullable CommandSpec spec;

    Completion(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() {
      if (spec != null) {
        root.io().out().print(AutoComplete.bash("pluresdb", spec.root().commandLine()));
      }
      return Main.OK;
    }
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

  /** The file that is changed, and what is to be done for it to take effect. */
  private record Target(Root root, Setting<?> setting) {
    static Target of(Root root, String key) {
      return new Target(root, Settings.of(key, "the command line"));
    }

    ConfigFile file() {
      try {
        DurableFiles.makeFolders(root.dataDir());
      } catch (IOException e) {
        throw new ConfigException(
            root.dataDir() + " cannot be made: " + e.getMessage(), "say --data-dir DIR");
      }
      return new ConfigFile(root.dataDir().resolve(Config.FILE));
    }

    int print() {
      Entry entry = root.config(Map.of()).entry(setting);
      if (root.json()) {
        root.print(json(new JsonWriter(), entry, entry.shown()).toByteArray());
        return Main.OK;
      }
      root.io()
          .out()
          .println(setting.key() + " is " + entry.shown() + " (" + entry.origin() + ").");
      root.io()
          .out()
          .println(
              Settings.RELOADABLE.contains(setting)
                  ? "A running daemon takes it over at SIGHUP."
                  : "A running daemon takes it over at its next start.");
      return Main.OK;
    }
  }

  @Command(name = "set", description = "Write a setting to DATA_DIR/config.toml.")
  static final class SetSetting implements Callable<Integer> {
    private final Root root;

    @Parameters(index = "0", paramLabel = "KEY", description = "For example log.level.")
    private String key = "";

    @Parameters(index = "1", paramLabel = "VALUE", description = "Lists are separated by commas.")
    private String value = "";

    SetSetting(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() {
      Target target = Target.of(root, key);
      target.file().set(target.setting(), value);
      return target.print();
    }
  }

  @Command(
      name = "reset",
      description = "Take a setting out of DATA_DIR/config.toml, so that its default holds.")
  static final class ResetSetting implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "KEY", description = "For example log.level.")
    private String key = "";

    ResetSetting(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() {
      Target target = Target.of(root, key);
      target.file().reset(target.setting());
      return target.print();
    }
  }
}
