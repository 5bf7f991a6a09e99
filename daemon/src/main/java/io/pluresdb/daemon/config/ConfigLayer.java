package io.pluresdb.daemon.config;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.dataformat.toml.TomlMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Settings from one place, as text.
 *
 * @param origin the place: a file, {@link #ENVIRONMENT} or {@link #FLAG}
 * @param values text forms by key; every key is one of {@link Settings#ALL}
 */
public record ConfigLayer(String origin, Map<String, String> values) {
  static final String ENVIRONMENT = "environment";
  static final String FLAG = "flag";
  static final String VARIABLE_PREFIX = "PLURESDB_";

  /** Variables with our prefix that are no settings. */
  private static final List<String> OTHER_VARIABLES =
      List.of("PLURESDB_DATA_DIR", "PLURESDB_JAVA_HOME", "PLURESDB_JAVA_OPTS");

  /** Largest configuration file. */
  private static final long MAX_FILE_BYTES = 1 << 20;

  public ConfigLayer {
    values = Map.copyOf(values);
    values.keySet().forEach(key -> Settings.of(key, origin));
  }

  /**
   * Reads a TOML file; one that does not exist sets nothing.
   *
   * @throws ConfigException when it cannot be read, is no TOML or names unknown keys
   */
  static ConfigLayer file(Path path) {
    if (!Files.exists(path)) {
      return new ConfigLayer(path.toString(), Map.of());
    }
    try {
      if (Files.size(path) > MAX_FILE_BYTES) {
        throw new ConfigException(path + " is larger than 1 MiB", "make it smaller");
      }
      var values = new TreeMap<String, String>();
      flatten("", new TomlMapper().readTree(path.toFile()), path, values);
      return new ConfigLayer(path.toString(), values);
    } catch (JacksonException e) {
      throw new ConfigException(
          path
              + " is no TOML: line "
              + (e.getLocation() == null ? 0 : e.getLocation().getLineNr())
              + ": "
              + e.getOriginalMessage(),
          "see https://toml.io for the format");
    } catch (IOException e) {
      throw new ConfigException(
          path + " cannot be read: " + e.getMessage(), "check its permissions");
    }
  }

  private static void flatten(String prefix, JsonNode node, Path path, Map<String, String> values) {
    for (Map.Entry<String, JsonNode> member : node.properties()) {
      String key = prefix + member.getKey();
      JsonNode value = member.getValue();
      if (value.isObject()) {
        flatten(key + ".", value, path, values);
      } else if (value.isArray()) {
        var parts = new ArrayList<String>();
        value.forEach(part -> parts.add(part.asText()));
        values.put(key, String.join(",", parts));
      } else {
        values.put(key, value.asText());
      }
    }
  }

  /** The {@code PLURESDB_*} variables. */
  static ConfigLayer environment(Map<String, String> environment) {
    var values = new TreeMap<String, String>();
    environment.forEach(
        (name, value) -> {
          if (name.startsWith(VARIABLE_PREFIX) && !OTHER_VARIABLES.contains(name)) {
            values.put(keyOf(name), value);
          }
        });
    return new ConfigLayer(ENVIRONMENT, values);
  }

  private static String keyOf(String variable) {
    return Settings.ALL.stream()
        .filter(setting -> setting.variable().equals(variable))
        .map(Setting::key)
        .findFirst()
        .orElseThrow(
            () ->
                new ConfigException(
                    "there is no setting for the environment variable " + variable,
                    "the nearest is "
                        + Nearest.to(
                            variable, Settings.ALL.stream().map(Setting::variable).toList())));
  }
}
