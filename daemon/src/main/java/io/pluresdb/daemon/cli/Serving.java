package io.pluresdb.daemon.cli;

import io.pluresdb.crdt.compaction.CompactionSettings;
import io.pluresdb.daemon.access.Tokens;
import io.pluresdb.daemon.api.Api;
import io.pluresdb.daemon.api.ApiOptions;
import io.pluresdb.daemon.api.HttpServer;
import io.pluresdb.daemon.config.Config;
import io.pluresdb.daemon.config.Settings;
import io.pluresdb.daemon.config.Settings.HostPort;
import io.pluresdb.daemon.node.DataDirectory;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.daemon.node.NodeOptions;
import io.pluresdb.daemon.service.Hangup;
import io.pluresdb.daemon.service.ServiceManager;
import io.pluresdb.transport.lan.LanSettings;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Commands that make and run a device. */
final class Serving {
  private static final int TOKEN_BYTES = 32;

  private Serving() {}

  @Command(name = "init", description = "Make a data directory: a device key and a database.")
  static final class Init implements Callable<Integer> {
    private final Root root;

    @Parameters(
        arity = "0..1",
        paramLabel = "PATH",
        description = "Where (default: the data directory).")
    private @Nullable Path path;

    @Option(names = "--force", description = "Delete everything in it and start over.")
    private boolean force;

    @Option(
        names = "--encrypt",
        description = {
          "Encrypt everything below databases/. The password is asked for, or comes from",
          "--password-file or --key-file."
        })
    private boolean encrypt;

    Init(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() {
      Path at = path == null ? root.dataDir() : path;
      if (DataDirectory.isInitialized(at) && !force) {
        // Refused before a password is asked for.
        DeviceNode.init(at, false);
      }
      DeviceNode.init(at, force, encrypt ? root.secrets().fresh() : null);
      if (root.json()) {
        root.print(
            new io.pluresdb.daemon.api.JsonWriter()
                .beginObject()
                .name("dataDir")
                .string(at.toString())
                .endObject()
                .toByteArray());
      } else {
        root.io().out().println("Made " + at + ".");
      }
      return Main.OK;
    }
  }

  @Command(name = "serve", description = "Run the daemon until it is told to stop.")
  static final class Serve implements Callable<Integer> {
    private final Root root;

    @Option(names = "--bind", paramLabel = "HOST", description = "Sets api.bind.")
    private @Nullable String bind;

    @Option(
        names = "--port",
        paramLabel = "PORT",
        description = "Sets api.port; 0 takes a free port.")
    private @Nullable String port;

    @Option(
        names = "--insecure-no-auth",
        description = "Ask no TCP caller for a token. For development only.")
    private boolean insecureNoAuth;

    @Option(names = "--listen", paramLabel = "HOST:PORT", description = "Sets peers.listen.")
    private @Nullable String listen;

    @Option(names = "--no-lan", description = "Sets peers.lan to false.")
    private boolean noLan;

    @Option(names = "--no-dht", description = "Sets peers.dht to false.")
    private boolean noDht;

    @Option(
        names = "--dht-bootstrap",
        paramLabel = "HOST:PORT,...",
        description = "Sets peers.dht-bootstrap.")
    private @Nullable String dhtBootstrap;

    @Option(
        names = "--transport",
        paramLabel = "HOW",
        description = "Sets peers.transport: auto, direct, relay or disabled.")
    private @Nullable String transport;

    @Option(
        names = "--relay",
        paramLabel = "URL",
        description = "Sets peers.relays; repeat it for more than one.")
    private @Nullable List<String> relays;

    @Option(names = "--relay-ca", paramLabel = "FILE", description = "Sets peers.relay-ca.")
    private @Nullable String relayCa;

    @Option(names = "--proxy", paramLabel = "URL", description = "Sets peers.proxy.")
    private @Nullable String proxy;

    Serve(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws IOException {
      Config config = root.config(flags());
      Logging.toJournal(root.io().environment());
      Logging.set(config.get(Settings.LOG_LEVEL));
      Path dataDir = root.dataDir().toAbsolutePath();
      var api = new InetSocketAddress(config.get(Settings.API_BIND), config.get(Settings.API_PORT));
      ApiOptions options =
          ApiOptions.at(api, dataDir.resolve(Ports.SOCKET_FILE))
              .limitedTo(
                  config.get(Settings.API_MAX_CONNECTIONS),
                  config.get(Settings.API_MAX_CONCURRENT),
                  config.get(Settings.API_REQUESTS_PER_SECOND))
              .waitingFor(Duration.ofSeconds(config.get(Settings.API_BODY_TIMEOUT_SECONDS)));
      if (insecureNoAuth) {
        options = options.withoutAuth();
        root.io()
            .err()
            .println(
                "Warning: every process of this machine can read and change everything over TCP,"
                    + " without a token (--insecure-no-auth).");
      }
      try (Relaying.Started relay = Relaying.ofDaemon(config, root.io());
          DeviceNode node =
              Backend.whenFree(root, () -> DeviceNode.open(dataDir, nodeOptions(config)))) {
        Tokens tokens = Backend.tokens(dataDir, token(dataDir), root.io());
        Api routes = Backend.api(root.io(), node, dataDir, options.keepAlive(), tokens);
        try (HttpServer server = HttpServer.start(routes, options, tokens);
            var manager = new ServiceManager(root.io().environment(), node::pulse)) {
          var reloading = new Reloading(() -> root.config(flags()), config, node);
          // Before anybody can know that it is ready: until then the signal ends the process.
          Hangup.run(() -> manager.reload(reloading::reload));
          if (!root.io().stopping()) {
            announce(dataDir, node, server, relay.address());
            manager.ready("taking requests at " + text(server.address()));
          }
          root.io().awaitStop();
        } finally {
          Files.deleteIfExists(dataDir.resolve(Ports.FILE));
        }
      }
      return Main.OK;
    }

    private Map<String, String> flags() {
      var flags = new HashMap<String, String>();
      if (bind != null) {
        flags.put(Settings.API_BIND.key(), bind);
      }
      if (port != null) {
        flags.put(Settings.API_PORT.key(), port);
      }
      if (listen != null) {
        flags.put(Settings.PEERS_LISTEN.key(), listen);
      }
      if (noLan) {
        flags.put(Settings.PEERS_LAN.key(), "false");
      }
      if (noDht) {
        flags.put(Settings.PEERS_DHT.key(), "false");
      }
      if (dhtBootstrap != null) {
        flags.put(Settings.PEERS_DHT_BOOTSTRAP.key(), dhtBootstrap);
      }
      if (transport != null) {
        flags.put(Settings.PEERS_TRANSPORT.key(), transport);
      }
      if (relays != null) {
        flags.put(Settings.PEERS_RELAYS.key(), String.join(",", relays));
      }
      if (relayCa != null) {
        flags.put(Settings.PEERS_RELAY_CA.key(), relayCa);
      }
      if (proxy != null) {
        flags.put(Settings.PEERS_PROXY.key(), proxy);
      }
      return flags;
    }

    private static NodeOptions.@Nullable Dht dht(Config config) {
      return config.get(Settings.PEERS_DHT)
          ? new NodeOptions.Dht(
              config.get(Settings.PEERS_DHT_BOOTSTRAP).stream().map(Serve::named).toList(),
              config.get(Settings.PEERS_DHT_ANNOUNCE),
              config.get(Settings.PEERS_DHT_READ_ONLY))
          : null;
    }

    /** Resolved only where that asks nobody. */
    private static InetSocketAddress named(HostPort at) {
      try {
        return new InetSocketAddress(InetAddress.ofLiteral(at.host()), at.port());
      } catch (IllegalArgumentException e) {
        return InetSocketAddress.createUnresolved(at.host(), at.port());
      }
    }

    private NodeOptions.@Nullable Network network(Config config) {
      var relays =
          new NodeOptions.Relays(
              config.get(Settings.PEERS_RELAYS),
              config.get(Settings.PEERS_PROXY).orElse(null),
              root.io().environment(),
              config.get(Settings.PEERS_RELAY_CA).orElse(null));
      return switch (config.get(Settings.PEERS_TRANSPORT)) {
        case AUTO -> direct(config, relays);
        case DIRECT -> direct(config, NodeOptions.Relays.none());
        case RELAY -> new NodeOptions.Network(relays);
        case DISABLED -> null;
      };
    }

    private static NodeOptions.Network direct(Config config, NodeOptions.Relays relays) {
      return new NodeOptions.Network(
          resolved(config.get(Settings.PEERS_LISTEN)),
          config.get(Settings.PEERS_LAN) ? LanSettings.defaults() : null,
          config.get(Settings.PEERS_STATIC).stream().map(Serving::resolved).toList(),
          dht(config),
          relays,
          config.get(Settings.PEERS_PORT_MAPPING),
          config.get(Settings.PEERS_QUIC));
    }

    private NodeOptions nodeOptions(Config config) {
      return new NodeOptions(
          Backend.deviceName(config, root.io()),
          network(config),
          compaction(config),
          new Secrets(root.io(), config),
          Embedders.of(config));
    }

    /** The token that TCP callers send: kept from earlier runs, otherwise made. */
    private String token(Path dataDir) throws IOException {
      Path file = dataDir.resolve(Ports.TOKEN_FILE);
      if (Files.exists(file)) {
        return Files.readString(file).strip();
      }
      byte[] bytes = new byte[TOKEN_BYTES];
      root.io().random().nextBytes(bytes);
      String token = HexFormat.of().formatHex(bytes);
      DataDirectory.writeAtomically(file, (token + "\n").getBytes(StandardCharsets.UTF_8));
      return token;
    }

    private void announce(
        Path dataDir, DeviceNode node, HttpServer server, @Nullable InetSocketAddress relay)
        throws IOException {
      String http = text(server.address());
      String socket = server.socket().map(Path::toString).orElse("");
      InetSocketAddress listening = node.listening();
      String peers = listening == null ? "" : text(listening);
      new Ports(http, socket, peers).write(dataDir);
      long millis = Duration.between(root.io().started(), root.io().clock().instant()).toMillis();
      root.io()
          .out()
          .println(
              "pluresdb ready: http://"
                  + http
                  + " socket "
                  + (socket.isEmpty() ? "none" : socket)
                  + " peers "
                  + (peers.isEmpty() ? "none" : peers)
                  + (relay == null ? "" : " relay " + text(relay))
                  + " in "
                  + millis
                  + " ms");
      root.io().out().flush();
    }
  }

  static CompactionSettings compaction(Config config) {
    return new CompactionSettings(
        Duration.ofDays(config.get(Settings.HISTORY_LEASE_DAYS)).toMillis(),
        Duration.ofDays(config.get(Settings.HISTORY_KEEP_DAYS)).toMillis());
  }

  static InetSocketAddress resolved(HostPort at) {
    return new InetSocketAddress(at.host(), at.port());
  }

  static String text(InetSocketAddress address) {
    String host = address.getAddress().getHostAddress();
    return (host.contains(":") ? "[" + host + "]" : host) + ":" + address.getPort();
  }
}
