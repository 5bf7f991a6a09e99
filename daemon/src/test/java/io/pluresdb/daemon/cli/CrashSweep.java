package io.pluresdb.daemon.cli;

import static java.nio.file.StandardCopyOption.COPY_ATTRIBUTES;
import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.daemon.cli.SystemCalls.Call;
import io.pluresdb.daemon.cli.TracedFiles.Crash;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * What a program leaves when it is interrupted, at every system call that changes files: it runs
 * once under {@code strace}, and {@link TracedFiles} makes what would be left after each call.
 */
final class CrashSweep {
  /** States of a program that are looked at; 0 for all. */
  private static final int TRIED = tried(System.getProperty("crash.points", "5"));

  private static final String OUTPUT = "output";
  private static final String LIBRARY = "d/native";

  private final Path temporary;
  private final Path extracted;

  /**
   * @param temporary where files may be made
   * @param extracted holds a data directory {@code d} with the native library, which programs would
   *     extract first
   */
  CrashSweep(Path temporary, Path extracted) {
    this.temporary = temporary;
    this.extracted = extracted;
  }

  private static int tried(String points) {
    return points.equals("all") ? 0 : Integer.parseInt(points);
  }

  interface Check {
    /** What must hold of a directory whose command was interrupted. */
    void check(Path directory, Said said) throws IOException;
  }

  /**
   * What a command said before it was interrupted.
   *
   * @param done whether that was all
   */
  record Said(List<String> lines, boolean done) {}

  /**
   * What there is after so many calls and a crash.
   *
   * @param until as many calls may have been made, and leave the same
   */
  private record State(int calls, int until, Crash crash) {}

  /**
   * Looks at what is left of copies of {@code whole} when a program is interrupted.
   *
   * @param program its {@code main} is given {@code --data-dir} and the data directory {@code d}
   *     below the copy, then the command, in which {@code @} stands for the copy
   * @param syncsCount false for a disk that says to have synced and has not
   */
  void sweep(Class<?> program, boolean syncsCount, Path whole, Check check, String... command)
      throws IOException, InterruptedException {
    if (Files.exists(whole.resolve("d")) && !Files.exists(whole.resolve(LIBRARY))) {
      copy(extracted.resolve(LIBRARY), whole.resolve(LIBRARY));
    }
    Path directory = temporary.resolve("traced");
    copy(whole, directory);
    var files = new TracedFiles(whole, directory, syncsCount);
    List<Call> calls = trace(program, directory, command);
    int last = lastSaid(calls);
    List<State> states = states(files, calls);
    Path replayed = temporary.resolve("replayed");
    files.write(Crash.KILLED, replayed);
    assertThat(contents(replayed)).as("what was traced").isEqualTo(contents(directory));
    delete(replayed);
    delete(directory);

    var again = new TracedFiles(whole, directory, syncsCount);
    int next = 0;
    int step = TRIED == 0 ? 1 : Math.max(1, states.size() / TRIED);
    int looked = 0;
    for (int i = 0; i < states.size(); i++) {
      State state = states.get(i);
      for (; next < state.calls; next++) {
        again.apply(calls.get(next));
      }
      boolean hears = state.calls <= last && last < state.until;
      if (i % step == step / 2 || hears) {
        again.write(state.crash, directory);
        try {
          check.check(directory, said(calls.subList(0, state.until), last));
        } catch (RuntimeException | AssertionError e) {
          throw new AssertionError(state + " of " + List.of(command), e);
        }
        delete(directory);
        looked++;
      }
    }
    System.out.printf(
        "%s %s: %d of %d states after %d calls%n",
        program.getSimpleName(), List.of(command), looked, states.size(), calls.size());
  }

  private Said said(List<Call> calls, int last) {
    String text =
        calls.stream()
            .filter(this::says)
            .map(call -> new String(call.bytes(1), StandardCharsets.UTF_8))
            .collect(Collectors.joining());
    return new Said(text.lines().toList(), last < calls.size());
  }

  private boolean says(Call call) {
    return call.name().equals("write")
        && temporary.resolve(OUTPUT).toString().equals(call.opened(0));
  }

  /** The call with which the command said the last word. */
  private int lastSaid(List<Call> calls) {
    for (int i = calls.size() - 1; i >= 0; i--) {
      if (says(calls.get(i))) {
        return i;
      }
    }
    throw new AssertionError("the command said nothing");
  }

  /** Every state there may be, once, with the most calls that leave it. */
  private static List<State> states(TracedFiles files, List<Call> calls) {
    var states = new LinkedHashMap<String, State>();
    Map<Crash, String> current = digests(files);
    int since = 0;
    for (int i = 0; i <= calls.size(); i++) {
      if (i == calls.size() || files.apply(calls.get(i))) {
        for (var digest : current.entrySet()) {
          State known = states.get(digest.getValue());
          int first = known == null ? since : known.calls;
          Crash crash = known == null ? digest.getKey() : known.crash;
          states.put(digest.getValue(), new State(first, i, crash));
        }
        current = digests(files);
        since = i + 1;
      }
    }
    return List.copyOf(states.values());
  }

  private static Map<Crash, String> digests(TracedFiles files) {
    var digests = new EnumMap<Crash, String>(Crash.class);
    for (Crash crash : Crash.values()) {
      digests.put(crash, files.digest(crash));
    }
    return digests;
  }

  /** Runs a command and says what it did to files. */
  private List<Call> trace(Class<?> program, Path directory, String... command)
      throws IOException, InterruptedException {
    Path trace = temporary.resolve("trace");
    var tracing = new ArrayList<>(List.of("strace", "-o", trace.toString()));
    tracing.addAll(SystemCalls.OPTIONS);
    run(program, directory, temporary.resolve(OUTPUT), tracing, command);
    return SystemCalls.read(trace);
  }

  /** Runs a command in a process of its own; {@code @} stands for the directory. */
  static void run(
      Class<?> program, Path directory, Path output, List<String> prefix, String... command)
      throws IOException, InterruptedException {
    var all = new ArrayList<>(prefix);
    all.addAll(
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("java.class.path"),
            program.getName(),
            "--data-dir",
            directory.resolve("d").toString()));
    for (String part : command) {
      all.add(part.replace("@", directory.toString()));
    }
    Process process =
        new ProcessBuilder(all).redirectErrorStream(true).redirectOutput(output.toFile()).start();
    assertThat(process.waitFor(2, TimeUnit.MINUTES)).isTrue();
    assertThat(process.exitValue()).as(Files.readString(output)).isZero();
  }

  /** Names and bytes of all files below a folder. */
  private static Map<String, String> contents(Path folder) throws IOException {
    var contents = new TreeMap<String, String>();
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.toList()) {
        String bytes =
            Files.isDirectory(file) ? "" : Files.readString(file, StandardCharsets.ISO_8859_1);
        contents.put(folder.relativize(file).toString(), bytes);
      }
    }
    return contents;
  }

  static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(from.relativize(file).toString()), COPY_ATTRIBUTES);
      }
    }
  }

  private static void delete(Path tree) throws IOException {
    try (Stream<Path> files = Files.walk(tree)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }
}
