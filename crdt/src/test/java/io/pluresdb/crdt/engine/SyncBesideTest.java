package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.store.Anchor;
import io.pluresdb.crdt.store.CrdtStore.Receipt;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.MemoryStorage;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.store.Transaction.Acknowledgement;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Commits that are synced while the engine goes on; the test decides when. */
class SyncBesideTest {
  private static final int MIN = 3;

  private final ArrayDeque<Runnable> syncs = new ArrayDeque<>();
  private final List<Receipt> receipts = new ArrayList<>();
  private final List<RuntimeException> failures = new ArrayList<>();
  private int wakes;
  private int told;
  private Device device;

  @BeforeEach
  void device() {
    device = Device.founder(1);
    device.put("first", "1");
    device.helpers = new ReplicaEngine.Helpers(Runnable::run, syncs::add, MIN, () -> wakes++);
    device.restart();
    device.engine.subscribe(() -> told++);
  }

  private void submit(Acknowledgement acknowledgement, List<String> ids) {
    for (String id : ids) {
      device.engine.submit(
          new Transaction(
              List.of(Edit.put(id, "{\"n\":1}".getBytes(StandardCharsets.UTF_8))), acknowledgement),
          (receipt, failure) -> {
            if (receipt != null) {
              receipts.add(receipt);
            } else if (failure != null) {
              failures.add(failure);
            }
          });
    }
  }

  private void submit(String... ids) {
    submit(Acknowledgement.LOCAL, List.of(ids));
  }

  @Test
  void manyWrites_areAcknowledgedOnceSynced_whileTheNextAreWritten() {
    submit("a", "b", "c");
    device.engine.turn(true);
    assertThat(device.json("c")).isEqualTo("{\"n\":1}");
    assertThat(receipts).isEmpty();
    assertThat(device.storage.unsyncedCommits()).isEqualTo(1);
    submit("d", "e", "f", "g");
    device.engine.turn(true);
    assertThat(device.json("g")).isEqualTo("{\"n\":1}");
    assertThat(syncs).hasSize(1);
    syncs.remove().run();
    // One sync for both.
    assertThat(receipts).hasSize(7);
    assertThat(device.storage.unsyncedCommits()).isZero();
    assertThat(wakes).isEqualTo(1);
    device.engine.turn(true);
    assertThat(syncs).isEmpty();
  }

  @Test
  void fewWrites_areSyncedAtOnce_orWaitForThoseBeforeThem() {
    submit("a");
    device.engine.turn(true);
    assertThat(receipts).hasSize(1);
    assertThat(device.storage.unsyncedCommits()).isZero();
    submit("b", "c", "d");
    device.engine.turn(true);
    submit("e");
    device.engine.turn(true);
    assertThat(device.get("e")).isNull();
    syncs.remove().run();
    device.engine.turn(true);
    assertThat(receipts).hasSize(5);
    assertThat(device.get("e")).isNotNull();
  }

  @Test
  void fewWrites_behindMany_areSyncedBesideToo_untilNoMoreCome() {
    submit("a", "b", "c", "d", "e", "f");
    device.engine.turn(true);
    syncs.remove().run();
    submit("g");
    device.engine.turn(true);
    assertThat(device.storage.unsyncedCommits()).isEqualTo(1);
    syncs.remove().run();
    assertThat(receipts).hasSize(7);
    submit("h");
    device.engine.turn(true);
    assertThat(syncs).isEmpty();
    assertThat(receipts).hasSize(8);
    assertThat(device.storage.unsyncedCommits()).isZero();
  }

  @Test
  void listeners_areToldOfWhatIsOnDisk() {
    long before = device.engine.followable();
    submit("a", "b", "c");
    device.engine.turn(true);
    assertThat(told).isZero();
    assertThat(device.engine.followable()).isEqualTo(before);
    syncs.remove().run();
    device.engine.turn(true);
    assertThat(told).isEqualTo(1);
    assertThat(device.engine.followable()).isEqualTo(device.view().arrivals());
  }

  @Test
  void powerLoss_beforeTheSync_takesNothingAcknowledged_andTheActorGoesOn() {
    var actor = device.engine.replica().ownActor();
    submit("a", "b", "c");
    device.engine.turn(true);
    syncs.remove().run();
    device.engine.turn(true);
    submit("d", "e", "f");
    device.engine.turn(true);
    assertThat(receipts).hasSize(3);
    device.crash();
    assertThat(device.get("c")).isNotNull();
    assertThat(device.get("d")).isNull();
    assertThat(device.engine.replica().ownActor()).isEqualTo(actor);
    submit("d", "e", "f");
    device.engine.turn(true);
    syncs.getLast().run();
    assertThat(receipts).hasSize(6);
  }

  @Test
  void anchor_isNotAheadOfTheDisk() {
    submit("a", "b", "c");
    device.engine.turn(true);
    assertThat(anchored()).isEqualTo(1);
    syncs.remove().run();
    assertThat(anchored()).isEqualTo(4);
  }

  private long anchored() {
    return device.anchor.read() instanceof Anchor.Reading.Valid(var mark) ? mark.seq() : 0;
  }

  @Test
  void session_waitsForTheDisk() {
    Device other = device.join(2);
    submit("a", "b", "c");
    device.engine.turn(true);
    assertThat(device.storage.unsyncedCommits()).isEqualTo(1);
    var wire = device.connect(other);
    assertThat(device.storage.unsyncedCommits()).isZero();
    assertThat(receipts).hasSize(3);
    submit("d", "e", "f");
    device.engine.turn(true);
    // With a session every commit is synced before it ends.
    assertThat(receipts).hasSize(6);
    wire.settle();
    device.assertEquals(other);
    // What was to be synced is synced; a late call does nothing.
    syncs.forEach(Runnable::run);
    assertThat(receipts).hasSize(6);
  }

  @Test
  void tick_waitsForTheDisk() {
    submit("a", "b", "c");
    device.engine.turn(true);
    device.engine.tick();
    assertThat(receipts).hasSize(3);
    assertThat(told).isEqualTo(1);
  }

  @Test
  void settling_whileAnotherThreadSyncs_leavesNothing() throws Exception {
    Thread loop = Thread.currentThread();
    var entered = new CountDownLatch(1);
    var go = new CountDownLatch(1);
    var settled = new CountDownLatch(1);
    var synced = new ArrayList<Integer>();
    try (var thread = Executors.newSingleThreadExecutor()) {
      Runnable wake =
          () -> {
            if (!isSame(Thread.currentThread(), loop)) {
              await(settled);
            }
          };
      var beside = new SyncBeside(device.engine.replica(), thread, wake);
      beside.add(
          new SyncBeside.Written(
              entered::countDown,
              1,
              failure -> {
                await(go);
                synced.add(1);
              }));
      entered.await();
      beside.add(new SyncBeside.Written(() -> {}, 2, failure -> synced.add(2)));
      Thread.startVirtualThread(
          () -> {
            while (loop.getState() != Thread.State.WAITING) {
              Thread.onSpinWait();
            }
            go.countDown();
          });
      // Waits for the first sync, and makes the second itself: the other thread is held up.
      beside.settle();
      List<Integer> done = List.copyOf(synced);
      settled.countDown();
      assertThat(done).containsExactly(1, 2);
    }
  }

  @SuppressWarnings("ReferenceEquality")
  private static boolean isSame(Thread a, Thread b) {
    return a == b;
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Test
  void failedSync_acknowledgesNothing_andStops() {
    device.storage.failNextSync(MemoryStorage.Fault.SYNC_FAILED);
    submit("a", "b", "c");
    device.engine.turn(true);
    submit("d", "e", "f");
    device.engine.turn(true);
    submit("g");
    syncs.remove().run();
    assertThat(receipts).isEmpty();
    assertThat(failures).hasSize(6);
    device.engine.turn(true);
    assertThat(device.engine.broken()).isInstanceOf(StorageException.Failed.class);
    assertThat(failures).hasSize(7);
    assertThat(told).isZero();
    submit("h");
    assertThat(failures).hasSize(8);
  }

  @Test
  void relaxedWrites_amongThem_areSyncedWithThem() {
    submit("a", "b", "c");
    device.engine.turn(true);
    submit("d", "e");
    submit(Acknowledgement.RELAXED, List.of("f"));
    device.engine.turn(true);
    assertThat(receipts).hasSize(6);
    assertThat(device.storage.unsyncedCommits()).isZero();
  }
}
