package io.pluresdb.daemon.cli;

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

/** Who carries a command out: the daemon that holds the data directory, or this process. */
final class Backend {
  private static final int MAX_NAME_BYTES = 128;
  private static final String TOKENS_FILE = "tokens.json";
  private static final String AUDIT_FILE = "audit.log";
  private static final Duration KEEP_ALIVE = Duration.ofSeconds(15);

  private Backend() {}

  static ApiClient open(Root root, boolean daemonNeeded) {
    Path dataDir = root.dataDir();
    Optional<ApiClient> running = running(dataDir);
    if (running.isPresent()) {
      return running.get();
    }
    if (daemonNeeded) {
      throw new CliException(
          Main.FAILURE,
          "NODE_NOT_RUNNING",
          "no daemon runs on " + dataDir,
          "start one: pluresdb serve");
    }
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
