package io.pluresdb.daemon.config;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * The configuration in force: layers, of which a later one outweighs the earlier. Cannot exist with
 * an unknown key or a value out of its range.
 */
public final class Config {
  /** Name of the file in the data directory. */
  public static final String FILE = "config.toml";

  /** The file for all data directories of this machine. */
  public static final Path SYSTEM_FILE = Path.of("/etc/pluresdb", FILE);

  private static final String DEFAULT = "default";

  /**
   * A value and where it comes from.
   *
   * @param text its text form
   */
  public record Entry(Setting<?> setting, String text, String origin) {
    /** The text form without passwords and tokens. */
    public String shown() {
      return setting.shown(text);
    }
  }

  private final List<ConfigLayer> layers;

  private Config(List<ConfigLayer> layers) {
    this.layers = layers;
    for (ConfigLayer layer : layers) {
      layer
          .values()
          .forEach((key, text) -> Settings.of(key, layer.origin()).parse(text, layer.origin()));
    }
  }

  /**
   * Reads every layer.
   *
   * @param systemFile usually {@link #SYSTEM_FILE}
   * @param flags values from the command line by key
   * @throws ConfigException saying what is wrong and where
   */
  public static Config load(
      Path systemFile, Path dataDir, Map<String, String> environment, Map<String, String> flags) {
    return new Config(
        List.of(
            ConfigLayer.file(systemFile),
            ConfigLayer.file(dataDir.resolve(FILE)),
            ConfigLayer.environment(environment),
            new ConfigLayer(ConfigLayer.FLAG, flags)));
  }

  public <T> T get(Setting<T> setting) {
    Entry entry = entry(setting);
    return setting.parse(entry.text, entry.origin);
  }

  /** The value in force with its origin. */
  public Entry entry(Setting<?> setting) {
    for (ConfigLayer layer : layers.reversed()) {
      String text = layer.values().get(setting.key());
      if (text != null) {
        return new Entry(setting, text, layer.origin());
      }
    }
    return new Entry(setting, setting.defaultText(), DEFAULT);
  }

  /** Every setting, in the order of {@link Settings#ALL}. */
  public List<Entry> entries() {
    return Settings.ALL.stream().map(this::entry).toList();
  }
}
