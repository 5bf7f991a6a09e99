package io.pluresdb.daemon.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.LoggerContext;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the journal hears, from a receiver that Python's standard library makes. */
class JournalAppenderTest {
  /** Reads the fields of a datagram as systemd describes them; prints each on a line. */
  private static final String RECEIVER =
      """
      import socket, struct, sys
      s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
      s.bind(sys.argv[1])
      print('bound', flush=True)
      while True:
          data = s.recv(1 << 20)
          while data:
              line, data = data.split(b'\\n', 1)
              name, equals, value = line.partition(b'=')
              if not equals:
                  length, = struct.unpack('<Q', data[:8])
                  value, data = data[8:8 + length], data[9 + length:]
              text = value.decode().replace('\\n', '|')
              print(name.decode(), len(value), text[:60], flush=True)
          print('end', flush=True)
      """;

  @TempDir Path directory;

  @Test
  void whatIsLogged_arrivesWithItsFields() throws Exception {
    Path socket = directory.resolve("journal");
    Process receiver;
    try {
      receiver = new ProcessBuilder("python3", "-c", RECEIVER, socket.toString()).start();
    } catch (IOException noPython) {
      assumeTrue(false, "JournalAppenderTest needs python3 to receive Unix datagrams");
      return;
    }
    try (BufferedReader lines = receiver.inputReader()) {
      assertThat(lines.readLine()).isEqualTo("bound");
      var context = new LoggerContext();
      var appender = new JournalAppender(socket);
      appender.setContext(context);
      appender.start();
      var log = context.getLogger("io.pluresdb.daemon.Example");
      log.addAppender(appender);
      log.setLevel(Level.DEBUG);

      log.info("database {} is open", "notes");
      assertThat(lines.readLine()).isEqualTo("MESSAGE 22 database notes is open");
      assertThat(lines.readLine()).isEqualTo("PRIORITY 1 6");
      assertThat(lines.readLine()).isEqualTo("SYSLOG_IDENTIFIER 8 pluresdb");
      assertThat(lines.readLine()).isEqualTo("LOGGER 26 io.pluresdb.daemon.Example");
      assertThat(lines.readLine()).startsWith("THREAD_NAME ");
      assertThat(lines.readLine()).isEqualTo("end");

      log.error("two\nlines", new IllegalStateException("broken"));
      assertThat(lines.readLine()).isEqualTo("MESSAGE 9 two|lines");
      assertThat(lines.readLine()).isEqualTo("PRIORITY 1 3");
      assertThat(lines.readLine()).startsWith("SYSLOG");
      assertThat(lines.readLine()).startsWith("LOGGER");
      assertThat(lines.readLine()).startsWith("THREAD_NAME");
      assertThat(lines.readLine())
          .startsWith("EXCEPTION")
          .contains("java.lang.IllegalStateException: broken|");
      assertThat(lines.readLine()).isEqualTo("end");

      log.warn("x".repeat(JournalAppender.MAX_FIELD_BYTES + 1));
      assertThat(lines.readLine()).startsWith("MESSAGE " + JournalAppender.MAX_FIELD_BYTES + " x");
      assertThat(lines.readLine()).isEqualTo("PRIORITY 1 4");
    } finally {
      receiver.destroyForcibly();
    }
  }

  @Test
  void withoutAJournal_thereIsNone() {
    assertThat(JournalAppender.of(Map.of())).isEmpty();
  }
}
