package io.pluresdb.daemon.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.store.CrdtStore;
import java.lang.reflect.Proxy;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class WatchersTest {
  private static final int SECONDS = 20;

  /** A store that is subscribed to once {@code looked} is open, and commits nothing afterwards. */
  private static CrdtStore storeWithoutCommits(CountDownLatch looked) {
    CrdtStore.Subscription none = () -> {};
    return (CrdtStore)
        Proxy.newProxyInstance(
            CrdtStore.class.getClassLoader(),
            new Class<?>[] {CrdtStore.class},
            (proxy, method, arguments) ->
                switch (method.getName()) {
                  case "subscribe" -> {
                    looked.await();
                    yield none;
                  }
                  case "hashCode" -> 0;
                  case "equals" -> true; // There is no other.
                  default -> throw new UnsupportedOperationException(method.getName());
                });
  }

  @Test
  @Timeout(3 * SECONDS)
  void commitBeforeTheFirstSubscription_isLookedForOnceThereIsOne() throws InterruptedException {
    var looked = new CountDownLatch(1);
    CrdtStore store = storeWithoutCommits(looked);
    var watchers = new Watchers();
    var watcher = new Semaphore(0);
    watchers.join(store, watcher);
    assertThat(watcher.tryAcquire(SECONDS, TimeUnit.SECONDS)).as("looks once").isTrue();
    // Here somebody commits, and nobody is told.
    looked.countDown();
    assertThat(watcher.tryAcquire(SECONDS, TimeUnit.SECONDS)).as("looks again").isTrue();
    watchers.leave(store, watcher);
  }
}
