package io.pluresdb.daemon.cli;

import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.daemon.access.AuditLog;
import io.pluresdb.daemon.access.Tokens;
import io.pluresdb.daemon.api.Api;
import io.pluresdb.daemon.api.ApiClient;
import io.pluresdb.daemon.api.LocalClient;
import io.pluresdb.daemon.api.Request;
import io.pluresdb.daemon.api.Sink;
import io.pluresdb.daemon.config.Config;
import io.pluresdb.daemon.config.Settings;
import io.pluresdb.daemon.config.Settings.HostPort;
import io.pluresdb.daemon.node.DataDirectory;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.daemon.node.NodeOptions;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/** Who carries a command out: the daemon that holds the data directory, or this process. */
final class Backend {
  private static final int MAX_NAME_BYTES = 128;
  private static final String TOKENS_FILE = "tokens.json";
  private static final String AUDIT_FILE = "audit.log";
  private static final Duration KEEP_ALIVE = Duration.ofSeconds(15);

  /** Longer than a daemon takes to start or to stop, and most commands without one. */
  static final Duration PATIENCE = Duration.ofSeconds(10);

  private static final Duration BETWEEN_TRIES = Duration.ofMillis(20);

  private Backend() {}

  /** The daemon of the data directory. */
  static ApiClient daemon(Root root) {
    Path dataDir = root.dataDir();
    return running(dataDir)
        .orElseThrow(
            () ->
                new CliException(
                    Main.FAILURE,
                    "NODE_NOT_RUNNING",
                    "no daemon runs on " + dataDir,
                    "start one: pluresdb serve"));
  }

  /** The daemon of the data directory, or the store itself where none runs; close it. */
  static ApiClient open(Root root) {
    return patiently(
        root.io(), () -> running(root.dataDir()).orElseGet(() -> inProcess(root)), () -> false);
  }

  /**
   * What {@code opening} gives once no other command holds the data directory, and no daemon that
   * is just stopping.
   *
   * @throws StorageException.OpenFailed {@code STORAGE_LOCKED} when it is held for longer than
   *     {@link #PATIENCE}, and at once where a daemon answers; whatever else {@code opening} throws
   */
  static <T> T whenFree(Root root, Supplier<T> opening) {
    return patiently(root.io(), opening, () -> isRunning(root.dataDir()));
  }

  private static <T> T patiently(Io io, Supplier<T> opening, BooleanSupplier inVain) {
    long start = System.nanoTime();
    while (true) {
      try {
        return opening.get();
      } catch (StorageException.OpenFailed e) {
        boolean over = System.nanoTime() - start > PATIENCE.toNanos();
        if (!e.code().equals("STORAGE_LOCKED") || over || io.stopping() || inVain.getAsBoolean()) {
          throw e;
        }
      }
      LockSupport.parkNanos(BETWEEN_TRIES.toNanos());
    }
  }

  private static boolean isRunning(Path dataDir) {
    Optional<ApiClient> running = running(dataDir);
    running.ifPresent(ApiClient::close);
    return running.isPresent();
  }

  /** The store itself. */
  private static ApiClient inProcess(Root root) {
    Path dataDir = root.dataDir();
    if (!DataDirectory.isInitialized(dataDir)) {
      throw new CliException(
          Main.FAILURE,
          "NODE_NOT_INITIALIZED",
          dataDir + " is no PluresDB data directory",
          "make one: pluresdb init");
    }
    Config config = root.config(Map.of());
    Logging.set(config.get(Settings.LOG_LEVEL));
    DeviceNode node =
        DeviceNode.open(
            dataDir,
            NodeOptions.offline(deviceName(config, root.io()))
                .with(new Secrets(root.io(), config))
                .with(Embedders.of(config)));
    // The main token is of no use here: nobody calls but this command.
    ApiClient inProcess =
        api(root.io(), node, dataDir, KEEP_ALIVE, tokens(dataDir, "", root.io())).client();
    return new ApiClient() {
      @Override
      public void exchange(Request request, Sink sink) throws IOException, InterruptedException {
        inProcess.exchange(request, sink);
      }

      @Override
      public void close() {
        node.close();
      }
    };
  }

  /** The tokens of a data directory. */
  static Tokens tokens(Path dataDir, String main, Io io) {
    return Tokens.open(dataDir.resolve(TOKENS_FILE), main, io.clock(), io.random());
  }

  /** The routes over an open data directory. */
  static Api api(Io io, DeviceNode node, Path dataDir, Duration keepAlive, Tokens tokens) {
    AuditLog audit = AuditLog.at(dataDir.resolve(AUDIT_FILE));
    return new Api(node, Version.text(), io.clock(), keepAlive, tokens, audit);
  }

  /** A connection to the daemon of a data directory, if one answers. */
  private static Optional<ApiClient> running(Path dataDir) {
    Path socket = dataDir.resolve(Ports.SOCKET_FILE);
    if (Files.exists(socket)) {
      try {
        return Optional.of(LocalClient.unix(socket));
      } catch (IOException e) {
        // A file that a killed daemon left behind.
      }
    }
    if (Files.exists(dataDir.resolve(Ports.FILE))) {
      try {
        HostPort http = Ports.read(dataDir).httpAddress();
        String token = Files.readString(dataDir.resolve(Ports.TOKEN_FILE)).strip();
        return Optional.of(
            LocalClient.tcp(
                new InetSocketAddress(http.host().replaceAll("[\\[\\]]", ""), http.port()), token));
      } catch (IOException e) {
        // As above.
      }
    }
    return Optional.empty();
  }

  /** What {@code device.name} says, else the host's name. */
  static String deviceName(Config config, Io io) {
    String name = config.get(Settings.DEVICE_NAME);
    if (name.isEmpty()) {
      name = io.environment().getOrDefault("HOSTNAME", "");
    }
    if (name.isEmpty()) {
      try {
        name = Files.readString(Path.of("/proc/sys/kernel/hostname")).strip();
      } catch (IOException e) {
        name = "";
      }
    }
    boolean fits =
        !name.isEmpty()
            && name.getBytes(java.nio.charset.StandardCharsets.UTF_8).length <= MAX_NAME_BYTES;
    return fits ? name : "device";
  }
}
