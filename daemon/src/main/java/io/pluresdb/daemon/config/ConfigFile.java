package io.pluresdb.daemon.config;

import com.fasterxml.jackson.core.io.JsonStringEncoder;
import io.pluresdb.storage.file.DurableFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Changes one setting in a TOML file and leaves everything else as people wrote it. */
public final class ConfigFile {
  private final Path path;

  /**
   * @param path need not exist
   */
  public ConfigFile(Path path) {
    this.path = path;
  }

  /**
   * Sets {@code setting}.
   *
   * @param text its text form
   * @throws ConfigException when it is out of its range, or stands in the file in a way that is
   *     better changed by hand; nothing is written then
   */
  public void set(Setting<?> setting, String text) {
    setting.parse(text, ConfigLayer.FLAG);
    write(setting, text);
  }

  /**
   * Takes {@code setting} out, so that it has the value of an earlier layer.
   *
   * @return whether it was there
   * @throws ConfigException as {@link #set} does
   */
  public boolean reset(Setting<?> setting) {
    boolean there = ConfigLayer.file(path).values().containsKey(setting.key());
    if (there) {
      write(setting, null);
    }
    return there;
  }

  private void write(Setting<?> setting, @Nullable String text) {
    var wanted = new HashMap<>(ConfigLayer.file(path).values());
    if (text == null) {
      wanted.remove(setting.key());
    } else {
      wanted.put(setting.key(), text);
    }
    Path next = path.resolveSibling(path.getFileName() + ".new");
    try {
      List<String> lines = Files.exists(path) ? Files.readAllLines(path) : List.of();
      Files.write(next, edited(lines, setting.key(), text));
      try {
        // Whatever the file looked like: it must say this now, and nothing else may have changed.
        if (!readsAs(next, wanted)) {
          throw new ConfigException(
              setting.key() + " stands in " + path + " in a way that only people can change",
              "change it there");
        }
        if (Files.exists(path)) {
          Files.setPosixFilePermissions(next, Files.getPosixFilePermissions(path));
        }
        DurableFiles.replace(next, path);
      } finally {
        Files.deleteIfExists(next);
      }
    } catch (IOException e) {
      throw new ConfigException(
          path + " cannot be written: " + e.getMessage(), "check the directory's permissions");
    }
  }

  private static boolean readsAs(Path file, Map<String, String> wanted) {
    try {
      return ConfigLayer.file(file).values().equals(wanted);
    } catch (ConfigException e) {
      return false;
    }
  }

  /** The lines with the one of {@code key} replaced, removed (null) or added where it belongs. */
  private static List<String> edited(List<String> lines, String key, @Nullable String text) {
    int dot = key.indexOf('.');
    String tableOfKey = key.substring(0, dot);
    var edited = new ArrayList<String>();
    String table = "";
    int at = -1;
    int endOfTable = -1;
    int firstTable = -1;
    for (String line : lines) {
      String bare = line.strip();
      if (bare.startsWith("[")) {
        firstTable = firstTable < 0 ? edited.size() : firstTable;
        int end = bare.indexOf(']');
        table = end < 0 ? bare : bare.substring(1, end).strip();
      } else if (at < 0 && isKey(bare, table.isEmpty() ? key : withoutTable(key, table))) {
        at = edited.size();
      }
      edited.add(line);
      if (table.equals(tableOfKey)) {
        endOfTable = edited.size();
      }
    }
    if (at >= 0) {
      String name = edited.get(at).substring(0, edited.get(at).indexOf('='));
      edited.remove(at);
      if (text != null) {
        edited.add(at, name + "= " + toml(text));
      }
    } else if (text != null && endOfTable >= 0) {
      edited.add(endOfTable, key.substring(dot + 1) + " = " + toml(text));
    } else if (text != null) {
      // Keys with dots belong in front of the first table.
      edited.add(firstTable < 0 ? edited.size() : firstTable, key + " = " + toml(text));
    }
    return edited;
  }

  private static String withoutTable(String key, String table) {
    return key.startsWith(table + ".") ? key.substring(table.length() + 1) : "";
  }

  private static boolean isKey(String line, String key) {
    int equals = line.indexOf('=');
    return !key.isEmpty() && equals > 0 && line.substring(0, equals).strip().equals(key);
  }

  /** Numbers and truth values as such, all else as a string: lists are read from one, too. */
  private static String toml(String text) {
    return text.matches("true|false|0|[1-9][0-9]{0,17}")
        ? text
        : '"' + new String(JsonStringEncoder.getInstance().quoteAsString(text)) + '"';
  }
}
