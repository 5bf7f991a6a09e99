package io.pluresdb.harness.cluster;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** A relay started by its own command line on the loopback address, always on the same port. */
public final class RelayProcess implements AutoCloseable {
  private static final int STOP_SECONDS = 20;

  private final Path log;
  private final int port = DaemonProcess.freePort();
  private final List<String> options;
  private @Nullable Process process;

  private RelayProcess(Path log, List<String> options) {
    this.log = log;
    this.options = options;
  }

  /**
   * Starts a relay without TLS.
   *
   * @param log where its standard error goes
   * @param options further ones of {@code relay}
   */
  public static RelayProcess start(Path log, String... options) {
    var relay = new RelayProcess(log, List.of(options));
    relay.start();
    return relay;
  }

  /** Starts it again. */
  public void start() {
    List<String> command = DaemonProcess.java("io.pluresdb.daemon.cli.Main");
    command.addAll(List.of("relay", "--listen", "127.0.0.1:" + port));
    command.addAll(options);
    try {
      Process started =
          new ProcessBuilder(command)
              .redirectError(ProcessBuilder.Redirect.appendTo(log.toFile()))
              .start();
      process = started;
      String line = started.inputReader().readLine();
      if (line == null || !line.startsWith("pluresdb relay ready")) {
        throw new IllegalStateException("not ready: " + line + ", see " + log);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public int port() {
    return port;
  }

  public String url() {
    return "ws://127.0.0.1:" + port;
  }

  /** The number behind a name on the page of metrics. */
  public long metric(String name) {
    try (HttpClient client = HttpClient.newHttpClient()) {
      String page =
          client
              .send(
                  HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/metrics"))
                      .build(),
                  HttpResponse.BodyHandlers.ofString())
              .body();
      return page.lines()
          .filter(line -> line.startsWith(name + " "))
          .mapToLong(line -> Long.parseLong(line.substring(name.length() + 1)))
          .findFirst()
          .orElseThrow(() -> new IllegalStateException("no metric " + name + " in " + page));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  /** Ends it without warning. */
  public void kill() {
    end(running().destroyForcibly());
  }

  /** Tells it to stop and waits. */
  public void stop() {
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
  public void close() {
    if (process != null) {
      stop();
    }
  }
}
