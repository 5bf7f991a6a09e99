package io.pluresdb.daemon.config;

import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.transport.dht.DhtNode;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/** Every setting there is. */
public final class Settings {
  private static final int MAX_DAYS = 36_500;
  private static final int MAX_STATIC_PEERS = 64;

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
          PEERS_LISTEN,
          PEERS_LAN,
          PEERS_STATIC,
          PEERS_DHT,
          PEERS_DHT_BOOTSTRAP,
          PEERS_DHT_ANNOUNCE,
          PEERS_DHT_READ_ONLY,
          DEVICE_NAME,
          ENCRYPTION_PASSWORD_FILE,
          ENCRYPTION_KEY_FILE,
          HISTORY_KEEP_DAYS,
          HISTORY_LEASE_DAYS,
          LOG_LEVEL);

  /** Values of {@link #LOG_LEVEL}, most severe first. */
  public enum LogLevel {
    ERROR,
    WARN,
    INFO,
    DEBUG
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
