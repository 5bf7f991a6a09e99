package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.ApiClient;
import io.pluresdb.daemon.api.Request;
import io.pluresdb.daemon.config.Config;
import io.pluresdb.daemon.config.Settings;
import io.pluresdb.daemon.node.Node;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** {@code pluresdb} itself: what every command takes. */
@Command(
    name = "pluresdb",
    description = "A local-first database that keeps your devices equal.",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    subcommandsRepeatable = false,
    footer = "%npluresdb bench --help lists the benchmarks.%n",
    exitCodeListHeading = "Exit codes:%n",
    exitCodeList = {"0:ok", "1:failure", "2:usage", "3:not found"})
final class Root implements Runnable {
  private final Io io;

  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = "--data-dir",
      paramLabel = "DIR",
      scope = ScopeType.INHERIT,
      description =
          "Data directory (default: $PLURESDB_DATA_DIR, else $XDG_DATA_HOME/pluresdb, else"
              + " ~/.local/share/pluresdb).")
  private @Nullable Path dataDir;

  @Option(
      names = "--db",
      paramLabel = "NAME",
      scope = ScopeType.INHERIT,
      description = "The database that is meant (default: default).")
  private @Nullable String database;

  @Option(names = "--json", scope = ScopeType.INHERIT, description = "Print the answer as JSON.")
  private boolean json;

  @Option(
      names = {"-v", "--verbose"},
      scope = ScopeType.INHERIT,
      description = "Show where an error comes from.")
  private boolean verbose;

  @Option(
      names = "--password-file",
      paramLabel = "FILE",
      scope = ScopeType.INHERIT,
      description = "Sets encryption.password-file: what unlocks an encrypted data directory.")
  private @Nullable Path passwordFile;

  @Option(
      names = "--key-file",
      paramLabel = "FILE",
      scope = ScopeType.INHERIT,
      description = "Sets encryption.key-file: what unlocks an encrypted data directory.")
  private @Nullable Path keyFile;

  @Option(
      names = "--log-level",
      paramLabel = "LEVEL",
      scope = ScopeType.INHERIT,
      description = "error, warn, info or debug: what is logged on standard error.")
  private @Nullable String logLevel;

  Root(Io io) {
    this.io = io;
  }

  @Override
  public void run() {
    if (spec != null) {
      throw new CommandLine.ParameterException(spec.commandLine(), "a command is missing");
    }
  }

  Io io() {
    return io;
  }

  boolean json() {
    return json;
  }

  boolean verbose() {
    return verbose;
  }

  Path dataDir() {
    if (dataDir != null) {
      return dataDir;
    }
    String given = io.environment().get("PLURESDB_DATA_DIR");
    if (given != null && !given.isEmpty()) {
      return Path.of(given);
    }
    String shared = io.environment().get("XDG_DATA_HOME");
    if (shared != null && !shared.isEmpty()) {
      return Path.of(shared, "pluresdb");
    }
    String home = io.environment().get("HOME");
    if (home == null || home.isEmpty()) {
      throw CliException.usage("there is no home directory", "say --data-dir DIR");
    }
    return Path.of(home, ".local", "share", "pluresdb");
  }

  /** The configuration, with {@code flags} of the command and the global ones on top. */
  Config config(Map<String, String> flags) {
    var all = new HashMap<>(flags);
    if (logLevel != null) {
      all.put("log.level", logLevel);
    }
    if (passwordFile != null) {
      all.put(Settings.ENCRYPTION_PASSWORD_FILE.key(), passwordFile.toAbsolutePath().toString());
    }
    if (keyFile != null) {
      all.put(Settings.ENCRYPTION_KEY_FILE.key(), keyFile.toAbsolutePath().toString());
    }
    return Config.load(Config.SYSTEM_FILE, dataDir(), io.environment(), all);
  }

  /** What unlocks the data directory. */
  Secrets secrets() {
    return new Secrets(io, config(Map.of()));
  }

  /** The daemon, or the store itself where none runs; close it. */
  ApiClient client() {
    return Backend.open(this);
  }

  /** The daemon. */
  ApiClient daemon() {
    return Backend.daemon(this);
  }

  /** The request with the chosen database. */
  Request chosen(Request request) {
    return database == null ? request : request.with("db", database);
  }

  /** The name of the chosen database. */
  String databaseName() {
    return database == null ? Node.DEFAULT_DATABASE : database;
  }

  /** Sends one request and returns its whole answer. */
  byte[] call(Request request) throws InterruptedException {
    try (ApiClient client = client()) {
      return client.call(chosen(request));
    }
  }

  /** As {@link #call}, for what is about the whole device and no database. */
  byte[] callDevice(Request request) throws InterruptedException {
    try (ApiClient client = client()) {
      return client.call(request);
    }
  }

  /** Prints an answer and a line end. */
  void print(byte[] answer) {
    io.out().write(answer, 0, answer.length);
    io.out().println();
  }
}
