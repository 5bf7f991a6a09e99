package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.config.Config;
import io.pluresdb.daemon.config.ConfigException;
import io.pluresdb.daemon.config.Setting;
import io.pluresdb.daemon.config.Settings;
import io.pluresdb.daemon.node.DeviceNode;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Takes over what can be changed of the configuration while the daemon runs. */
final class Reloading {
  private static final Logger log = LoggerFactory.getLogger(Reloading.class);

  private final Supplier<Config> source;
  private final DeviceNode node;
  private Config running;

  /**
   * @param source reads the configuration again
   * @param running what the daemon was started with
   */
  Reloading(Supplier<Config> source, Config running, DeviceNode node) {
    this.source = source;
    this.running = running;
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
    var taken = new ArrayList<String>();
    var waiting = new ArrayList<String>();
    for (Setting<?> setting : Settings.ALL) {
      // Against what is in force: what waits for a restart is named each time.
      if (!read.entry(setting).text().equals(running.entry(setting).text())) {
        (Settings.RELOADABLE.contains(setting) ? taken : waiting).add(setting.key());
      }
    }
    try {
      node.keepConnected(read.get(Settings.PEERS_STATIC).stream().map(Serving::resolved).toList());
      node.remember(Serving.compaction(read));
      Logging.set(read.get(Settings.LOG_LEVEL));
    } finally {
      running = running.with(read, Settings.RELOADABLE);
    }
    String outcome =
        "read the configuration again: changed "
            + listed(taken)
            + (waiting.isEmpty() ? "" : "; takes a restart: " + listed(waiting));
    log.info(outcome);
    return outcome;
  }

  private static String listed(List<String> keys) {
    return keys.isEmpty() ? "nothing" : String.join(", ", keys);
  }
}
