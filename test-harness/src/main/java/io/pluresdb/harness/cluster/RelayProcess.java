package io.pluresdb.harness.cluster;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.List;

/** A relay started by its own command line on the loopback address, always on the same port. */
public final class RelayProcess extends ChildProcess {
  private final int port = DaemonProcess.freePort();
  private final List<String> options;

  private RelayProcess(Path log, List<String> options) {
    super(log, "pluresdb relay ready");
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

  @Override
  List<String> command() {
    List<String> command = DaemonProcess.java("io.pluresdb.daemon.cli.Main");
    command.addAll(List.of("relay", "--listen", "127.0.0.1:" + port));
    command.addAll(options);
    return command;
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
}
