package io.pluresdb.harness.bench;

import java.lang.management.ManagementFactory;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/** What is done before anything is measured. */
final class WarmUp {
  private static final int MAX_ROUNDS = 12;

  /** Of the time of one processor. */
  private static final double MAX_COMPILING = 0.05;

  private WarmUp() {}

  /** What will be measured, for a second or so; its number is from 0. */
  interface Round<E extends Exception> {
    void run(int number) throws E;
  }

  /**
   * Repeats a round until the compilers of the JVM have little left to do: a daemon runs for
   * months, and they take a processor for its first ten to twenty seconds.
   */
  static <E extends Exception> void run(Round<E> round) throws E {
    run(WarmUp::compilingMillis, round);
  }

  /** The same, of processes that have compiled for so many milliseconds together. */
  static <E extends Exception> void run(LongSupplier compilingMillis, Round<E> round) throws E {
    double busy = 1;
    for (int i = 0; i < MAX_ROUNDS && busy > MAX_COMPILING; i++) {
      long compiled = compilingMillis.getAsLong();
      long begun = System.nanoTime();
      round.run(i);
      long millis = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begun);
      busy = (double) (compilingMillis.getAsLong() - compiled) / Math.max(1, millis);
    }
  }

  /** How long the compilers of this JVM have worked. */
  static long compilingMillis() {
    return ManagementFactory.getCompilationMXBean().getTotalCompilationTime();
  }
}
