package io.pluresdb.daemon.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.daemon.config.Settings.HostPort;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which layer holds, and what is refused with which words. */
class ConfigTest {
  @TempDir Path directory;

  private Path system() {
    return directory.resolve("system.toml");
  }

  private Config load(Map<String, String> environment, Map<String, String> flags) {
    return Config.load(system(), directory, environment, flags);
  }

  private void file(String toml) throws IOException {
    Files.writeString(directory.resolve(Config.FILE), toml);
  }

  @Test
  void defaults_areValidAndNamed() {
    Config config = load(Map.of("PATH", "/bin", "PLURESDB_DATA_DIR", "x"), Map.of());
    assertThat(config.entries()).hasSameSizeAs(Settings.ALL);
    assertThat(config.entries()).allMatch(entry -> entry.origin().equals("default"));
    Settings.ALL.forEach(config::get);
    assertThat(config.get(Settings.PEERS_LISTEN)).isEqualTo(new HostPort("0.0.0.0", 34_570));
    assertThat(config.get(Settings.PEERS_STATIC)).isEmpty();
  }

  @Test
  void layers_outweighTheEarlier() throws IOException {
    Files.writeString(
        system(), "[api]\nport = 1\n[device]\nname = \"system\"\n[log]\nlevel='warn'");
    file("api.port = 2\n[peers]\nlan = false\nstatic = [\"a:1\", \"[::1]:2\"]");
    Config config =
        load(
            Map.of("PLURESDB_API_PORT", "3", "PLURESDB_LOG_LEVEL", "debug"),
            Map.of("api.port", "4"));
    assertThat(config.get(Settings.API_PORT)).isEqualTo(4);
    assertThat(config.entry(Settings.API_PORT).origin()).isEqualTo("flag");
    assertThat(config.get(Settings.LOG_LEVEL)).isEqualTo(Settings.LogLevel.DEBUG);
    assertThat(config.entry(Settings.LOG_LEVEL).origin()).isEqualTo("environment");
    assertThat(config.get(Settings.PEERS_LAN)).isFalse();
    assertThat(config.entry(Settings.PEERS_LAN).origin()).endsWith("config.toml");
    assertThat(config.get(Settings.PEERS_STATIC))
        .isEqualTo(List.of(new HostPort("a", 1), new HostPort("[::1]", 2)));
    assertThat(config.get(Settings.DEVICE_NAME)).isEqualTo("system");
  }

  @Test
  void keys_unknown_nameTheNearest() throws IOException {
    assertThatThrownBy(() -> load(Map.of("PLURESDB_API_PROT", "1"), Map.of()))
        .hasMessageContaining("PLURESDB_API_PROT")
        .extracting(e -> ((ConfigException) e).hint())
        .isEqualTo("the nearest is PLURESDB_API_PORT");
    file("[peers]\nlisen = \"x\"");
    assertThatThrownBy(() -> load(Map.of(), Map.of()))
        .hasMessageContaining("no setting peers.lisen")
        .hasMessageContaining("config.toml")
        .extracting(e -> ((ConfigException) e).hint())
        .isEqualTo("the nearest is peers.listen");
  }

  @Test
  void values_outOfRange_areRefusedWithTheirOrigin() {
    refused("api.port", "65536", "api.port must be 0 to 65535");
    refused("api.port", "x", "but is \"x\" in the command line");
    assertThatThrownBy(() -> load(Map.of("PLURESDB_API_PORT", "x"), Map.of()))
        .hasMessageContaining("in the environment variable PLURESDB_API_PORT");
    refused("api.bind", "0.0.0.0", "loopback");
    refused("peers.listen", "host", "HOST:PORT");
    refused("peers.listen", "host:70000", "HOST:PORT");
    refused("peers.static", "a:1,b:0", "peers.static must be at most 64");
    refused("peers.lan", "yes", "true or false");
    refused("log.level", "loud", "error, warn, info or debug");
    refused("device.name", "x".repeat(129), "at most 128 bytes");
    refused("device.name", "a\nb", "control characters");
  }

  @Test
  void secrets_areNeitherShownNorRepeated() {
    Config config =
        load(
            Map.of("PLURESDB_PEERS_PROXY", "http://me:hidden,too@proxy:3128"),
            Map.of("peers.relays", "wss://hidden@one,ws://two,wss://hidden@three/x"));
    assertThat(config.entry(Settings.PEERS_PROXY).shown()).isEqualTo("http://***@proxy:3128");
    assertThat(config.entry(Settings.PEERS_RELAYS).shown())
        .isEqualTo("wss://***@one,ws://two,wss://***@three/x");
    assertThat(config.entry(Settings.DEVICE_NAME).shown()).isEmpty();
    assertThat(Settings.DEVICE_NAME.shown("me@home")).isEqualTo("me@home");
    for (String wrong : List.of("me:hidden@proxy", "http://hidden", "http://me:hidden/x@proxy")) {
      assertThatThrownBy(() -> load(Map.of(), Map.of("peers.proxy", wrong + ":0")))
          .isInstanceOf(ConfigException.class)
          .hasMessageContaining("peers.proxy must be http://[USER:PASSWORD@]HOST")
          .hasMessageContaining("in the command line")
          .hasMessageNotContaining("hidden");
    }
    assertThatThrownBy(() -> load(Map.of("PLURESDB_PEERS_RELAYS", "hidden@one"), Map.of()))
        .hasMessageContaining("peers.relays must be")
        .hasMessageNotContaining("hidden");
  }

  private void refused(String key, String value, String words) {
    assertThatThrownBy(() -> load(Map.of(), Map.of(key, value)))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining(words);
  }

  @Test
  void files_malformed_sayWhere() throws IOException {
    file("[api]\nport = = 2");
    assertThatThrownBy(() -> load(Map.of(), Map.of()))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("config.toml is no TOML: line 2");
  }

  @Test
  void reference_listsExactlyTheSettings() throws IOException {
    String page =
        Files.readString(
            Path.of(System.getProperty("pluresdb.root"), "docs/reference/configuration.md"));
    List<String> rows = page.lines().filter(line -> line.startsWith("| `")).toList();
    assertThat(rows)
        .isEqualTo(
            Settings.ALL.stream()
                .map(
                    s ->
                        String.format(
                            "| `%s` | %s | %s | `%s` | %s |",
                            s.key(), s.unit(), s.range(), s.defaultText(), s.doc()))
                .toList());
    String reloadable =
        Settings.ALL.stream()
            .filter(Settings.RELOADABLE::contains)
            .map(s -> "`" + s.key() + "`")
            .collect(Collectors.joining(", "));
    assertThat(page).contains("SIGHUP takes over " + reloadable + ".");
  }
}
