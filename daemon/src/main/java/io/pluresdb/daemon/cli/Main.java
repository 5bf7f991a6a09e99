package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.ApiException;
import io.pluresdb.daemon.config.ConfigException;
import java.io.Console;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** What {@code ./pluresdb} runs. */
public final class Main {
  static final int OK = 0;
  static final int FAILURE = 1;
  static final int USAGE = 2;
  static final int NOT_FOUND = 3;

  private static final String FILE_HINT = "correct the file or pipe, then repeat the command";

  /** How long a signal waits for {@code serve} to stop by itself. */
  private static final long STOP_SECONDS = 10;

  /** By name and in the order of the help; made only when it is named, which keeps starts short. */
  private static final Map<String, Function<Root, Object>> COMMANDS = commands();

  /** Commands that stop with care at a signal. */
  private static final Set<String> STOPPING = Set.of("serve", "relay");

  /** Options before the command whose value is the next argument. */
  static final Set<String> VALUED =
      Set.of("--data-dir", "--db", "--log-level", "--key-file", "--password-file");

  private final Io io;

  Main(Io io) {
    this.io = io;
  }

  /** Runs one command and exits with its code. */
  public static void main(String[] arguments) {
    var io =
        new Io(
            System.in,
            stream(FileDescriptor.out),
            stream(FileDescriptor.err),
            System.getenv(),
            isTerminal(2),
            isTerminal(1),
            Main::ask,
            InstantSource.system(),
            // Reading entropy is left to the first use.
            new LazyRandom(),
            started(),
            new CountDownLatch(1));
    var stopped = new CountDownLatch(1);
    if (STOPPING.contains(command(arguments))) {
      // Only these stop with care; a signal ends any other command at once.
      Runtime.getRuntime().addShutdownHook(stopping(stopped, io));
    }
    int code = new Main(io).run(arguments);
    io.out().flush();
    stopped.countDown();
    System.exit(code);
  }

  /** The command that is named; empty without one. */
  static String command(String... arguments) {
    String previous = "";
    for (String argument : arguments) {
      if (VALUED.contains(previous)) {
        previous = "";
      } else if (argument.startsWith("-")) {
        previous = argument;
      } else {
        return argument;
      }
    }
    return "";
  }

  /** When this process began, not counting what the launcher built in it before. */
  private static Instant started() {
    Long built = Long.getLong("pluresdb.built");
    return built == null
        ? ProcessHandle.current().info().startInstant().orElseGet(Instant::now)
        : Instant.ofEpochMilli(built);
  }

  private static Thread stopping(CountDownLatch stopped, Io io) {
    return new Thread(
        () -> {
          // Nothing is interrupted: it may be writing a file.
          io.stop().countDown();
          try {
            if (!stopped.await(STOP_SECONDS, TimeUnit.SECONDS)) {
              io.err().println("Error [CLI_STOP]: not stopped in time");
            }
          } catch (InterruptedException e) {
            // The process ends either way.
          }
        });
  }

  // JDK 25 has none again where standard input is no terminal.
  @SuppressWarnings("SystemConsoleNull")
  private static @Nullable String ask(String question) {
    Console console = System.console();
    if (console == null || !console.isTerminal()) {
      return null;
    }
    char[] typed = console.readPassword("%s: ", question);
    return typed == null ? null : new String(typed);
  }

  private static PrintStream stream(FileDescriptor descriptor) {
    return new PrintStream(
        new java.io.BufferedOutputStream(new FileOutputStream(descriptor), 64 << 10),
        descriptor == FileDescriptor.err,
        StandardCharsets.UTF_8);
  }

  private static PrintWriter writer(PrintStream to) {
    return new PrintWriter(to, true, StandardCharsets.UTF_8);
  }

  /** False where only the JDK's console could tell: it knows nothing of standard error. */
  private static boolean isTerminal(int descriptor) {
    try {
      Path target = Files.readSymbolicLink(Path.of("/proc/self/fd/" + descriptor));
      return target.startsWith("/dev/pts") || target.toString().startsWith("/dev/tty");
    } catch (IOException e) {
      return false;
    }
  }

  private static Map<String, Function<Root, Object>> commands() {
    var commands = new LinkedHashMap<String, Function<Root, Object>>();
    commands.put("init", Serving.Init::new);
    commands.put("serve", Serving.Serve::new);
    commands.put("relay", Relaying::command);
    commands.put("put", Documents.Put::new);
    commands.put("get", Documents.Get::new);
    commands.put("patch", Documents.Patch::new);
    commands.put("delete", Documents.Delete::new);
    commands.put("edit", Editing::new);
    commands.put("list", Documents.ListDocuments::new);
    commands.put("watch", Documents.Watch::new);
    commands.put("history", Past.Versions::new);
    commands.put("revert", Past.Revert::new);
    commands.put("conflicts", Past.Conflicts::new);
    commands.put("vsearch", Documents.VectorSearch::new);
    commands.put("search", Documents.Search::new);
    commands.put("edge", Linking::command);
    commands.put("query", Querying.Sql::new);
    commands.put("dsl", Querying.Pipeline::new);
    commands.put("type", Typing::command);
    commands.put("index", Indexing::command);
    commands.put("import", Bulk.Import::new);
    commands.put("export", Bulk.Export::new);
    commands.put("migrate-from-sqlite", Migrating::new);
    commands.put("db", Databases::command);
    commands.put("token", Granting::command);
    commands.put("audit", Granting.Audit::new);
    commands.put("status", Sharing.Status::new);
    commands.put("invite", Sharing.Invite::new);
    commands.put("join", Sharing.Join::new);
    commands.put("devices", Sharing.Devices::new);
    commands.put("approve", Sharing.Approve::new);
    commands.put("revoke", Sharing.Revoke::new);
    commands.put("adopt", Sharing.Adopt::new);
    commands.put("connect", Sharing.Connect::new);
    commands.put("disconnect", Sharing.Disconnect::new);
    commands.put("peers", Sharing.Peers::new);
    commands.put("dht", Exploring.Dht::new);
    commands.put("sync", Sharing.Sync::new);
    commands.put("vacuum", Keeping.Vacuum::new);
    commands.put("backup", Keeping.Backup::new);
    commands.put("restore", Keeping.Restore::new);
    commands.put("migrate", Keeping.Migrate::new);
    commands.put("encryption", Encrypting::command);
    commands.put("key", Encrypting::keys);
    commands.put("wal", Logs::command);
    commands.put("doctor", Diagnosing.Doctor::new);
    commands.put("diagnose", Diagnosis::new);
    commands.put("top", Top::new);
    commands.put("config", Configuring::command);
    commands.put("typescript", Configuring.TypeScript::new);
    commands.put("completion", Configuring.Completion::new);
    return commands;
  }

  /** Runs one command; the exit code is one of the constants above. */
  int run(String... arguments) {
    List<String> named = new ArrayList<>(List.of(arguments));
    named.retainAll(COMMANDS.keySet());
    boolean all = named.isEmpty() || named.contains("completion");
    int code = execute(all ? List.copyOf(COMMANDS.keySet()) : named, arguments);
    io.out().flush();
    io.err().flush();
    return code;
  }

  /** Names of all commands, in the order of the help. */
  static List<String> commandNames() {
    return List.copyOf(COMMANDS.keySet());
  }

  static CommandLine commandLine(Io io, List<String> names) {
    var root = new Root(io);
    var line = new CommandLine(root);
    for (String name : names) {
      Function<Root, Object> command = COMMANDS.get(name);
      if (command != null && !line.getSubcommands().containsKey(name)) {
        line.addSubcommand(name, command.apply(root));
      }
    }
    line.getSubcommands().values().forEach(Main::addHelp);
    line.setOut(writer(io.out()));
    line.setErr(writer(io.err()));
    line.setColorScheme(
        CommandLine.Help.defaultColorScheme(
            io.terminal() ? CommandLine.Help.Ansi.AUTO : CommandLine.Help.Ansi.OFF));
    return line;
  }

  private static void addHelp(CommandLine command) {
    var spec = command.getCommandSpec();
    if (!spec.mixinStandardHelpOptions()) {
      spec.mixinStandardHelpOptions(true).versionProvider(new Version());
    }
    command.getSubcommands().values().forEach(Main::addHelp);
  }

  private int execute(List<String> names, String[] arguments) {
    CommandLine line = commandLine(io, names);
    line.setParameterExceptionHandler((e, args) -> usage(e));
    line.setExecutionExceptionHandler((e, command, result) -> failed(e, command));
    return line.execute(arguments);
  }

  private int usage(ParameterException e) {
    String command = e.getCommandLine().getCommandSpec().qualifiedName();
    String hint = command + " --help shows what it takes";
    String message = String.valueOf(e.getMessage());
    if (e instanceof UnmatchedArgumentException unmatched) {
      List<String> suggestions = unmatched.getSuggestions();
      String first = unmatched.getUnmatched().isEmpty() ? "" : unmatched.getUnmatched().getFirst();
      if (!first.startsWith("-") && !e.getCommandLine().getSubcommands().isEmpty()) {
        message = "there is no command \"" + command + " " + first + "\"";
      }
      if (!suggestions.isEmpty()) {
        hint = "did you mean " + String.join(" or ", suggestions) + "?";
      }
    }
    return print("CLI_USAGE", message, hint, USAGE);
  }

  private int failed(Exception e, CommandLine line) {
    Root root = (Root) root(line).getCommand();
    if (root.verbose()) {
      e.printStackTrace(io.err());
    }
    return switch (e) {
      case CliException cli ->
          print(cli.code(), String.valueOf(cli.getMessage()), cli.hint(), cli.exitCode());
      case ConfigException config ->
          print(ConfigException.CODE, String.valueOf(config.getMessage()), config.hint(), USAGE);
      case InterruptedException i -> FAILURE;
      case IOException io -> print("CLI_FILE", reason(io), FILE_HINT, FAILURE);
      case UncheckedIOException wrapper ->
          print(
              "CLI_FILE",
              wrapper.getCause() == null
                  ? String.valueOf(wrapper.getMessage())
                  : reason(wrapper.getCause()),
              FILE_HINT,
              FAILURE);
      default -> {
        ApiException api = ApiException.of(e);
        yield print(
            api.code(), api.message(), api.hint(), api.status() == 404 ? NOT_FOUND : FAILURE);
      }
    };
  }

  /** What is the matter with a file; the JDK's messages of some kinds are its path alone. */
  private static String reason(IOException e) {
    return switch (e) {
      case NoSuchFileException missing -> missing.getFile() + " is in no folder that exists";
      case FileAlreadyExistsException there -> there.getFile() + " exists already";
      case AccessDeniedException denied -> denied.getFile() + " may not be read or written";
      default -> String.valueOf(e.getMessage());
    };
  }

  private static CommandLine root(CommandLine line) {
    CommandLine parent = line.getParent();
    return parent == null ? line : root(parent);
  }

  private int print(String code, String message, String hint, int exitCode) {
    String start = io.terminal() ? "\u001b[31mError\u001b[0m" : "Error";
    io.err().println(start + " [" + code + "]: " + message);
    io.err().println(hint.lines().map(l -> "  -> " + l).collect(Collectors.joining("\n")));
    return exitCode;
  }

  /** Entropy is read when it is first asked for. */
  private static final class LazyRandom implements java.util.random.RandomGenerator {
    @Override
    public long nextLong() {
      return new SecureRandom().nextLong();
    }
  }
}
