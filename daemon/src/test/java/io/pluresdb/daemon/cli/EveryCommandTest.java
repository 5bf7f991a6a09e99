package io.pluresdb.daemon.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.JsonFactory;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;
import picocli.CommandLine.Model.ArgSpec;

/** Walks all commands there are: none is forgotten that is added later. */
class EveryCommandTest {
  /** What each command is given to do something, in an order in which they can. */
  private static final Map<String, List<String>> RUNS = runs();

  /** Commands that are not run here with {@code --json}, and why. */
  private static final Map<String, String> ELSEWHERE = elsewhere();

  @TempDir Path directory;

  private static Map<String, List<String>> runs() {
    var runs = new LinkedHashMap<String, List<String>>();
    runs.put("put", List.of("a", "{\"type\":\"t\",\"n\":1,\"text\":\"x\"}"));
    runs.put("get", List.of("a"));
    runs.put("patch", List.of("a", "{\"n\":2}"));
    runs.put("edit", List.of("a", "l", "list.insert", "0", "1"));
    runs.put("list", List.of());
    runs.put("history", List.of("a"));
    runs.put("revert", List.of("a", "--to", "2100-01-01T00:00:00Z"));
    runs.put("conflicts", List.of());
    runs.put("search", List.of("x"));
    runs.put("query", List.of("SELECT * FROM documents"));
    runs.put("dsl", List.of("limit(1)"));
    runs.put("type define", List.of("t", "{}"));
    runs.put("type list", List.of());
    runs.put("type instances", List.of("t"));
    runs.put("type schema", List.of("t"));
    runs.put("index add", List.of("n"));
    runs.put("index list", List.of());
    runs.put("index drop", List.of("n"));
    runs.put("edge add", List.of("a", "knows", "a"));
    runs.put("edge list", List.of("a"));
    runs.put("edge rebuild", List.of());
    runs.put("edge drop", List.of("a", "knows", "a"));
    runs.put("export", List.of());
    runs.put("db create", List.of("other"));
    runs.put("db list", List.of());
    runs.put("db copy", List.of("other", "third"));
    runs.put("db move", List.of("third", "fourth"));
    runs.put("db quota", List.of("other", "--max-documents", "5"));
    runs.put("db drop", List.of("other", "--confirm", "other"));
    runs.put("token create", List.of("one"));
    runs.put("token list", List.of());
    runs.put("token revoke", List.of("one"));
    runs.put("audit", List.of());
    runs.put("status", List.of());
    runs.put("devices", List.of());
    runs.put("peers", List.of());
    runs.put("vacuum", List.of());
    runs.put("migrate", List.of());
    runs.put("encryption status", List.of());
    runs.put("wal validate", List.of());
    runs.put("doctor", List.of());
    runs.put("config list", List.of());
    runs.put("config set", List.of("api.port", "0"));
    runs.put("config get", List.of("api.port"));
    runs.put("config reset", List.of("api.port"));
    runs.put("delete", List.of("a"));
    return runs;
  }

  private static Map<String, String> elsewhere() {
    var reasons = new LinkedHashMap<String, String>();
    String online = "needs a daemon or another device; CommandLineTest and the pages run it";
    List.of("watch", "join", "invite", "approve", "revoke", "adopt", "connect", "disconnect")
        .forEach(name -> reasons.put(name, online));
    List.of("sync", "dht", "top").forEach(name -> reasons.put(name, online));
    String state = "needs files or a state of its own; other tests run it";
    List.of("init", "import", "migrate-from-sqlite", "backup", "restore", "diagnose", "vsearch")
        .forEach(name -> reasons.put(name, state));
    List.of("key rotate", "encryption change-password", "encryption reencrypt", "wal recover")
        .forEach(name -> reasons.put(name, state));
    List.of("encryption enable", "relay token key", "relay token create")
        .forEach(name -> reasons.put(name, state));
    reasons.put("serve", "goes on until it is stopped");
    List.of("typescript", "completion").forEach(name -> reasons.put(name, "prints a program"));
    return reasons;
  }

  private record Outcome(int code, String out, String err) {}

  private static Io io(Path directory, PrintStream out, PrintStream err) {
    return new Io(
        InputStream.nullInputStream(),
        out,
        err,
        Map.of(
            "PLURESDB_DATA_DIR",
            directory.resolve("data").toString(),
            "HOME",
            directory.toString()),
        false,
        false,
        Io.Prompt.NONE,
        InstantSource.system(),
        new Random(1),
        Instant.EPOCH,
        new CountDownLatch(1));
  }

  private Outcome run(List<String> arguments) {
    var out = new ByteArrayOutputStream();
    var err = new ByteArrayOutputStream();
    var io =
        io(
            directory,
            new PrintStream(out, true, StandardCharsets.UTF_8),
            new PrintStream(err, true, StandardCharsets.UTF_8));
    int code = new Main(io).run(arguments.toArray(String[]::new));
    return new Outcome(
        code, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }

  @BeforeEach
  void init() {
    assertThat(run(List.of("init")).code()).isZero();
  }

  private Map<String, CommandLine> leaves() {
    var leaves = new LinkedHashMap<String, CommandLine>();
    Main.commandLine(io(directory, System.out, System.err), Main.commandNames())
        .getSubcommands()
        .forEach((name, command) -> leaves(name, command, leaves));
    return leaves;
  }

  private static void leaves(String name, CommandLine command, Map<String, CommandLine> leaves) {
    if (command.getSubcommands().isEmpty()) {
      leaves.put(name, command);
    }
    command.getSubcommands().forEach((sub, inner) -> leaves(name + " " + sub, inner, leaves));
  }

  private static List<String> words(String name, String... more) {
    var words = new ArrayList<>(List.of(name.split(" ")));
    words.addAll(List.of(more));
    return words;
  }

  @Test
  void everyCommand_isRunHereOrListedWithAReason() {
    var known = new TreeSet<>(RUNS.keySet());
    known.addAll(ELSEWHERE.keySet());
    assertThat(leaves().keySet()).containsExactlyInAnyOrderElementsOf(known);
  }

  @Test
  void everyCommand_withJson_printsJsonAndNothingElse() throws IOException {
    for (Map.Entry<String, List<String>> each : RUNS.entrySet()) {
      List<String> arguments = words(each.getKey(), "--json");
      arguments.addAll(each.getValue());
      Outcome outcome = run(arguments);
      assertThat(outcome.code()).as("%s: %s", arguments, outcome.err()).isZero();
      assertThat(outcome.err()).as("%s", arguments).isEmpty();
      assertThat(isJson(outcome.out())).as("%s printed %s", arguments, outcome.out()).isTrue();
    }
  }

  /** Whether it is one JSON value or more. */
  private static boolean isJson(String text) throws IOException {
    int values = 0;
    try (var parser = new JsonFactory().createParser(text)) {
      while (parser.nextToken() != null) {
        parser.skipChildren();
        values++;
      }
    } catch (JacksonException e) {
      return false;
    }
    return values > 0;
  }

  @Test
  void everyCommand_withAnUnknownOption_namesItOnStandardErrorWithoutColours() {
    for (String name : leaves().keySet()) {
      Outcome outcome = run(words(name, "--no-such-option"));
      assertThat(outcome.code()).as(name).isEqualTo(Main.USAGE);
      assertThat(outcome.out()).as(name).isEmpty();
      assertThat(outcome.err())
          .as(name)
          .startsWith("Error [CLI_USAGE]: ")
          .contains("\n  -> ")
          .doesNotContain("\u001b");
    }
  }

  @Test
  void everyCommand_withoutWhatItNeeds_namesIt() {
    leaves()
        .forEach(
            (name, command) -> {
              if (command.getCommandSpec().args().stream().anyMatch(ArgSpec::required)) {
                Outcome outcome = run(words(name));
                assertThat(outcome.code()).as(name).isEqualTo(Main.USAGE);
                assertThat(outcome.err())
                    .as(name)
                    .startsWith("Error [CLI_USAGE]: Missing required")
                    .contains("\n  -> pluresdb " + name + " --help shows what it takes");
              }
            });
  }

  @Test
  void everyCommand_describesItselfAndEachArgument() {
    leaves()
        .forEach(
            (name, command) -> {
              var spec = command.getCommandSpec();
              // The first line stands alone in the list of commands.
              assertThat(spec.usageMessage().description()[0]).as(name).endsWith(".");
              for (ArgSpec argument : spec.args()) {
                assertThat(argument.description()).as("%s %s", name, argument).isNotEmpty();
              }
              Outcome help = run(words(name, "--help"));
              assertThat(help.code()).as(name).isZero();
              assertThat(help.out()).as(name).contains("Usage: pluresdb ").doesNotContain("\u001b");
            });
  }

  @Test
  void completion_ofTheShell_knowsEveryCommand() {
    String script = run(List.of("completion")).out();
    for (String name : leaves().keySet()) {
      assertThat(script).as(name).contains("_" + name.replace(" ", "_").replace("-", ""));
    }
  }

  @Test
  void reference_ofTheCommandLine_namesEveryCommand() throws IOException {
    String reference =
        Files.readString(Path.of(System.getProperty("pluresdb.root"), "docs/reference/cli.md"));
    for (String name : leaves().keySet()) {
      assertThat(reference).as("docs/reference/cli.md on %s", name).contains("`" + name);
    }
  }
}
