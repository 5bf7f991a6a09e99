package io.pluresdb.harness.docs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.harness.cluster.DaemonProcess;
import io.pluresdb.harness.docs.Step.Shown;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * Every command that README, tutorial and how-to show is executed, and prints what they say. What
 * the blocks of a page mean is said in {@link Step}.
 */
class DocumentedCommandsTest {
  private static final Path ROOT = Path.of(System.getProperty("pluresdb.root"));

  /** Pages at the same time; each has two or three daemons. */
  private static final int SIDE_BY_SIDE = 2;

  /** What pages use besides PluresDB and a shell. */
  private static final List<String> TOOLS = List.of("curl", "openssl", "sqlite3");

  /** A command line, whatever the prompt. */
  private static final Pattern COMMAND =
      Pattern.compile(
          "\\s*[#$]?\\s*(sudo .*|(\\./)?(pluresdb|curl|systemctl|apt|verify|bin|packaging)[ /].*)");

  /** How lines begin that cannot be executed here, and where they are instead. */
  private static final Map<String, String> ELSEWHERE = elsewhere();

  private static final ExecutorService PAGES = Executors.newFixedThreadPool(SIDE_BY_SIDE);

  private static Map<String, String> elsewhere() {
    String installed = "packaging/test-install, which needs root and debootstrap";
    String systemd =
        "nowhere: needs a running systemd; the unit itself is in packaging/test-install";
    var lines = new LinkedHashMap<String, String>();
    lines.put("./verify", "every build");
    lines.put("bin/package", installed);
    lines.put("sudo apt install ./target/dist/pluresdb_", installed + " (dpkg)");
    lines.put("sudo systemctl ", systemd);
    lines.put("sudo systemd-creds ", systemd);
    lines.put("sudo -u pluresdb pluresdb ", "the same commands without sudo, on the same page");
    return lines;
  }

  @AfterAll
  static void stop() {
    PAGES.shutdownNow();
  }

  private static List<Page> pages() throws IOException {
    var files = new ArrayList<Path>();
    files.add(ROOT.resolve("README.md"));
    files.add(ROOT.resolve("docs/tutorial.md"));
    try (Stream<Path> more = Files.list(ROOT.resolve("docs/how-to"))) {
      more.filter(file -> file.toString().endsWith(".md")).sorted().forEach(files::add);
    }
    var pages = new ArrayList<Page>();
    for (Path file : files) {
      pages.add(Page.of(ROOT.relativize(file).toString(), Files.readAllLines(file)));
    }
    return pages;
  }

  @TestFactory
  Stream<DynamicTest> page_executed_printsWhatItShows() throws IOException {
    var runs = new LinkedHashMap<Page, Future<Void>>();
    for (Page page : pages()) {
      Callable<Void> run =
          () -> {
            execute(page);
            return null;
          };
      runs.put(page, PAGES.submit(run));
    }
    return runs.entrySet().stream()
        .map(
            entry ->
                DynamicTest.dynamicTest(
                    entry.getKey().name(),
                    () -> {
                      String missing = missing(entry.getKey());
                      if (!missing.isEmpty()) {
                        System.out.println("SKIPPED " + entry.getKey().name() + ": no " + missing);
                        Assumptions.abort("no " + missing);
                      }
                      try {
                        entry.getValue().get();
                      } catch (ExecutionException e) {
                        throw e.getCause();
                      }
                    }));
  }

  /** Tools that the page uses and this machine does not have. */
  private static String missing(Page page) {
    String path = System.getenv().getOrDefault("PATH", "");
    String scripts = page.scripts();
    return String.join(
        ", ",
        TOOLS.stream()
            .filter(tool -> Pattern.compile("\\b" + tool + " ").matcher(scripts).find())
            .filter(
                tool ->
                    Stream.of(path.split(":"))
                        .noneMatch(folder -> Files.isExecutable(Path.of(folder, tool))))
            .toList());
  }

  private static void execute(Page page) throws IOException, InterruptedException {
    if (!missing(page).isEmpty()) {
      return;
    }
    Path scratch = Files.createTempDirectory("docs");
    List<String> program = new ArrayList<>(DaemonProcess.java("io.pluresdb.daemon.cli.Main"));
    program.addAll(1, List.of("-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"));
    try (var proxy = new ConnectProxy()) {
      var environment =
          Map.of(
              "RELAY_HOST",
              "localhost",
              "RELAY_PORT",
              Integer.toString(DaemonProcess.freePort()),
              "PROXY",
              proxy.url());
      try (var shell = new PageShell(page, scratch, program, environment)) {
        shell.execute();
      }
      if (page.scripts().contains("PROXY")) {
        assertThat(proxy.targets()).as("what went through the proxy").isNotEmpty();
      }
    } finally {
      delete(scratch);
    }
  }

  private static void delete(Path tree) throws IOException {
    try (Stream<Path> all = Files.walk(tree)) {
      for (Path one : all.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(one);
      }
    }
  }

  @Test
  void command_inABlockThatIsNotExecuted_isOneOfTheFewThatCannotBe() throws IOException {
    var unused = new TreeSet<>(ELSEWHERE.keySet());
    var wrong = new ArrayList<String>();
    for (Page page : pages()) {
      for (var step : page.steps()) {
        if (step instanceof Shown shown) {
          wrong.addAll(notExecuted(page, shown, unused));
        }
      }
    }
    assertThat(wrong).isEmpty();
    assertThat(unused).as("listed, and on no page").isEmpty();
  }

  private static List<String> notExecuted(Page page, Shown shown, Set<String> unused) {
    var wrong = new ArrayList<String>();
    for (String line : shown.lines()) {
      if (!COMMAND.matcher(line).matches()) {
        continue;
      }
      List<String> reasons = ELSEWHERE.keySet().stream().filter(line.strip()::startsWith).toList();
      reasons.forEach(unused::remove);
      if (reasons.isEmpty()) {
        wrong.add(page.name() + ":" + shown.line() + ": " + line);
      }
    }
    return wrong;
  }

  @Test
  void link_ofAPage_leadsToAFileAndAHeading() throws IOException {
    var wrong = new ArrayList<String>();
    var link = Pattern.compile("\\[[^\\]]*\\]\\(([^)#\\s]*)(#[^)\\s]*)?\\)");
    try (Stream<Path> docs = Files.walk(ROOT.resolve("docs"))) {
      Stream<Path> files = Stream.concat(Stream.of(ROOT.resolve("README.md")), docs);
      for (Path file : files.filter(one -> one.toString().endsWith(".md")).toList()) {
        Matcher links = link.matcher(Files.readString(file));
        while (links.find()) {
          if (links.group(1).contains("://")) {
            continue;
          }
          Path target =
              links.group(1).isEmpty()
                  ? file
                  : file.resolveSibling(links.group(1)).toAbsolutePath().normalize();
          if (!Files.exists(target) || !hasHeading(target, links.group(2))) {
            wrong.add(ROOT.relativize(file) + ": " + links.group());
          }
        }
      }
    }
    assertThat(wrong).isEmpty();
  }

  private static boolean hasHeading(Path file, String fragment) throws IOException {
    return fragment == null
        || Files.readAllLines(file).stream()
            .filter(line -> line.startsWith("#"))
            .map(line -> line.replaceFirst("#+ ", "").toLowerCase(java.util.Locale.ROOT))
            .map(line -> "#" + line.replaceAll("[^\\p{L}\\p{N} _-]", "").replace(' ', '-'))
            .anyMatch(fragment::equals);
  }

  /** Without these, a page that proves nothing would pass. */
  @Test
  void page_thatIsWrong_fails() throws IOException, InterruptedException {
    assertFails("a command failed", "```sh", "false", "```");
    assertFails("a command failed", "```sh", "pluresdb get nothing", "```");
    assertFails("printed something else", "```sh", "echo two", "```", "```text", "one", "```");
    assertFails("printed something else", "```sh", "echo a; echo b", "```", "```text", "a", "```");
    assertFails("has ended", "```sh daemon one", "pluresdb serve --port 0.5", "```");
    assertFails("does not run", "<!-- stop laptop -->");
    Path scratch = Files.createTempDirectory("docs");
    try (var shell =
        new PageShell(
            Page.of(
                "right.md",
                List.of("```sh", "x=1", "echo $x; echo 2", "```", "```text", "…", "2", "```")),
            scratch,
            List.of("false"),
            Map.of())) {
      shell.execute();
    } finally {
      delete(scratch);
    }
    var shown = new Shown(1, "console", List.of("  curl http://localhost", "$ pluresdb x", "text"));
    assertThat(notExecuted(new Page("p", List.of()), shown, new TreeSet<>())).hasSize(2);
  }

  private static void assertFails(String why, String... lines) throws IOException {
    Path scratch = Files.createTempDirectory("docs");
    try (var shell =
        new PageShell(Page.of("wrong.md", List.of(lines)), scratch, List.of("false"), Map.of())) {
      assertThatThrownBy(shell::execute)
          .isInstanceOf(AssertionError.class)
          .hasMessageContaining(why);
    } finally {
      delete(scratch);
    }
  }
}
