package io.pluresdb.daemon.node;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.store.Transaction.Acknowledgement;
import io.pluresdb.daemon.Eventually;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/** Writes that are waited for until other devices have them too. */
class CopiesTest extends LocalNodes {
  private static final Duration LONG = Duration.ofSeconds(30);
  private static final Duration SHORT = Duration.ofMillis(200);

  private static CrdtStore.Receipt write(DeviceNode node, String id) {
    Edit edit = Edit.put(id, "1".getBytes(StandardCharsets.UTF_8));
    return CrdtStore.await(
        node.store(DB).submit(new Transaction(List.of(edit), Acknowledgement.LOCAL)));
  }

  private static int await(DeviceNode node, CrdtStore.Receipt write, int copies, Duration wait) {
    return CrdtStore.await(node.awaitCopies(DB, write, copies, wait));
  }

  @Test
  void write_ofAConnectedDevice_isThereWhenItWasWaitedFor() {
    DeviceNode a = start("a");
    DeviceNode b = start("b");
    join(a, b);
    a.requireCopies(DB, 1);
    for (int i = 0; i < 50; i++) {
      assertThat(await(a, write(a, "d" + i), 1, LONG)).isEqualTo(1);
      assertThat(has(b, "d" + i)).isTrue();
    }
    // What it has had for long is no reason to wait.
    CrdtStore.Receipt last = write(a, "last");
    assertThat(await(a, last, 1, LONG)).isEqualTo(1);
    assertThat(await(a, last, 1, LONG)).isEqualTo(1);
  }

  @Test
  void write_whileTheOtherIsAway_standsAndIsSaidToBeHereOnly() {
    DeviceNode a = start("a");
    DeviceNode b = start("b");
    join(a, b);
    awaitEqual(a, b);
    stop(b);
    CrdtStore.Receipt write = write(a, "alone");
    assertThatThrownBy(() -> await(a, write, 1, SHORT))
        .isInstanceOf(NodeException.class)
        .hasMessageContaining("kept here")
        .extracting("code")
        .isEqualTo("NODE_NOT_REPLICATED");
    assertThat(has(a, "alone")).isTrue();
    CompletableFuture<Integer> later = a.awaitCopies(DB, write, 1, LONG);
    DeviceNode again = start("b");
    assertThat(CrdtStore.await(later)).isEqualTo(1);
    assertThat(has(again, "alone")).isTrue();
  }

  @Test
  void devices_thatHadItAndLeft_countToo() {
    DeviceNode a = start("a");
    DeviceNode b = start("b");
    DeviceNode c = start("c");
    join(a, b);
    join(a, c);
    awaitEqual(a, b, c);
    stop(c);
    CrdtStore.Receipt write = write(a, "one after another");
    CompletableFuture<Integer> both = a.awaitCopies(DB, write, 2, LONG);
    await(a, write, 1, LONG);
    stop(b);
    assertThat(both).isNotDone();
    start("c");
    assertThat(CrdtStore.await(both)).isEqualTo(2);
  }

  @Test
  void device_thatHoldsAPrefix_doesNotCount() {
    DeviceNode a = start("a");
    DeviceNode b = start("b");
    CrdtStore.await(b.join(DB, invite(a), List.of("note:")));
    CrdtStore.Receipt write = write(a, "note:1");
    Eventually.await("the note at the other", () -> has(b, "note:1"));
    assertThatThrownBy(() -> await(a, write, 1, SHORT)).isInstanceOf(NodeException.class);
  }

  @Test
  void moreCopies_thanThereAreOtherDevices_areRefused() {
    DeviceNode a = start("a");
    assertThatThrownBy(() -> a.requireCopies(DB, 1))
        .isInstanceOf(NodeException.class)
        .hasMessageContaining("which is 0, but is 1");
    DeviceNode alone = openOffline("alone");
    assertThatThrownBy(() -> alone.requireCopies(DB, 1))
        .isInstanceOf(NodeException.class)
        .extracting("code")
        .isEqualTo("NODE_OFFLINE");
  }
}
