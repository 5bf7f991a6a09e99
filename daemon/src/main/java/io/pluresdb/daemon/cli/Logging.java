package io.pluresdb.daemon.cli;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import io.pluresdb.daemon.config.Settings.LogLevel;
import org.slf4j.LoggerFactory;

/** Sets what is logged. Loads logback, so client commands stay away from it. */
final class Logging {
  private Logging() {}

  static void set(LogLevel level) {
    if (LoggerFactory.getLogger("io.pluresdb") instanceof Logger ours) {
      ours.setLevel(Level.toLevel(level.name()));
    }
  }
}
