package io.pluresdb.daemon.service;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Whoever started the daemon, if it wants to hear how it is: systemd with {@code Type=notify} and
 * {@code WatchdogSec=}. Without one, nothing happens.
 */
public final class ServiceManager implements AutoCloseable {
  /** A watchdog wants to hear within its time; asked this many times in it, one may be late. */
  private static final int PINGS_PER_TIMEOUT = 3;

  private static final Logger log = LoggerFactory.getLogger(ServiceManager.class);

  private final @Nullable UnixDatagrams socket;
  private final @Nullable Duration watchdog;
  private final Supplier<CompletableFuture<?>> pulse;
  private @Nullable ScheduledExecutorService pinging;
  private CompletableFuture<?> answer = CompletableFuture.completedFuture(null);

  /**
   * @param environment {@code NOTIFY_SOCKET}, {@code WATCHDOG_USEC} and {@code WATCHDOG_PID} of it
   *     are read
   * @param pulse ends when everything that must not hang has answered
   */
  public ServiceManager(Map<String, String> environment, Supplier<CompletableFuture<?>> pulse) {
    this.pulse = pulse;
    this.socket = socket(environment.getOrDefault("NOTIFY_SOCKET", ""));
    this.watchdog = socket == null ? null : watchdog(environment);
  }

  private static @Nullable UnixDatagrams socket(String path) {
    try {
      return path.isEmpty() ? null : new UnixDatagrams(path);
    } catch (IOException e) {
      log.warn("the service manager will not hear of this daemon: {}", e.getMessage());
      return null;
    }
  }

  private static @Nullable Duration watchdog(Map<String, String> environment) {
    String micros = environment.getOrDefault("WATCHDOG_USEC", "");
    String pid = environment.getOrDefault("WATCHDOG_PID", "");
    if (micros.isEmpty()
        || (!pid.isEmpty() && !pid.equals(Long.toString(ProcessHandle.current().pid())))) {
      return null;
    }
    try {
      long value = Long.parseLong(micros);
      if (value > 0) {
        return Duration.of(value, java.time.temporal.ChronoUnit.MICROS);
      }
    } catch (NumberFormatException e) {
      // Said below.
    }
    log.warn("WATCHDOG_USEC must be a number of microseconds above 0, but is {}", micros);
    return null;
  }

  /** The daemon takes requests; from now on the watchdog is told while it is well. */
  public void ready(String status) {
    tell("READY=1\nSTATUS=" + status);
    if (watchdog != null && pinging == null) {
      long nanos = watchdog.toNanos() / PINGS_PER_TIMEOUT;
      pinging =
          Executors.newSingleThreadScheduledExecutor(
              Thread.ofPlatform().daemon().name("watchdog").factory());
      var _ = pinging.scheduleAtFixedRate(this::ping, 0, nanos, TimeUnit.NANOSECONDS);
    }
  }

  /**
   * Runs what reads the configuration again; the manager hears that it began and that it ended
   * (systemd.service(5), {@code ExecReload=}).
   *
   * @param reloading returns what it came to, in a line
   */
  public void reload(Supplier<String> reloading) {
    // Microseconds of CLOCK_MONOTONIC, which is what the JVM counts on Linux.
    tell("RELOADING=1\nMONOTONIC_USEC=" + TimeUnit.NANOSECONDS.toMicros(System.nanoTime()));
    tell("READY=1\nSTATUS=" + reloading.get());
  }

  /** Says that the daemon is well, if it is: while one question is unanswered, no other is put. */
  private void ping() {
    if (answer.isDone()) {
      answer = pulse.get().thenRun(() -> tell("WATCHDOG=1"));
    }
  }

  /** Stopping has begun and takes seconds. */
  @Override
  public void close() {
    if (pinging != null) {
      pinging.shutdownNow();
    }
    tell("STOPPING=1");
  }

  private void tell(String state) {
    if (socket == null) {
      return;
    }
    try {
      socket.send(state.getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      log.warn("the service manager cannot be told: {}", e.getMessage());
    }
  }
}
