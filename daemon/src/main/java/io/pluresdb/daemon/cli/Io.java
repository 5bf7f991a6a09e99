package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.service.IdleCollector;
import java.io.InputStream;
import java.io.PrintStream;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * The world of one run of the command line; {@link Main} builds the real one.
 *
 * @param terminal whether standard error is a terminal: then it may show progress and colours
 * @param screen whether standard output is one: then it may be drawn over
 * @param prompt asks a person for a password without showing it
 * @param clock wall clock
 * @param random source of the API token; cryptographically strong
 * @param started when this process started
 * @param stop at zero, a command that goes on by itself ends as soon as it can
 */
record Io(
    InputStream in,
    PrintStream out,
    PrintStream err,
    Map<String, String> environment,
    boolean terminal,
    boolean screen,
    Prompt prompt,
    InstantSource clock,
    RandomGenerator random,
    Instant started,
    CountDownLatch stop) {
  /** Whether a command that goes on by itself was told to end. */
  boolean stopping() {
    return stop.getCount() == 0;
  }

  /** Returns when it is told to end, or this thread is interrupted; tends to the heap meanwhile. */
  void awaitStop() {
    var collector = new IdleCollector();
    try {
      while (!stop.await(IdleCollector.INTERVAL.toMillis(), TimeUnit.MILLISECONDS)) {
        collector.look();
      }
    } catch (InterruptedException e) {
      // Told to end.
    }
  }

  /** How a person is asked for a password. */
  interface Prompt {
    /** Nobody can be asked. */
    Prompt NONE = question -> null;

    /** What was typed, or null where nobody can be asked. */
    @Nullable String ask(String question);
  }
}
