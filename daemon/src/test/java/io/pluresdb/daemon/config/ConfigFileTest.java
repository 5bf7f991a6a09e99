package io.pluresdb.daemon.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What becomes of a file of settings when one of them is changed. */
class ConfigFileTest {
  @TempDir Path directory;
  private Path path;
  private ConfigFile file;

  @BeforeEach
  void name() {
    path = directory.resolve("config.toml");
    file = new ConfigFile(path);
  }

  private void holds(String text) throws IOException {
    assertThat(Files.readString(path)).isEqualTo(text);
    try (Stream<Path> files = Files.list(directory)) {
      assertThat(files).containsExactly(path);
    }
  }

  @Test
  void settings_areAddedReplacedAndTakenOut_whereTheyBelong() throws IOException {
    file.set(Settings.LOG_LEVEL, "debug");
    holds("log.level = \"debug\"\n");
    Files.writeString(path, "# mine\nlog.level = 'warn'\n\n[peers] # all\nlan = true\n\n[api]\n");
    Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
    file.set(Settings.LOG_LEVEL, "error");
    file.set(Settings.PEERS_LAN, "false");
    file.set(Settings.PEERS_STATIC, "a:1,b:2");
    file.set(Settings.HISTORY_KEEP_DAYS, "7");
    file.set(Settings.API_PORT, "0");
    holds(
        """
        # mine
        log.level = "error"

        history.keep-days = 7
        [peers] # all
        lan = false

        static = "a:1,b:2"
        [api]
        port = 0
        """);
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(path)))
        .isEqualTo("rw-------");
    assertThat(file.reset(Settings.PEERS_LAN)).isTrue();
    assertThat(file.reset(Settings.PEERS_LAN)).isFalse();
    assertThat(file.reset(Settings.LOG_LEVEL)).isTrue();
    holds(
        """
        # mine

        history.keep-days = 7
        [peers] # all

        static = "a:1,b:2"
        [api]
        port = 0
        """);
    assertThat(ConfigLayer.file(path).values()).containsEntry("peers.static", "a:1,b:2").hasSize(3);
  }

  @Test
  void textsThatNeedQuotes_areReadBackAsTheyWere() {
    String name = "a \"b\" \\ c = [d] # e";
    file.set(Settings.DEVICE_NAME, name);
    assertThat(ConfigLayer.file(path).values()).containsEntry("device.name", name);
    file.set(Settings.DEVICE_NAME, "007");
    assertThat(ConfigLayer.file(path).values()).containsEntry("device.name", "007");
  }

  @Test
  void valueOutOfRange_orWrittenOverLines_changesNothing() throws IOException {
    String written = "peers.static = [\n  \"a:1\",\n]\n";
    Files.writeString(path, written);
    assertThatThrownBy(() -> file.set(Settings.API_PORT, "65536"))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("0 to 65535");
    assertThatThrownBy(() -> file.set(Settings.PEERS_STATIC, "b:1"))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("only people can change");
    holds(written);
    Files.writeString(path, "log.level = \n");
    assertThatThrownBy(() -> file.set(Settings.API_PORT, "1"))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("is no TOML");
    holds("log.level = \n");
  }
}
