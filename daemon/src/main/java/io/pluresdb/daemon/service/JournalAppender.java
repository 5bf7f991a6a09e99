package io.pluresdb.daemon.service;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.ThrowableProxyUtil;
import ch.qos.logback.core.AppenderBase;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;

/**
 * Writes to systemd's journal in its own protocol, so that what is logged comes with fields: {@code
 * PRIORITY}, {@code SYSLOG_IDENTIFIER}, {@code LOGGER}, {@code THREAD_NAME} and, where one was
 * thrown, {@code EXCEPTION}.
 *
 * <p>Source: systemd, "Native Journal Protocol".
 */
public final class JournalAppender extends AppenderBase<ILoggingEvent> {
  /** Where the journal listens. */
  public static final Path SOCKET = Path.of("/run/systemd/journal/socket");

  /** Longest value of a field; the rest is cut off. A datagram must fit a socket's buffer. */
  static final int MAX_FIELD_BYTES = 48 << 10;

  /** Set by systemd to the device and inode of a standard error that leads to the journal. */
  private static final String JOURNAL_STREAM = "JOURNAL_STREAM";

  private final UnixDatagrams journal;

  JournalAppender(Path socket) throws IOException {
    journal = new UnixDatagrams(socket.toString());
    setName("JOURNAL");
  }

  /** One for a process whose standard error is the journal already, if that listens. */
  public static Optional<JournalAppender> of(Map<String, String> environment) {
    if (!environment.containsKey(JOURNAL_STREAM) || !Files.exists(SOCKET)) {
      return Optional.empty();
    }
    try {
      return Optional.of(new JournalAppender(SOCKET));
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  @Override
  protected void append(ILoggingEvent event) {
    var fields = new ByteArrayOutputStream();
    field(fields, "MESSAGE", event.getFormattedMessage());
    field(fields, "PRIORITY", Integer.toString(priority(event.getLevel())));
    field(fields, "SYSLOG_IDENTIFIER", "pluresdb");
    field(fields, "LOGGER", event.getLoggerName());
    field(fields, "THREAD_NAME", event.getThreadName());
    if (event.getThrowableProxy() != null) {
      field(fields, "EXCEPTION", ThrowableProxyUtil.asString(event.getThrowableProxy()));
    }
    try {
      journal.send(fields.toByteArray());
    } catch (IOException e) {
      // The journal is being started anew, say: what would be lost goes where it would have gone.
      System.err.println(event.getLevel() + " " + event.getFormattedMessage());
    }
  }

  /** Severity as syslog(3) counts. */
  private static int priority(Level level) {
    return switch (level.toInt()) {
      case Level.ERROR_INT -> 3;
      case Level.WARN_INT -> 4;
      case Level.INFO_INT -> 6;
      default -> 7;
    };
  }

  private static void field(ByteArrayOutputStream out, String name, String text) {
    byte[] value = text.getBytes(StandardCharsets.UTF_8);
    if (value.length > MAX_FIELD_BYTES) {
      value = Arrays.copyOf(value, MAX_FIELD_BYTES);
    }
    out.writeBytes(name.getBytes(StandardCharsets.UTF_8));
    if (text.indexOf('\n') < 0) {
      out.write('=');
    } else {
      // A value of several lines has its length in front.
      out.write('\n');
      out.writeBytes(
          ByteBuffer.allocate(Long.BYTES)
              .order(ByteOrder.LITTLE_ENDIAN)
              .putLong(value.length)
              .array());
    }
    out.writeBytes(value);
    out.write('\n');
  }
}
