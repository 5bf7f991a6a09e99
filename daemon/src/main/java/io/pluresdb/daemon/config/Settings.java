package io.pluresdb.daemon.config;

import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.transport.dht.DhtNode;
import io.pluresdb.transport.identity.DeviceIdentity;
import io.pluresdb.transport.relay.HttpProxy;
import io.pluresdb.transport.relay.RelayLimits;
import io.pluresdb.transport.relay.RelayOptions;
import io.pluresdb.transport.relay.RelayUrl;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/** Every setting there is. */
public final class Settings {
  private static final int MAX_DAYS = 36_500;
  private static final int MAX_STATIC_PEERS = 64;
  private static final int MAX_MODEL_NAME_BYTES = 128;
  private static final int MAX_FIELDS = 32;
  private static final int MAX_RELAYS = 8;

  public static final Setting<String> API_BIND =
      new Setting<>(
          "api.bind",
          "address",
          "a loopback address: localhost, 127.0.0.1 or ::1",
          "127.0.0.1",
          "Where the HTTP API listens; other devices never use it.",
          text -> {
            if (!text.equals("localhost") && !text.equals("::1") && !text.startsWith("127.")) {
              throw new IllegalArgumentException();
            }
            return text;
          });

  public static final Setting<Integer> API_PORT =
      new Setting<>(
          "api.port",
          "TCP port",
          "0 to 65535, where 0 takes a free port",
          "34569",
          "Port of the HTTP API.",
          text -> port(text, 0));

  public static final Setting<Integer> API_MAX_CONNECTIONS =
      new Setting<>(
          "api.max-connections",
          "connections",
          "1 to 65536",
          "1024",
          "Most connections to the HTTP API and its socket at once; streams take one each.",
          text -> whole(text, 1, 65_536));

  public static final Setting<Integer> API_MAX_CONCURRENT =
      new Setting<>(
          "api.max-concurrent",
          "requests",
          "1 to 65536",
          "512",
          "Most requests of one token that are being answered, streams included.",
          text -> whole(text, 1, 65_536));

  public static final Setting<Integer> API_REQUESTS_PER_SECOND =
      new Setting<>(
          "api.requests-per-second",
          "requests a second",
          "0 to 1000000, where 0 is no limit",
          "0",
          "Most requests of one token in a second.",
          text -> whole(text, 0, 1_000_000));

  public static final Setting<Integer> API_BODY_TIMEOUT_SECONDS =
      new Setting<>(
          "api.body-timeout-seconds",
          "seconds",
          "1 to 3600",
          "60",
          "How long a body, or a reader that takes nothing of its answer, may stand still.",
          text -> whole(text, 1, 3_600));

  public static final Setting<HostPort> PEERS_LISTEN =
      new Setting<>(
          "peers.listen",
          "HOST:PORT",
          "HOST:PORT with a port from 0 to 65535",
          "0.0.0.0:34570",
          "Where other devices reach this one, over TCP and UDP.",
          text -> HostPort.parse(text, 0));

  public static final Setting<Boolean> PEERS_LAN =
      new Setting<>(
          "peers.lan",
          "boolean",
          "true or false",
          "true",
          "Whether to look for and answer peers on the local network.",
          Settings::bool);

  public static final Setting<List<HostPort>> PEERS_STATIC =
      new Setting<>(
          "peers.static",
          "list of HOST:PORT",
          "at most 64 times HOST:PORT with a port from 1 to 65535, separated by commas",
          "",
          "Peers to keep connected in every database, besides those that are found; with more than"
              + " 31 devices, where to start from.",
          text -> hostPorts(text, MAX_STATIC_PEERS));

  public static final Setting<Boolean> PEERS_DHT =
      new Setting<>(
          "peers.dht",
          "boolean",
          "true or false",
          "true",
          "Whether to look for peers in the DHT.",
          Settings::bool);

  public static final Setting<List<HostPort>> PEERS_DHT_BOOTSTRAP =
      new Setting<>(
          "peers.dht-bootstrap",
          "list of HOST:PORT",
          "at most 32 times HOST:PORT with a port from 1 to 65535, separated by commas",
          "router.bittorrent.com:6881,dht.transmissionbt.com:6881,dht.libtorrent.org:25401",
          "Where to enter the DHT; nodes of one's own make a private network.",
          text -> hostPorts(text, DhtNode.MAX_ENTRY_POINTS));

  public static final Setting<Boolean> PEERS_DHT_ANNOUNCE =
      new Setting<>(
          "peers.dht-announce",
          "boolean",
          "true or false",
          "true",
          "Whether to say in the DHT where this device is; if not, it only looks for others.",
          Settings::bool);

  public static final Setting<Boolean> PEERS_DHT_READ_ONLY =
      new Setting<>(
          "peers.dht-read-only",
          "boolean",
          "true or false",
          "false",
          "Whether to ask the DHT without answering others, as on a metered connection.",
          Settings::bool);

  public static final Setting<Boolean> PEERS_PORT_MAPPING =
      new Setting<>(
          "peers.port-mapping",
          "boolean",
          "true or false",
          "true",
          "Whether to have the router forward the ports of peers, by PCP, NAT-PMP or UPnP.",
          Settings::bool);

  public static final Setting<Boolean> PEERS_QUIC =
      new Setting<>(
          "peers.quic",
          "boolean",
          "true or false",
          "true",
          "Whether to reach peers over UDP, too, through NATs.",
          Settings::bool);

  public static final Setting<PeerTransport> PEERS_TRANSPORT =
      new Setting<>(
          "peers.transport",
          "how",
          "auto, direct, relay or disabled",
          "auto",
          "How to reach peers: directly and through relays, one of the two only, or not at all.",
          text -> PeerTransport.valueOf(text.toUpperCase(Locale.ROOT)));

  public static final Setting<List<RelayUrl>> PEERS_RELAYS =
      new Setting<>(
          "peers.relays",
          "list of URLs",
          "at most 8 times wss://[TOKEN@]HOST[:PORT][/PATH][#sha256=64 HEX DIGITS], or ws:// without"
              + " TLS, separated by commas",
          "",
          "Relays through which peers are reached that cannot be reached directly.",
          Settings::relays,
          true);

  public static final Setting<Optional<Path>> PEERS_RELAY_CA =
      new Setting<>(
          "peers.relay-ca",
          "file",
          "the path of a file of certificates in PEM, or empty",
          "",
          "Authorities that are trusted to sign the certificates of relays, besides the platform's.",
          Settings::path);

  public static final Setting<Optional<HttpProxy>> PEERS_PROXY =
      new Setting<>(
          "peers.proxy",
          "URL",
          "http://[USER:PASSWORD@]HOST[:PORT], or empty",
          "",
          "The HTTP proxy through which relays are reached; if empty, what HTTPS_PROXY and NO_PROXY"
              + " say.",
          text -> text.isBlank() ? Optional.empty() : Optional.of(HttpProxy.parse(text)),
          true);

  public static final Setting<Boolean> RELAY_ENABLED =
      new Setting<>(
          "relay.enabled",
          "boolean",
          "true or false",
          "false",
          "Whether the daemon is a relay for others, too.",
          Settings::bool);

  public static final Setting<HostPort> RELAY_LISTEN =
      new Setting<>(
          "relay.listen",
          "HOST:PORT",
          "HOST:PORT with a port from 0 to 65535",
          "0.0.0.0:443",
          "Where the relay listens.",
          text -> HostPort.parse(text, 0));

  public static final Setting<Optional<Path>> RELAY_TLS_CERT =
      new Setting<>(
          "relay.tls-cert",
          "file",
          "the path of a file of certificates in PEM, or empty",
          "",
          "The relay's certificate and those that lead to an authority; empty for no TLS, behind a"
              + " reverse proxy.",
          Settings::path);

  public static final Setting<Optional<Path>> RELAY_TLS_KEY =
      new Setting<>(
          "relay.tls-key",
          "file",
          "the path of a file with an unencrypted PKCS #8 key in PEM, or empty",
          "",
          "The key of the relay's certificate.",
          Settings::path);

  public static final Setting<Optional<Path>> RELAY_TOKEN_FILE =
      new Setting<>(
          "relay.token-file",
          "file",
          "the path of a file with lines of a name, a space and a token, or empty",
          "",
          "Tokens of which the relay wants one from each client; empty for none.",
          Settings::path);

  public static final Setting<List<String>> RELAY_TOKEN_KEYS =
      new Setting<>(
          "relay.token-keys",
          "list of keys",
          "at most 8 times 64 hexadecimal digits, separated by commas",
          "",
          "Public keys of those who may sign tokens for the relay, as pluresdb relay token key prints"
              + " them; empty for none.",
          Settings::tokenKeys);

  public static final Setting<Boolean> RELAY_TRUST_FORWARDED =
      new Setting<>(
          "relay.trust-forwarded",
          "boolean",
          "true or false",
          "false",
          "Whether the last address of X-Forwarded-For is the client's: only behind a reverse proxy"
              + " that sets it.",
          Settings::bool);

  public static final Setting<RelayLimits> RELAY_LIMITS =
      new Setting<>(
          "relay.limits",
          "list of NAME=NUMBER",
          "NAME=NUMBER separated by commas, with the names and ranges that docs/design/relay.md lists",
          "",
          "Limits of the relay that differ from the usual ones.",
          Settings::limits);

  public static final Setting<String> DEVICE_NAME =
      new Setting<>(
          "device.name",
          "text",
          "at most 128 bytes of UTF-8 without control characters; empty takes the host's name",
          "",
          "What people call this device; other members see it.",
          text -> {
            if (text.getBytes(StandardCharsets.UTF_8).length > MembershipEntry.MAX_NAME_BYTES
                || text.chars().anyMatch(Character::isISOControl)) {
              throw new IllegalArgumentException();
            }
            return text;
          });

  public static final Setting<String> ENCRYPTION_PASSWORD_FILE =
      new Setting<>(
          "encryption.password-file",
          "path",
          "an absolute path, or empty",
          "",
          "File whose first line is the password of an encrypted data directory; 0600.",
          Settings::absolutePath);

  public static final Setting<String> ENCRYPTION_KEY_FILE =
      new Setting<>(
          "encryption.key-file",
          "path",
          "an absolute path, or empty",
          "",
          "File of 32 or more random bytes that unlocks an encrypted data directory; 0600.",
          Settings::absolutePath);

  public static final Setting<String> EMBEDDING_MODEL =
      new Setting<>(
          "embedding.model",
          "folder",
          "an absolute path, or empty",
          "",
          "Folder with model.onnx and tokenizer.json, which makes embeddings of texts here.",
          Settings::absolutePath);

  public static final Setting<Optional<URI>> EMBEDDING_URL =
      new Setting<>(
          "embedding.url",
          "URL",
          "http:// or https://, without user and password, or empty",
          "",
          "Server with OpenAI's interface that makes embeddings of texts, such as"
              + " https://api.openai.com/v1, instead of a model here; it gets to read the texts.",
          Settings::server);

  public static final Setting<String> EMBEDDING_NAME =
      new Setting<>(
          "embedding.name",
          "text",
          "at most 128 bytes of UTF-8",
          "text-embedding-3-small",
          "Name of the model at the server.",
          Settings::modelName);

  public static final Setting<String> EMBEDDING_KEY_FILE =
      new Setting<>(
          "embedding.key-file",
          "path",
          "an absolute path, or empty",
          "",
          "File whose first line is the server's key; 0600.",
          Settings::absolutePath);

  public static final Setting<List<String>> EMBEDDING_FIELDS =
      new Setting<>(
          "embedding.fields",
          "list of fields",
          "at most 32 dotted names, separated by commas; empty for all",
          "",
          "Fields whose texts are embedded.",
          Settings::names);

  public static final Setting<Integer> HISTORY_KEEP_DAYS =
      new Setting<>(
          "history.keep-days",
          "days",
          "0 to 36500",
          "30",
          "How long changes stay in the log after every member has them.",
          text -> whole(text, 0, MAX_DAYS));

  public static final Setting<Integer> HISTORY_LEASE_DAYS =
      new Setting<>(
          "history.lease-days",
          "days",
          "1 to 36500",
          "90",
          "How long a silent member keeps changes it lacks in the log of the others.",
          text -> whole(text, 1, MAX_DAYS));

  public static final Setting<LogLevel> LOG_LEVEL =
      new Setting<>(
          "log.level",
          "level",
          "error, warn, info or debug",
          "info",
          "Least severity that serve logs on standard error.",
          text -> LogLevel.valueOf(text.toUpperCase(Locale.ROOT)));

  /** In the order in which they are listed. */
  public static final List<Setting<?>> ALL =
      List.of(
          API_BIND,
          API_PORT,
          API_MAX_CONNECTIONS,
          API_MAX_CONCURRENT,
          API_REQUESTS_PER_SECOND,
          API_BODY_TIMEOUT_SECONDS,
          PEERS_LISTEN,
          PEERS_LAN,
          PEERS_STATIC,
          PEERS_DHT,
          PEERS_DHT_BOOTSTRAP,
          PEERS_DHT_ANNOUNCE,
          PEERS_DHT_READ_ONLY,
          PEERS_PORT_MAPPING,
          PEERS_QUIC,
          PEERS_TRANSPORT,
          PEERS_RELAYS,
          PEERS_RELAY_CA,
          PEERS_PROXY,
          RELAY_ENABLED,
          RELAY_LISTEN,
          RELAY_TLS_CERT,
          RELAY_TLS_KEY,
          RELAY_TOKEN_FILE,
          RELAY_TOKEN_KEYS,
          RELAY_TRUST_FORWARDED,
          RELAY_LIMITS,
          DEVICE_NAME,
          ENCRYPTION_PASSWORD_FILE,
          ENCRYPTION_KEY_FILE,
          EMBEDDING_MODEL,
          EMBEDDING_URL,
          EMBEDDING_NAME,
          EMBEDDING_KEY_FILE,
          EMBEDDING_FIELDS,
          HISTORY_KEEP_DAYS,
          HISTORY_LEASE_DAYS,
          LOG_LEVEL);

  /** What takes effect when the configuration is read again; the others take a restart. */
  public static final Set<Setting<?>> RELOADABLE =
      Set.of(PEERS_STATIC, HISTORY_KEEP_DAYS, HISTORY_LEASE_DAYS, LOG_LEVEL);

  /** Values of {@link #LOG_LEVEL}, most severe first. */
  public enum LogLevel {
    ERROR,
    WARN,
    INFO,
    DEBUG
  }

  /** Values of {@link #PEERS_TRANSPORT}. */
  public enum PeerTransport {
    AUTO,
    DIRECT,
    RELAY,
    DISABLED
  }

  private Settings() {}

  /**
   * The setting of that key.
   *
   * @throws ConfigException naming the nearest key when there is none
   */
  public static Setting<?> of(String key, String origin) {
    return ALL.stream()
        .filter(setting -> setting.key().equals(key))
        .findFirst()
        .orElseThrow(
            () ->
                new ConfigException(
                    "there is no setting " + key + ", which " + origin + " names",
                    "the nearest is " + Nearest.to(key, ALL.stream().map(Setting::key).toList())));
  }

  private static String absolutePath(String text) {
    if (!text.isEmpty() && !Path.of(text).isAbsolute()) {
      throw new IllegalArgumentException();
    }
    return text;
  }

  private static boolean bool(String text) {
    return switch (text) {
      case "true" -> true;
      case "false" -> false;
      default -> throw new IllegalArgumentException();
    };
  }

  private static int port(String text, int least) {
    return whole(text, least, 65_535);
  }

  private static int whole(String text, int least, int most) {
    int number = Integer.parseInt(text);
    if (number < least || number > most) {
      throw new IllegalArgumentException();
    }
    return number;
  }

  private static Optional<URI> server(String text) {
    if (text.isBlank()) {
      return Optional.empty();
    }
    URI url = URI.create(text.strip());
    boolean http = "http".equals(url.getScheme()) || "https".equals(url.getScheme());
    if (!http || url.getHost() == null || url.getUserInfo() != null) {
      throw new IllegalArgumentException();
    }
    return Optional.of(url);
  }

  private static String modelName(String text) {
    if (text.isBlank()
        || text.getBytes(java.nio.charset.StandardCharsets.UTF_8).length > MAX_MODEL_NAME_BYTES) {
      throw new IllegalArgumentException();
    }
    return text.strip();
  }

  private static List<String> names(String text) {
    if (text.isBlank()) {
      return List.of();
    }
    String[] parts = text.split(",", -1);
    if (parts.length > MAX_FIELDS || java.util.Arrays.stream(parts).anyMatch(String::isBlank)) {
      throw new IllegalArgumentException();
    }
    return java.util.Arrays.stream(parts).map(String::strip).toList();
  }

  private static Optional<Path> path(String text) {
    return text.isBlank() ? Optional.empty() : Optional.of(Path.of(text));
  }

  private static List<RelayUrl> relays(String text) {
    if (text.isBlank()) {
      return List.of();
    }
    List<RelayUrl> relays =
        java.util.Arrays.stream(text.split(",", -1)).map(RelayUrl::parse).distinct().toList();
    if (relays.size() > MAX_RELAYS) {
      throw new IllegalArgumentException();
    }
    return relays;
  }

  private static List<String> tokenKeys(String text) {
    List<String> keys =
        text.isBlank()
            ? List.of()
            : java.util.Arrays.stream(text.split(",", -1)).map(String::strip).distinct().toList();
    boolean valid =
        keys.size() <= RelayOptions.MAX_TOKEN_KEYS
            && keys.stream()
                .allMatch(
                    key ->
                        key.length() == 2 * DeviceIdentity.PUBLIC_KEY_BYTES
                            && key.chars().allMatch(HexFormat::isHexDigit));
    if (!valid) {
      throw new IllegalArgumentException();
    }
    return keys;
  }

  private static RelayLimits limits(String text) {
    var changed = new TreeMap<String, Long>();
    if (!text.isBlank()) {
      for (String part : text.split(",", -1)) {
        int equals = part.indexOf('=');
        if (equals < 0) {
          throw new IllegalArgumentException();
        }
        changed.put(
            part.substring(0, equals).strip(), Long.valueOf(part.substring(equals + 1).strip()));
      }
    }
    return RelayLimits.of(changed);
  }

  private static List<HostPort> hostPorts(String text, int most) {
    if (text.isBlank()) {
      return List.of();
    }
    String[] parts = text.split(",", -1);
    if (parts.length > most) {
      throw new IllegalArgumentException();
    }
    return java.util.Arrays.stream(parts).map(part -> HostPort.parse(part.strip(), 1)).toList();
  }

  /** A host and a port as people write them; not resolved. */
  public record HostPort(String host, int port) {
    /**
     * @param leastPort 0 where a free port may be asked for, otherwise 1
     * @throws IllegalArgumentException when it is anything else
     */
    public static HostPort parse(String text, int leastPort) {
      URI uri = URI.create("tcp://" + text);
      if (uri.getHost() == null
          || !text.equals(uri.getHost() + ":" + uri.getPort())
          || uri.getPort() < leastPort
          || uri.getPort() > 65_535) {
        throw new IllegalArgumentException();
      }
      return new HostPort(uri.getHost(), uri.getPort());
    }

    @Override
    public String toString() {
      return host + ":" + port;
    }
  }
}
