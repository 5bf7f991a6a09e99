package io.pluresdb.harness.bench;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * The end of what a measurement leaves to be done: files that are merged and buckets that are added
 * up when nothing is written must not fall on whatever is measured next.
 */
final class Settle {
  private static final long MAX_NANOS = TimeUnit.SECONDS.toNanos(30);

  /** Longer than it takes a store to find that nothing is written. */
  private static final long WINDOW_NANOS = TimeUnit.SECONDS.toNanos(3);

  /** Processors that are as good as none. */
  private static final double IDLE = 0.05;

  private Settle() {}

  /** Waits until this process hardly does anything, half a minute at most. */
  static void await() {
    var system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
    long end = System.nanoTime() + MAX_NANOS;
    double busy = 1;
    while (busy > IDLE && System.nanoTime() < end) {
      long begun = System.nanoTime();
      long used = system.getProcessCpuTime();
      for (long left = WINDOW_NANOS; left > 0; left = WINDOW_NANOS - (System.nanoTime() - begun)) {
        LockSupport.parkNanos(left);
      }
      busy = (double) (system.getProcessCpuTime() - used) / (System.nanoTime() - begun);
    }
  }
}
