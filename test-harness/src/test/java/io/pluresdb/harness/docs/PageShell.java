package io.pluresdb.harness.docs;

import io.pluresdb.harness.docs.Step.Printed;
import io.pluresdb.harness.docs.Step.Run;
import io.pluresdb.harness.docs.Step.Shown;
import io.pluresdb.harness.docs.Step.Start;
import io.pluresdb.harness.docs.Step.Stop;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** One bash process that executes a page, in directories of its own. */
final class PageShell implements AutoCloseable {
  private static final Duration DEADLINE = Duration.ofSeconds(60);
  private static final long POLL_NANOS = 20_000_000;
  private static final String DONE = "@done";

  private final Page page;
  private final Path scratch;
  private final Process bash;
  private final Writer commands;
  private final BufferedReader answers;
  private final Map<String, Long> running = new LinkedHashMap<>();
  private int blocks;

  /**
   * Starts the shell.
   *
   * @param scratch an empty directory with a short path, since Unix sockets lie in it
   * @param program what {@code pluresdb} runs, flags and class path included
   * @param environment variables of the page, besides those that every page has
   */
  PageShell(Page page, Path scratch, List<String> program, Map<String, String> environment)
      throws IOException {
    this.page = page;
    this.scratch = scratch;
    Path work = Files.createDirectories(scratch.resolve("work"));
    Path bin = Files.createDirectories(scratch.resolve("bin"));
    Path wrapper = bin.resolve("pluresdb");
    Files.writeString(wrapper, "#!/bin/sh\nexec '" + String.join("' '", program) + "' \"$@\"\n");
    if (!wrapper.toFile().setExecutable(true)) {
      throw new IOException(wrapper + " cannot be made executable");
    }
    Files.createSymbolicLink(work.resolve("pluresdb"), wrapper);
    var builder = new ProcessBuilder("bash", "--noprofile", "--norc").directory(work.toFile());
    Map<String, String> variables = builder.environment();
    variables.keySet().removeIf(name -> name.startsWith("PLURESDB_") || name.endsWith("_PROXY"));
    variables.remove("XDG_DATA_HOME");
    variables.put("PATH", bin + ":" + variables.getOrDefault("PATH", "/usr/bin:/bin"));
    variables.put("HOME", Files.createDirectories(scratch.resolve("home")).toString());
    variables.put("TMPDIR", Files.createDirectories(scratch.resolve("tmp")).toString());
    variables.put("LC_ALL", "C.UTF-8");
    // Nothing leaves the loopback address, and pages that run side by side do not meet.
    variables.put("PLURESDB_API_PORT", "0");
    variables.put("PLURESDB_PEERS_LISTEN", "127.0.0.1:0");
    variables.put("PLURESDB_PEERS_LAN", "false");
    variables.put("PLURESDB_PEERS_DHT", "false");
    variables.putAll(environment);
    bash = builder.redirectError(scratch.resolve("bash.err").toFile()).start();
    commands = bash.outputWriter();
    answers = bash.inputReader();
    send("set -euo pipefail");
  }

  /**
   * Does what the page says.
   *
   * @throws AssertionError naming the line of the page, when something fails, does not end or
   *     prints something else
   */
  void execute() throws IOException, InterruptedException {
    for (Step step : page.steps()) {
      switch (step) {
        case Run run -> run(run);
        case Start start -> start(start);
        case Printed printed -> awaitPrinted(printed);
        case Stop stop -> stop(stop.name());
        case Shown shown -> {}
      }
    }
  }

  private void run(Run run) throws IOException, InterruptedException {
    Path script = script(run.script());
    Path out = beside(script, ".out");
    String source = ". '" + script + "' >'" + out + "' 2>&1 </dev/null";
    if (!run.eventually()) {
      send(source + "; echo " + DONE);
      if (answer() == null) {
        throw failed(run, "a command failed", Files.readString(out));
      }
      if (!fits(run, out)) {
        throw failed(run, "printed something else than the page shows", Files.readString(out));
      }
      return;
    }
    long end = System.nanoTime() + DEADLINE.toNanos();
    while (true) {
      send("set +e; ( set -e; " + source + " ); echo " + DONE + " $?; set -e");
      String answer = answer();
      if ((DONE + " 0").equals(answer) && fits(run, out)) {
        return;
      }
      if (System.nanoTime() > end) {
        throw failed(run, "not within " + DEADLINE + ": " + answer, Files.readString(out));
      }
      LockSupport.parkNanos(POLL_NANOS);
    }
  }

  private static boolean fits(Run run, Path out) throws IOException {
    return run.expected().isEmpty() || Expected.fits(run.expected(), Files.readAllLines(out));
  }

  private void start(Start start) throws IOException, InterruptedException {
    if (running.containsKey(start.name())) {
      throw failed(start, start.name() + " runs already", "");
    }
    Path script = script(start.script());
    Path out = out(start.name());
    Path err = beside(out, ".err");
    // What an earlier one of this name printed must not be taken for this one's.
    Files.deleteIfExists(out);
    send(". '" + script + "' >'" + out + "' 2>'" + err + "' </dev/null & echo \"$!\"");
    String pid = answer();
    if (pid == null) {
      throw failed(start, "cannot be started", "");
    }
    running.put(start.name(), Long.parseLong(pid));
    if (start.daemon()) {
      await(start, start.name(), () -> text(out).contains(" ready: "));
    }
  }

  private void awaitPrinted(Printed printed) throws IOException {
    Path out = out(printed.name());
    await(
        printed,
        printed.name(),
        () -> Expected.fits(printed.expected(), text(out).lines().toList()));
  }

  /** What a page's command that goes on has to reach. */
  private interface Condition {
    boolean holds() throws IOException;
  }

  private void await(Step step, String name, Condition condition) throws IOException {
    long end = System.nanoTime() + DEADLINE.toNanos();
    while (!condition.holds()) {
      Long pid = running.get(name);
      boolean ended = pid == null || ProcessHandle.of(pid).isEmpty();
      if ((ended && !condition.holds()) || System.nanoTime() > end) {
        throw failed(
            step,
            name + (ended ? " has ended" : " does not print that"),
            text(out(name)) + text(beside(out(name), ".err")));
      }
      LockSupport.parkNanos(POLL_NANOS);
    }
  }

  private void stop(String name) throws InterruptedException {
    Long pid = running.remove(name);
    if (pid == null) {
      throw new AssertionError(page.name() + " stops " + name + ", which does not run");
    }
    end(pid);
  }

  /** Ends a process and those it started: as a service manager does, and by force after that. */
  private static void end(long pid) throws InterruptedException {
    ProcessHandle shell = ProcessHandle.of(pid).orElse(null);
    if (shell == null) {
      return;
    }
    List<ProcessHandle> all = Stream.concat(shell.descendants(), Stream.of(shell)).toList();
    all.forEach(ProcessHandle::destroy);
    for (ProcessHandle one : all) {
      try {
        one.onExit().get(DEADLINE.toSeconds(), TimeUnit.SECONDS);
      } catch (ExecutionException | TimeoutException e) {
        one.destroyForcibly();
      }
    }
  }

  /** Empty where the shell has not made the file yet. */
  private static String text(Path file) throws IOException {
    return Files.exists(file) ? Files.readString(file) : "";
  }

  private Path out(String name) {
    return scratch.resolve(name + ".out");
  }

  private static Path beside(Path file, String ending) {
    String name = file.getFileName().toString();
    return file.resolveSibling(name.substring(0, name.lastIndexOf('.')) + ending);
  }

  private Path script(String text) throws IOException {
    return Files.writeString(scratch.resolve("block" + ++blocks + ".sh"), text);
  }

  private void send(String line) throws IOException {
    commands.write(line + "\n");
    commands.flush();
  }

  /** The next line of the shell; null when it ended, as it does when a command fails. */
  private @Nullable String answer() throws InterruptedException {
    var line =
        CompletableFuture.supplyAsync(
            () -> {
              try {
                return answers.readLine();
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            },
            task -> Thread.ofVirtual().start(task));
    try {
      return line.get(DEADLINE.toSeconds(), TimeUnit.SECONDS);
    } catch (ExecutionException | TimeoutException e) {
      throw new AssertionError(page.name() + ": no answer within " + DEADLINE, e);
    }
  }

  private AssertionError failed(Step step, String what, String printed) {
    var text = new StringBuilder(page.name() + ":" + step.line() + ": " + what);
    if (step instanceof Run run) {
      text.append("\n--- commands\n").append(run.script());
      text.append("--- expected\n").append(String.join("\n", run.expected()));
    } else if (step instanceof Printed shown) {
      text.append("\n--- expected\n").append(String.join("\n", shown.expected()));
    }
    return new AssertionError(text + "\n--- printed\n" + printed);
  }

  @Override
  public void close() throws IOException {
    try {
      for (long pid : running.values()) {
        end(pid);
      }
      end(bash.pid());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
