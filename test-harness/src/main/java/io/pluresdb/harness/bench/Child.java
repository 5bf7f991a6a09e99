package io.pluresdb.harness.bench;

import io.pluresdb.harness.cluster.DaemonProcess;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A JVM like this one with another main class. */
final class Child implements AutoCloseable {
  private static final int STOP_SECONDS = 20;

  private final Process process;
  private final BufferedReader in;
  private final BufferedWriter out;

  private Child(Process process) {
    this.process = process;
    this.in = process.inputReader();
    this.out = process.outputWriter();
  }

  static Child peer(Path directory) {
    return of(BenchPeer.class, directory.toString(), Integer.toString(DaemonProcess.freePort()));
  }

  static Child of(Class<?> main, String... arguments) {
    List<String> command = DaemonProcess.java(main.getName());
    command.addAll(List.of(arguments));
    return start(command);
  }

  /**
   * With a heap of this size all of which is resident from the start, and without the optimising
   * compiler, whose own memory comes and goes: what is resident later, and was not, is outside the
   * heap and the program's.
   */
  static Child withTouchedHeap(Class<?> main, int mebibytes) {
    List<String> command = DaemonProcess.java(main.getName());
    command.addAll(
        command.size() - 1,
        List.of(
            "-Xms" + mebibytes + "m",
            "-Xmx" + mebibytes + "m",
            "-XX:+AlwaysPreTouch",
            "-XX:TieredStopAtLevel=1"));
    return start(command);
  }

  private static Child start(List<String> command) {
    try {
      return new Child(
          new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Sends a line and waits for the answer's words. */
  String[] ask(String line) {
    tell(line);
    return answer();
  }

  void tell(String line) {
    try {
      out.write(line);
      out.newLine();
      out.flush();
    } catch (IOException e) {
      throw new UncheckedIOException("the process ended before \"" + line + "\"", e);
    }
  }

  String[] answer() {
    try {
      String answer = in.readLine();
      if (answer == null) {
        throw new IllegalStateException("the process ended; its error output is above");
      }
      return answer.split(" ");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    try {
      out.close();
      if (!process.waitFor(STOP_SECONDS, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
    } catch (IOException e) {
      process.destroyForcibly();
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }
}
