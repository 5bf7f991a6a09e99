package io.pluresdb.harness.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.pluresdb.daemon.api.LocalClient;
import io.pluresdb.daemon.api.Request;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/** A daemon started by its own command line, spoken to over its Unix socket. */
public final class DaemonProcess extends ChildProcess {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final long POLL_NANOS = 5_000_000;

  private final Path directory;
  private final int peerPort;
  private final List<String> prefix;
  private final String listen;
  private final List<String> options;

  private DaemonProcess(
      Path directory, int peerPort, List<String> prefix, String listen, List<String> options) {
    super(directory.resolveSibling(directory.getFileName() + ".log"), "pluresdb ready");
    this.directory = directory;
    this.peerPort = peerPort;
    this.prefix = prefix;
    this.listen = listen;
    this.options = options;
  }

  /** Starts a daemon on {@code directory}, which is made when missing. */
  public static DaemonProcess start(Path directory) {
    return start(directory, List.of());
  }

  /** As the other, with further options of {@code serve}. */
  public static DaemonProcess start(Path directory, List<String> options) {
    int port = freePort();
    return start(directory, port, List.of(), "127.0.0.1:" + port, options);
  }

  /**
   * As the others, somewhere else.
   *
   * @param prefix words in front of the command, as of {@code ip netns exec}
   * @param listen {@code HOST:PORT} for peers
   */
  public static DaemonProcess start(
      Path directory, List<String> prefix, String listen, List<String> options) {
    int port = Integer.parseInt(listen.substring(listen.lastIndexOf(':') + 1));
    return start(directory, port, prefix, listen, options);
  }

  private static DaemonProcess start(
      Path directory, int port, List<String> prefix, String listen, List<String> options) {
    var daemon =
        new DaemonProcess(directory, port, List.copyOf(prefix), listen, List.copyOf(options));
    daemon.start();
    return daemon;
  }

  /** A TCP port of the loopback address that nobody listens on now. */
  public static int freePort() {
    try (var socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The command that starts a JVM with the flags of a daemon and this class path. */
  public static List<String> java(String mainClass) {
    var command = new ArrayList<String>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "-XX:+UseSerialGC",
            "-Xms24m",
            "-Xmx384m",
            "-XX:MaxMetaspaceSize=128m",
            "-XX:ReservedCodeCacheSize=64m",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("java.class.path"),
            mainClass));
    return command;
  }

  /** The command that serves {@code directory}; further options may be added. */
  public static List<String> serve(Path directory, int peerPort) {
    return serve(directory, "127.0.0.1:" + peerPort);
  }

  private static List<String> serve(Path directory, String listen) {
    List<String> command = java("io.pluresdb.daemon.cli.Main");
    command.addAll(List.of("--data-dir", directory.toString(), "serve", "--port", "0"));
    command.addAll(List.of("--listen", listen, "--no-lan", "--no-dht"));
    return command;
  }

  @Override
  List<String> command() {
    var command = new ArrayList<>(prefix);
    command.addAll(serve(directory, listen));
    command.addAll(options);
    return command;
  }

  public Path directory() {
    return directory;
  }

  public int peerPort() {
    return peerPort;
  }

  /** A fresh connection to the Unix socket. */
  public LocalClient client() {
    try {
      return LocalClient.unix(directory.resolve("pluresdb.sock"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** One request; throws {@link io.pluresdb.daemon.api.ApiException} as the server answered. */
  public JsonNode call(Request request) {
    try (LocalClient client = client()) {
      return JSON.readTree(client.call(request));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  public JsonNode post(String path, String json) {
    return call(Request.post(path, json.getBytes(StandardCharsets.UTF_8)));
  }

  public void put(String id, String json) {
    post("/api/put", "{\"id\":\"" + id + "\",\"data\":" + json + "}");
  }

  /** The document as JSON text, or {@code none}. */
  public String get(String id) {
    try {
      return call(Request.get("/api/get").with("id", id)).get("data").toString();
    } catch (io.pluresdb.daemon.api.ApiException e) {
      if (e.code().equals("CORE_NODE_NOT_FOUND")) {
        return "none";
      }
      throw e;
    }
  }

  public void delete(String id) {
    call(Request.delete("/api/delete").with("id", id));
  }

  /** Imports lines of {@code {"id", "data"}}; {@code gzipped} as the file is. */
  public JsonNode importLines(Path file, boolean gzipped) {
    try (InputStream in = Files.newInputStream(file)) {
      Request request = Request.post("/api/import", in);
      return call(gzipped ? request.withHeader("content-encoding", "gzip") : request);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The default database as {@code /api/status} shows it. */
  public JsonNode status() {
    return call(Request.get("/api/status")).get("databases").get(0);
  }

  /** Lets {@code other} into this one's database. */
  public JsonNode admit(DaemonProcess other) {
    String url = post("/api/invite", "{}").get("url").asText();
    return other.post("/api/join", "{\"url\":\"" + url + "\"}");
  }

  /** Whether both hold the same operations and show the same documents. */
  public boolean equalTo(DaemonProcess other) {
    JsonNode mine = status();
    JsonNode theirs = other.status();
    return mine.get("frontierHash").equals(theirs.get("frontierHash"))
        && mine.get("stateHash").equals(theirs.get("stateHash"))
        && mine.get("documents").equals(theirs.get("documents"));
  }

  /** Waits until {@code condition} holds. */
  public static void await(String what, Duration deadline, BooleanSupplier condition) {
    long end = System.nanoTime() + deadline.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > end) {
        throw new AssertionError("not within " + deadline + ": " + what);
      }
      LockSupport.parkNanos(POLL_NANOS);
    }
  }
}
