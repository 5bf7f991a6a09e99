package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.config.Config;
import io.pluresdb.daemon.config.ConfigException;
import io.pluresdb.daemon.config.Settings;
import io.pluresdb.daemon.node.DeviceNode;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Takes over what can be changed of the configuration while the daemon runs. */
final class Reloading {
  private static final Logger log = LoggerFactory.getLogger(Reloading.class);

  private final Supplier<Config> source;
  private final DeviceNode node;

  /** The text form of each setting as it is in force, by key. */
  private final Map<String, String> inForce = new HashMap<>();

  /**
   * @param source reads the configuration again
   * @param running what the daemon was started with
   */
  Reloading(Supplier<Config> source, Config running, DeviceNode node) {
    this.source = source;
    running.entries().forEach(entry -> inForce.put(entry.setting().key(), entry.text()));
    this.node = node;
  }

  /**
   * Reads the configuration again. With a mistake in it nothing changes.
   *
   * @return what it came to, in a line
   */
  synchronized String reload() {
    Config read;
    try {
      read = source.get();
    } catch (ConfigException e) {
      log.error("the configuration stays as it was: {}; {}", e.getMessage(), e.hint());
      return "the configuration stays as it was: " + e.getMessage();
    }
    var taken = new LinkedHashMap<String, String>();
    var waiting = new ArrayList<String>();
    for (Config.Entry entry : read.entries()) {
      String key = entry.setting().key();
      // Against what is in force: what waits for a restart is named each time.
      if (!entry.text().equals(inForce.get(key))) {
        if (Settings.RELOADABLE.contains(entry.setting())) {
          taken.put(key, entry.text());
        } else {
          waiting.add(key);
        }
      }
    }
    try {
      node.keepConnected(read.get(Settings.PEERS_STATIC).stream().map(Serving::resolved).toList());
      node.remember(Serving.compaction(read));
      Logging.set(read.get(Settings.LOG_LEVEL));
    } finally {
      inForce.putAll(taken);
    }
    String outcome =
        "read the configuration again: changed "
            + listed(taken.keySet())
            + (waiting.isEmpty() ? "" : "; takes a restart: " + listed(waiting));
    log.info(outcome);
    return outcome;
  }

  private static String listed(Collection<String> keys) {
    return keys.isEmpty() ? "nothing" : String.join(", ", keys);
  }
}
