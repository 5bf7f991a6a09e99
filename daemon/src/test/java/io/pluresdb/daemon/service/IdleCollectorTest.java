package io.pluresdb.daemon.service;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.HotSpotDiagnosticMXBean;
import java.lang.management.ManagementFactory;
import java.lang.ref.WeakReference;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class IdleCollectorTest {
  private final AtomicLong collections = new AtomicLong();
  private int own;
  private final IdleCollector collector =
      new IdleCollector(
          collections::get,
          () -> {
            own++;
            collections.incrementAndGet();
          });

  private void look(int collectionsBefore) {
    collections.addAndGet(collectionsBefore);
    collector.look();
  }

  @Test
  void look_whenABusyTimeIsOver_collectsOnce() {
    look(100);
    look(1);
    assertThat(own).isZero();
    look(0);
    assertThat(own).isOne();
    look(0);
    look(0);
    assertThat(own).isOne();
  }

  @Test
  void look_afterLessThanABusyTime_leavesItBe() {
    look(IdleCollector.BUSY - 1);
    look(0);
    assertThat(own).isZero();
    look(1);
    look(0);
    assertThat(own).isOne();
    look(IdleCollector.BUSY - 1);
    look(0);
    assertThat(own).isOne();
    look(1);
    look(0);
    assertThat(own).isEqualTo(2);
  }

  @Test
  @Timeout(60)
  void look_inThisJvm_collects() {
    String least = option("MinHeapFreeRatio");
    String most = option("MaxHeapFreeRatio");
    for (int i = 0; i < IdleCollector.BUSY; i++) {
      System.gc();
    }
    var collector = new IdleCollector();
    var unused = new WeakReference<>(new Object());
    while (unused.get() != null) {
      collector.look();
    }
    assertThat(unused.get()).isNull();
    assertThat(option("MinHeapFreeRatio")).isEqualTo(least);
    assertThat(option("MaxHeapFreeRatio")).isEqualTo(most);
  }

  private static String option(String name) {
    return ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class)
        .getVMOption(name)
        .getValue();
  }
}
