package io.pluresdb.storage.present;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class PresentKeysTest {
  private static final int MIN_MISSES = 10;

  private final AtomicLong memory = new AtomicLong();
  private final FakeTable table = new FakeTable();
  private final PresentKeys keys = new PresentKeys(table, MIN_MISSES, memory);

  /** Numbers as keys, and when they are read. */
  private static final class FakeTable implements PresentKeys.Table {
    final Set<Long> rows = new ConcurrentSkipListSet<>();
    final ReentrantLock committing = new ReentrantLock();
    final AtomicInteger reads = new AtomicInteger();
    volatile long more;
    volatile boolean broken;
    volatile CountDownLatch began = new CountDownLatch(1);
    volatile CountDownLatch go = new CountDownLatch(0);

    @Override
    public void read(Consumer<byte[]> to) {
      reads.incrementAndGet();
      List<Long> snapshot;
      committing.lock();
      try {
        snapshot = new ArrayList<>(rows);
      } finally {
        committing.unlock();
      }
      began.countDown();
      try {
        go.await();
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
      if (broken) {
        throw new IllegalStateException("closed");
      }
      snapshot.forEach(row -> to.accept(key(row)));
    }

    @Override
    public long estimatedRows() {
      return rows.size() + more;
    }
  }

  private static byte[] key(long number) {
    return ByteBuffer.allocate(Long.BYTES).putLong(number).array();
  }

  private void commit(long from, long to) {
    table.committing.lock();
    try {
      var put = new ArrayList<byte[]>();
      for (long row = from; row < to; row++) {
        put.add(key(row));
      }
      keys.put(put);
      for (long row = from; row < to; row++) {
        table.rows.add(row);
      }
    } finally {
      table.committing.unlock();
    }
  }

  private void miss(int times) {
    for (int i = 0; i < times; i++) {
      keys.missed();
    }
  }

  private void awaitComplete() {
    while (keys.filters() == 0) {
      Thread.onSpinWait();
    }
  }

  private long passing(long from, long to) {
    long passing = 0;
    for (long row = from; row < to; row++) {
      passing += keys.mayContain(key(row)) ? 1 : 0;
    }
    return passing;
  }

  @Test
  void fewMisses_readNothing() {
    commit(0, 20);
    miss(MIN_MISSES - 1);
    assertThat(table.reads).hasValue(0);
    assertThat(passing(1_000, 2_000)).isEqualTo(1_000);
    assertThat(memory).hasValue(0);
  }

  @Test
  void manyMisses_inATableWithFarMoreRows_readNothing() {
    table.more = 8 * MIN_MISSES;
    miss(2 * MIN_MISSES - 1);
    assertThat(table.reads).hasValue(0);
    miss(1);
    awaitComplete();
  }

  @Test
  void committedBeforeAndWhileReading_andAfter_isNeverDenied() throws InterruptedException {
    table.go = new CountDownLatch(1);
    commit(0, 1_000);
    miss(MIN_MISSES * 100);
    table.began.await();
    assertThat(keys.filters()).isZero();
    assertThat(passing(5_000, 6_000)).isEqualTo(1_000);
    commit(1_000, 2_000);
    table.go.countDown();
    awaitComplete();
    commit(2_000, 3_000);
    assertThat(passing(0, 3_000)).isEqualTo(3_000);
    assertThat(passing(3_000, 6_000)).isLessThan(100);
    assertThat(memory).hasValue(KeyFilter.bytes(PresentKeys.MIN_CAPACITY));
  }

  private void fill(long from, long to) {
    for (long row = from; row < to; row += 1_024) {
      commit(row, Math.min(to, row + 1_024));
    }
  }

  @Test
  void tableThatGrows_hasMoreFilters_andIsNotReadAgain() {
    miss(MIN_MISSES);
    awaitComplete();
    int rows = 4 * PresentKeys.MIN_CAPACITY;
    fill(0, rows);
    fill(0, rows); // What is there already takes no room.
    assertThat(keys.filters()).isEqualTo(3);
    assertThat(memory).hasValue(KeyFilter.bytes(9 * PresentKeys.MIN_CAPACITY));
    assertThat(passing(0, rows)).isEqualTo(rows);
    assertThat(passing(rows, 2L * rows) / (double) rows).isLessThan(0.06);
    assertThat(table.reads).hasValue(1);
  }

  @Test
  void tableOfWhichMostIsDeleted_isReadAgain_andDeniesNothingMeanwhile()
      throws InterruptedException {
    miss(MIN_MISSES);
    awaitComplete();
    table.began = new CountDownLatch(1);
    table.go = new CountDownLatch(1);
    int kept = 1_000;
    long row = 0;
    while (table.reads.get() < 2) {
      commit(row, row + kept);
      row += kept;
      long newest = row - kept;
      table.rows.removeIf(old -> old < newest);
    }
    table.began.await();
    long before = memory.get();
    commit(row, row + 10);
    assertThat(passing(row - kept, row + 10)).isEqualTo(kept + 10);
    table.go.countDown();
    while (memory.get() == before) {
      Thread.onSpinWait();
    }
    assertThat(memory).hasValue(KeyFilter.bytes(PresentKeys.MIN_CAPACITY));
    assertThat(passing(row - kept, row + 10)).isEqualTo(kept + 10);
    assertThat(passing(0, row - kept) / (double) row).isLessThan(0.03);
  }

  @Test
  void tooLargeForTheMemoryLeft_doesWithout() {
    memory.set(PresentKeys.MAX_BYTES - KeyFilter.bytes(PresentKeys.MIN_CAPACITY) + 1);
    long before = memory.get();
    miss(MIN_MISSES);
    assertThat(table.reads).hasValue(0);
    assertThat(memory).hasValue(before);
    assertThat(passing(0, 100)).isEqualTo(100);
    memory.set(0);
    miss(MIN_MISSES);
    assertThat(table.reads).hasValue(0);
  }

  @Test
  void tableThatCannotBeRead_orIsClosedMeanwhile_doesWithout_andKeepsNoMemory()
      throws InterruptedException {
    table.go = new CountDownLatch(1);
    table.broken = true;
    miss(MIN_MISSES);
    table.began.await();
    keys.forget();
    table.go.countDown();
    while (memory.get() != 0) {
      Thread.onSpinWait();
    }
    commit(0, 10);
    assertThat(passing(0, 100)).isEqualTo(100);
    miss(MIN_MISSES * 10);
    assertThat(table.reads).hasValue(1);
  }
}
