package io.pluresdb.harness.cluster;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** A command of the product as a process of its own, which says on a line that it is ready. */
abstract sealed class ChildProcess implements AutoCloseable permits DaemonProcess, RelayProcess {
  private static final int STOP_SECONDS = 20;

  private final Path log;
  private final String readyPrefix;
  private @Nullable Process process;
  private String readyLine = "";

  /**
   * @param log where its standard error goes, at the end of what is there
   * @param readyPrefix how the first line on its standard output begins
   */
  ChildProcess(Path log, String readyPrefix) {
    this.log = log;
    this.readyPrefix = readyPrefix;
  }

  /** The command that starts it, the same every time. */
  abstract List<String> command();

  /** Starts it, at first or again, and waits until it is ready. */
  public final void start() {
    try {
      Process started =
          new ProcessBuilder(command())
              .redirectError(ProcessBuilder.Redirect.appendTo(log.toFile()))
              .start();
      process = started;
      String line = started.inputReader().readLine();
      if (line == null || !line.startsWith(readyPrefix)) {
        throw new IllegalStateException("not ready: " + line + "\n" + log());
      }
      readyLine = line;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public final String readyLine() {
    return readyLine;
  }

  /** What it wrote to standard error. */
  public final String log() {
    try {
      return Files.readString(log);
    } catch (IOException e) {
      return "";
    }
  }

  /** Number of the process while it runs. */
  public final long pid() {
    return running().pid();
  }

  /** Ends it without warning. */
  public final void kill() {
    end(running().destroyForcibly());
  }

  /** Tells it to stop and waits. */
  public final void stop() {
    Process ending = running();
    ending.destroy();
    end(ending);
  }

  private Process running() {
    if (process == null) {
      throw new IllegalStateException("not running");
    }
    return process;
  }

  private void end(Process ending) {
    try {
      if (!ending.waitFor(STOP_SECONDS, TimeUnit.SECONDS)) {
        ending.destroyForcibly();
        throw new IllegalStateException("did not end within " + STOP_SECONDS + " s");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    process = null;
  }

  @Override
  public final void close() {
    if (process != null) {
      stop();
    }
  }
}
