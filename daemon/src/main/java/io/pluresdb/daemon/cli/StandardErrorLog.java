package io.pluresdb.daemon.cli;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.spi.Configurator;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.ThrowableProxyUtil;
import ch.qos.logback.core.ConsoleAppender;
import ch.qos.logback.core.CoreConstants;
import ch.qos.logback.core.encoder.EncoderBase;
import ch.qos.logback.core.spi.ContextAwareBase;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;

/**
 * What is logged until {@code serve} sets the level of the configuration: warnings and errors, on
 * standard error. Logback finds it as a service.
 *
 * <p>Written in Java, because a {@code logback.xml} takes an XML parser and 500 classes, a sixth of
 * the time that the daemon needs to start. One is still read where {@code
 * -Dlogback.configurationFile} names it.
 */
public final class StandardErrorLog extends ContextAwareBase implements Configurator {
  private static final String FILE_PROPERTY = "logback.configurationFile";

  @Override
  public ExecutionStatus configure(LoggerContext context) {
    if (System.getProperty(FILE_PROPERTY) != null) {
      return ExecutionStatus.INVOKE_NEXT_IF_ANY;
    }
    var line = new Line(ZoneId.systemDefault());
    line.setContext(context);
    line.start();
    var appender = new ConsoleAppender<ILoggingEvent>();
    appender.setContext(context);
    appender.setName("STDERR");
    appender.setTarget("System.err");
    appender.setEncoder(line);
    appender.start();
    context.getLogger("io.netty").setLevel(Level.WARN);
    Logger root = context.getLogger(Logger.ROOT_LOGGER_NAME);
    root.setLevel(Level.WARN);
    root.addAppender(appender);
    return ExecutionStatus.DO_NOT_INVOKE_NEXT_IF_ANY;
  }

  /** An event as a line: time, level, logger without its package, message; then what was thrown. */
  static final class Line extends EncoderBase<ILoggingEvent> {
    private static final int LEVEL_WIDTH = 5;

    private final DateTimeFormatter time;

    Line(ZoneId zone) {
      time = DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSSXXX").withZone(zone);
    }

    @Override
    public byte[] encode(ILoggingEvent event) {
      String level = event.getLevel().toString();
      String logger = event.getLoggerName();
      var line = new StringBuilder();
      time.formatTo(Instant.ofEpochMilli(event.getTimeStamp()), line);
      line.append(' ')
          .append(level)
          .repeat(' ', Math.max(0, LEVEL_WIDTH - level.length()) + 1)
          .append(logger, logger.lastIndexOf('.') + 1, logger.length())
          .append(' ')
          .append(event.getFormattedMessage())
          .append(CoreConstants.LINE_SEPARATOR);
      if (event.getThrowableProxy() != null) {
        line.append(ThrowableProxyUtil.asString(event.getThrowableProxy()));
      }
      return line.toString().getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public byte[] headerBytes() {
      return new byte[0];
    }

    @Override
    public byte[] footerBytes() {
      return new byte[0];
    }
  }
}
