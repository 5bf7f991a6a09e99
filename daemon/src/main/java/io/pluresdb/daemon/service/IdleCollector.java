package io.pluresdb.daemon.service;

import com.sun.management.HotSpotDiagnosticMXBean;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * Collects the garbage of a busy time once it is over, so that its memory goes back to the system:
 * while nothing is allocated, the JVM does not collect by itself, and an import leaves ten times
 * what is in use.
 *
 * <p>Not thread-safe.
 */
public final class IdleCollector {
  /** How often {@link #look} is meant to be called; with no collection in between, it was quiet. */
  public static final Duration INTERVAL = Duration.ofSeconds(30);

  /** Collections since ours from which on a time was a busy one. */
  static final int BUSY = 16;

  private static final String LEAST_FREE = "MinHeapFreeRatio";
  private static final String MOST_FREE = "MaxHeapFreeRatio";
  private static final String QUIET_FREE_PERCENT = "20";

  private final LongSupplier collections;
  private final Runnable collect;
  private long seen;
  private long done;

  public IdleCollector() {
    this(IdleCollector::collectionsOfTheJvm, IdleCollector::giveBack);
  }

  /**
   * @param collections how many there were so far, of whatever kind
   */
  IdleCollector(LongSupplier collections, Runnable collect) {
    this.collections = collections;
    this.collect = collect;
  }

  /** Collects if it is quiet after a busy time; it takes some tens of milliseconds then. */
  public void look() {
    long now = collections.getAsLong();
    if (now == seen && now - done >= BUSY) {
      collect.run();
      now = collections.getAsLong();
      done = now;
    }
    seen = now;
  }

  /** Keeps less of the heap in reserve than a busy daemon needs, this once. */
  private static void giveBack() {
    var jvm = ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class);
    String least = jvm.getVMOption(LEAST_FREE).getValue();
    String most = jvm.getVMOption(MOST_FREE).getValue();
    jvm.setVMOption(LEAST_FREE, "0");
    jvm.setVMOption(MOST_FREE, QUIET_FREE_PERCENT);
    System.gc();
    jvm.setVMOption(MOST_FREE, most);
    jvm.setVMOption(LEAST_FREE, least);
  }

  private static long collectionsOfTheJvm() {
    return ManagementFactory.getGarbageCollectorMXBeans().stream()
        .mapToLong(GarbageCollectorMXBean::getCollectionCount)
        .sum();
  }
}
