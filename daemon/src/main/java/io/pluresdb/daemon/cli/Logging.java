package io.pluresdb.daemon.cli;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import io.pluresdb.daemon.config.Settings.LogLevel;
import io.pluresdb.daemon.service.JournalAppender;
import java.util.Map;
import org.slf4j.LoggerFactory;

/** Sets what is logged, and where. Loads logback, so client commands stay away from it. */
final class Logging {
  private Logging() {}

  static void set(LogLevel level) {
    if (LoggerFactory.getLogger("io.pluresdb") instanceof Logger ours) {
      ours.setLevel(Level.toLevel(level.name()));
    }
  }

  /** Writes to the journal instead of standard error where that leads to the journal anyway. */
  static void toJournal(Map<String, String> environment) {
    if (LoggerFactory.getILoggerFactory() instanceof LoggerContext context) {
      JournalAppender.of(environment)
          .ifPresent(
              journal -> {
                Logger root = context.getLogger(Logger.ROOT_LOGGER_NAME);
                journal.setContext(context);
                journal.start();
                root.detachAndStopAllAppenders();
                root.addAppender(journal);
              });
    }
  }
}
