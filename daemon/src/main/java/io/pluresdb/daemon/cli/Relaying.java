package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.config.Config;
import io.pluresdb.daemon.config.ConfigException;
import io.pluresdb.daemon.config.Settings;
import io.pluresdb.daemon.service.ServiceManager;
import io.pluresdb.transport.Environment;
import io.pluresdb.transport.identity.DeviceIdentity;
import io.pluresdb.transport.identity.IdentityException;
import io.pluresdb.transport.net.RelayServer;
import io.pluresdb.transport.relay.RelayOptions;
import io.pluresdb.transport.relay.RelayToken;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Being a relay: as a process of its own, or beside a daemon. */
final class Relaying {
  private static final char COMMENT = '#';

  private Relaying() {}

  /** {@code relay} with its subcommands. */
  static CommandLine command(Root root) {
    return new CommandLine(new Relay(root))
        .addSubcommand(
            "token",
            new CommandLine(new TokenCommand())
                .addSubcommand("key", new TokenKey(root))
                .addSubcommand("create", new CreateToken(root)));
  }

  /** A relay that was started, or none. */
  record Started(@Nullable RelayServer server) implements AutoCloseable {
    @Nullable InetSocketAddress address() {
      return server == null ? null : server.address();
    }

    @Override
    public void close() {
      if (server != null) {
        server.close();
      }
    }
  }

  /** The relay of a daemon, where {@code relay.enabled} wants one. */
  static Started ofDaemon(Config config, Io io) throws IOException {
    return new Started(config.get(Settings.RELAY_ENABLED) ? start(config, io) : null);
  }

  private static RelayServer start(Config config, Io io) throws IOException {
    try {
      return RelayServer.start(
          new RelayOptions(
              Serving.resolved(config.get(Settings.RELAY_LISTEN)),
              tls(config),
              tokens(config.get(Settings.RELAY_TOKEN_FILE).orElse(null)),
              config.get(Settings.RELAY_TOKEN_KEYS),
              config.get(Settings.RELAY_TRUST_FORWARDED),
              config.get(Settings.RELAY_LIMITS)),
          new Environment(io.clock(), new SecureRandom()));
    } catch (IllegalArgumentException e) {
      throw new ConfigException(String.valueOf(e.getMessage()), "correct it, then start again");
    }
  }

  private static RelayOptions.@Nullable Tls tls(Config config) {
    Path certificates = config.get(Settings.RELAY_TLS_CERT).orElse(null);
    Path key = config.get(Settings.RELAY_TLS_KEY).orElse(null);
    if (certificates == null && key == null) {
      return null;
    }
    if (certificates == null || key == null) {
      throw new ConfigException(
          "relay.tls-cert and relay.tls-key go together, but only one is set",
          "set both, or neither behind a reverse proxy");
    }
    return new RelayOptions.Tls(certificates, key);
  }

  /** Names by token. */
  private static Map<String, String> tokens(@Nullable Path file) throws IOException {
    var tokens = new HashMap<String, String>();
    if (file == null) {
      return tokens;
    }
    for (String line : Files.readAllLines(file)) {
      String[] words = line.strip().split("\\s+");
      if (line.isBlank() || line.strip().charAt(0) == COMMENT) {
        continue;
      }
      if (words.length != 2 || tokens.put(words[1], words[0]) != null) {
        throw new ConfigException(
            file + " must have lines of a name and a token, each token once",
            "correct the line of " + words[0]);
      }
    }
    if (tokens.isEmpty()) {
      throw new ConfigException(
          file + " names no token, so nobody could use the relay",
          "add a line of a name and a token, or unset relay.token-file");
    }
    return tokens;
  }

  @Command(
      name = "relay",
      description = "Run a relay: peers that cannot reach each other meet there.")
  static final class Relay implements Callable<Integer> {
    private final Root root;

    @Option(names = "--listen", paramLabel = "HOST:PORT", description = "Sets relay.listen.")
    private @Nullable String listen;

    @Option(names = "--bind", paramLabel = "HOST", description = "The host of relay.listen alone.")
    private @Nullable String bind;

    @Option(names = "--port", paramLabel = "PORT", description = "The port of relay.listen alone.")
    private @Nullable String port;

    @Option(names = "--tls-cert", paramLabel = "FILE", description = "Sets relay.tls-cert.")
    private @Nullable String tlsCert;

    @Option(names = "--tls-key", paramLabel = "FILE", description = "Sets relay.tls-key.")
    private @Nullable String tlsKey;

    @Option(names = "--token-file", paramLabel = "FILE", description = "Sets relay.token-file.")
    private @Nullable String tokenFile;

    @Option(names = "--token-keys", paramLabel = "KEY,...", description = "Sets relay.token-keys.")
    private @Nullable String tokenKeys;

    @Option(names = "--trust-forwarded", description = "Sets relay.trust-forwarded to true.")
    private boolean trustForwarded;

    @Option(names = "--limits", paramLabel = "NAME=NUMBER,...", description = "Sets relay.limits.")
    private @Nullable String limits;

    Relay(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws IOException {
      Config config = root.config(flags());
      Logging.toJournal(root.io().environment());
      Logging.set(config.get(Settings.LOG_LEVEL));
      try (RelayServer server = start(config, root.io())) {
        try (var manager =
            new ServiceManager(
                root.io().environment(), () -> CompletableFuture.completedFuture(null))) {
          if (!root.io().stopping()) {
            String scheme = config.get(Settings.RELAY_TLS_CERT).isPresent() ? "wss://" : "ws://";
            String address = scheme + Serving.text(server.address());
            announce(address);
            manager.ready("relaying at " + address);
          }
          root.io().awaitStop();
        }
      }
      return Main.OK;
    }

    private void announce(String address) {
      Io io = root.io();
      long millis = Duration.between(io.started(), io.clock().instant()).toMillis();
      io.out().println("pluresdb relay ready: " + address + " in " + millis + " ms");
      io.out().flush();
    }

    private Map<String, String> flags() {
      var flags = new HashMap<String, String>();
      put(flags, Settings.RELAY_LISTEN.key(), listening());
      put(flags, Settings.RELAY_TLS_CERT.key(), tlsCert);
      put(flags, Settings.RELAY_TLS_KEY.key(), tlsKey);
      put(flags, Settings.RELAY_TOKEN_FILE.key(), tokenFile);
      put(flags, Settings.RELAY_TOKEN_KEYS.key(), tokenKeys);
      put(flags, Settings.RELAY_TRUST_FORWARDED.key(), trustForwarded ? "true" : null);
      put(flags, Settings.RELAY_LIMITS.key(), limits);
      return flags;
    }

    private @Nullable String listening() {
      if (bind == null && port == null) {
        return listen;
      }
      if (listen != null) {
        throw CliException.usage(
            "--listen says host and port, so --bind and --port do not go with it",
            "leave out --listen, or the others");
      }
      Settings.HostPort usual = root.config(Map.of()).get(Settings.RELAY_LISTEN);
      return (bind == null ? usual.host() : bind) + ":" + (port == null ? usual.port() : port);
    }

    private static void put(Map<String, String> flags, String key, @Nullable String value) {
      if (value != null) {
        flags.put(key, value);
      }
    }
  }

  @Command(name = "token", description = "Sign tokens of a relay, each for a time.")
  static final class TokenCommand implements Runnable {
    @Spec private @Nullable CommandSpec spec;

    @Override
    public void run() {
      if (spec != null) {
        throw new CommandLine.ParameterException(spec.commandLine(), "say key or create");
      }
    }
  }

  @Command(
      name = "key",
      description = "Print the public key of a key file, which is made when missing.")
  static final class TokenKey implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "FILE", description = "Secret: whoever has it signs tokens.")
    private Path file = Path.of("");

    TokenKey(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() {
      DeviceIdentity key;
      try {
        key = DeviceIdentity.load(file);
      } catch (IdentityException.NotFound missing) {
        key = DeviceIdentity.create(new SecureRandom());
        save(key);
      } catch (IdentityException e) {
        throw unusable(e);
      }
      root.io().out().println(HexFormat.of().formatHex(key.publicKey()));
      return Main.OK;
    }

    private void save(DeviceIdentity key) {
      try {
        key.save(file);
      } catch (IdentityException e) {
        throw unusable(e);
      }
    }
  }

  private static CliException unusable(IdentityException e) {
    return CliException.file(String.valueOf(e.getMessage()), "name the file of relay token key");
  }

  @Command(
      name = "create",
      description = "Sign a token and print it; relays with the key in relay.token-keys take it.")
  static final class CreateToken implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "NAME", description = "Whom it is for; 1 to 32 characters.")
    private String name = "";

    @Option(
        names = "--key",
        paramLabel = "FILE",
        required = true,
        description = "The key file of relay token key.")
    private Path key = Path.of("");

    @Option(
        names = "--expires",
        paramLabel = "D",
        required = true,
        description = "How long it is valid: 30m, 24h, 90d.")
    private String expires = "";

    @Option(
        names = "--circuits",
        paramLabel = "N",
        description = "Ends of circuits at a time (default: what the relay lets any token have).")
    private int circuits;

    @Option(
        names = "--bytes-per-second",
        paramLabel = "N",
        description = "What it may send (default: what the relay lets any token send).")
    private long bytesPerSecond;

    CreateToken(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() {
      long millis = TimeUnit.SECONDS.toMillis(Sharing.Invite.seconds(expires));
      try {
        var token =
            new RelayToken(
                name, Math.addExact(root.io().clock().millis(), millis), circuits, bytesPerSecond);
        root.io().out().println(token.sign(DeviceIdentity.load(key)));
      } catch (IdentityException e) {
        throw unusable(e);
      } catch (IllegalArgumentException | ArithmeticException e) {
        throw CliException.usage(
            String.valueOf(e.getMessage()),
            "pluresdb relay token create --help shows what it takes");
      }
      return Main.OK;
    }
  }
}
