package io.pluresdb.daemon.replication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.transport.identity.DeviceId;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

class CopiesTest {
  private static final DeviceId ONE = DeviceId.of(key(1));
  private static final DeviceId TWO = DeviceId.of(key(2));

  private final Copies copies = new Copies();

  private static byte[] key(int first) {
    byte[] key = new byte[32];
    key[0] = (byte) first;
    return key;
  }

  @Test
  void write_isCountedOnceForEachDevice_thatHasEverythingUpToIt() {
    CompletableFuture<Integer> one = copies.await(7, 1);
    CompletableFuture<Integer> both = copies.await(7, 2);
    copies.reached(Map.of(ONE, 6L, TWO, 6L));
    assertThat(one).isNotDone();
    copies.reached(Map.of(ONE, 7L));
    copies.reached(Map.of(ONE, 9L));
    assertThat(one).isCompletedWithValue(1);
    assertThat(both).isNotDone();
    assertThat(copies.isAwaited()).isTrue();
    copies.reached(Map.of(TWO, 8L));
    assertThat(both).isCompletedWithValue(2);
    assertThat(copies.isAwaited()).isFalse();
  }

  @Test
  void moreThanMayWait_areRefused_untilSomeGiveUp() {
    List<CompletableFuture<Integer>> all = new ArrayList<>();
    for (int i = 0; i < Copies.MAX_WAITING; i++) {
      all.add(copies.await(1, 1));
    }
    assertThatThrownBy(() -> copies.await(1, 1))
        .isInstanceOf(CoreException.class)
        .hasMessageContaining("10000 writes wait");
    all.get(5_000).cancel(false);
    assertThat(copies.await(1, 1)).isNotDone();
    assertThatThrownBy(() -> copies.await(1, 1)).isInstanceOf(CoreException.class);
    copies.close();
    assertThat(all).allMatch(CompletableFuture::isDone);
    assertThat(copies.await(1, 1)).isNotDone();
  }
}
