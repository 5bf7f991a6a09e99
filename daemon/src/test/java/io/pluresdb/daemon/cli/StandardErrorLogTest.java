package io.pluresdb.daemon.cli;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.spi.Configurator;
import ch.qos.logback.classic.spi.LoggingEvent;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ServiceLoader;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class StandardErrorLogTest {
  private static final Instant AT = Instant.parse("2026-03-01T12:30:15.007Z");

  private final LoggerContext context = new LoggerContext();

  private String line(Level level, String message, @Nullable Throwable thrown) {
    var line = new StandardErrorLog.Line(ZoneOffset.ofHours(2));
    line.setContext(context);
    line.start();
    var event =
        new LoggingEvent(
            "", context.getLogger("io.pluresdb.daemon.Example"), level, message, thrown, null);
    event.setInstant(AT);
    return new String(line.encode(event), StandardCharsets.UTF_8);
  }

  @Test
  void event_isOneLine() {
    assertThat(line(Level.INFO, "listening port=1", null))
        .isEqualTo("2026-03-01T14:30:15.007+02:00 INFO  Example listening port=1\n");
    assertThat(line(Level.ERROR, "stopped", null)).contains(" ERROR Example stopped\n");
  }

  @Test
  void whatWasThrown_followsItsLine() {
    assertThat(line(Level.WARN, "failed", new IllegalStateException("disk")))
        .startsWith("2026-03-01T14:30:15.007+02:00 WARN  Example failed\n")
        .contains("java.lang.IllegalStateException: disk\n\tat ");
  }

  @Test
  void logback_findsItAsAService() {
    assertThat(ServiceLoader.load(Configurator.class))
        .hasExactlyElementsOfTypes(StandardErrorLog.class);
  }

  @Test
  void configured_warnsAndIsQuietOtherwise() {
    var log = new StandardErrorLog();
    log.setContext(context);
    assertThat(log.configure(context))
        .isEqualTo(Configurator.ExecutionStatus.DO_NOT_INVOKE_NEXT_IF_ANY);
    assertThat(context.getLogger("io.pluresdb").isWarnEnabled()).isTrue();
    assertThat(context.getLogger("io.pluresdb").isInfoEnabled()).isFalse();
    context.getLogger("ROOT").setLevel(Level.DEBUG);
    assertThat(context.getLogger("io.netty.channel").isInfoEnabled()).isFalse();
  }
}
