package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.compaction.CompactionSettings;
import io.pluresdb.crdt.compaction.StableCut.Standing;
import io.pluresdb.crdt.compaction.Stand;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.store.Transaction;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Stands, cuts and what leaves the log, on engines. */
class CompactionTest {
  private static final long LEASE = 3_600_000;
  private static final CompactionSettings AT_ONCE = new CompactionSettings(LEASE, 0);

  private Device a;
  private Device b;
  private Device c;

  @BeforeEach
  void devices() {
    a = Device.founder(1);
    b = a.join(2);
    c = a.join(3);
    a.sync(b);
    a.sync(c);
    for (Device device : List.of(a, b, c)) {
      device.engine.remember(AT_ONCE);
    }
  }

  /** Both are connected for some minutes. */
  private static void meet(Device one, Device other) {
    Device.Wire wire = one.connect(other);
    wire.settle();
    for (int i = 0; i < 5; i++) {
      one.wallMillis = Math.max(one.wallMillis, other.wallMillis);
      other.wallMillis = one.wallMillis;
      one.pass(61_000);
      other.pass(61_000);
      wire.settle();
    }
    assertThat(wire.closed()).isFalse();
    wire.cut();
  }

  private static void compact(Device device) {
    var done = new boolean[1];
    device.engine.compactNow(() -> done[0] = true);
    device.turns();
    assertThat(done[0]).isTrue();
  }

  private static Standing standing(Device at, Device of) {
    return at.engine.compaction().cut().members().stream()
        .filter(member -> Arrays.equals(member.device(), of.signer.publicKey()))
        .findFirst()
        .orElseThrow()
        .standing();
  }

  @Test
  void log_isCutWhereEverybodyStands_alsoThoseWhoNeverMeet() {
    for (int i = 0; i < 20; i++) {
      a.put("d" + i, "{}");
    }
    meet(a, b);
    compact(a);
    assertThat(SnapshotTest.rows(a, Table.LOG)).as("c is known to have nothing").isEqualTo(20);
    meet(b, c);
    meet(a, b);
    compact(a);
    assertThat(SnapshotTest.rows(a, Table.LOG)).as("told by b").isZero();
    assertThat(SnapshotTest.rows(a, Table.ARRIVAL)).isZero();
    a.put("more", "{}");
    meet(a, b);
    compact(a);
    assertThat(SnapshotTest.rows(a, Table.LOG)).as("c does not have it").isEqualTo(1);
    var holder = Objects.requireNonNull(a.engine.compaction().cut().holdingBack(), "holder");
    assertThat(holder.device()).isEqualTo(c.signer.publicKey());
    assertThat(holder.behind()).isEqualTo(1);
    a.sync(c);
    a.assertEquals(c);
    assertThat(c.engine.snapshots().joined()).as("nobody needed a snapshot").isZero();
  }

  @Test
  void stand_saysOnlyWhatIsOnDisk_alsoAfterRelaxedWrites() {
    for (int i = 0; i < 3; i++) {
      var edits = List.<Edit>of(Edit.put("d" + i, "{}".getBytes(StandardCharsets.UTF_8)));
      a.engine.submit(
          new Transaction(edits, Transaction.Acknowledgement.RELAXED), (receipt, failure) -> {});
      a.engine.turn(false);
    }
    Device.Wire wire = a.connect(b);
    for (int i = 0; i < 2; i++) {
      a.pass(61_000);
      wire.settle();
    }
    ActorId own = Objects.requireNonNull(a.engine.replica().ownActor(), "actor");
    Stand stand = Objects.requireNonNull(b.engine.replica().stands().of(a.signer.publicKey()));
    assertThat(stand.seq(own)).isEqualTo(3);
    a.crash();
    assertThat(a.view().frontier().seq(own)).isEqualTo(3);
  }

  @Test
  void log_isKeptForItsTime() {
    a.engine.remember(new CompactionSettings(LEASE, 1_500_000));
    a.put("d", "{}");
    meet(a, b);
    meet(b, c);
    meet(a, b);
    a.put("young", "{}");
    meet(a, b);
    meet(b, c);
    meet(a, b);
    compact(a);
    assertThat(SnapshotTest.rows(a, Table.LOG)).isEqualTo(1);
    a.wallMillis += 1_500_000;
    compact(a);
    assertThat(SnapshotTest.rows(a, Table.LOG)).isZero();
  }

  @Test
  void replica_compactsByItself_andGoesOnAfterARestart() {
    a.put("d", "{}");
    meet(a, b);
    meet(b, c);
    meet(a, b);
    for (int i = 0; i < Compaction.TICKS_BETWEEN_CUTS; i++) {
      a.pass(1_000);
    }
    assertThat(SnapshotTest.rows(a, Table.LOG)).isZero();
    var floor = a.engine.replica().log().floor();
    var cut = a.engine.compaction().cut();
    a.restart();
    a.engine.remember(AT_ONCE);
    assertThat(a.engine.replica().log().floor()).isEqualTo(floor);
    assertThat(a.engine.compaction().cut().seqs()).isEqualTo(cut.seqs());
    a.put("e", "{}");
    a.sync(b);
    a.assertEquals(b);
  }

  @Test
  void memberAwayBeyondItsLease_returnsAsANewActor_withAllItWrote() {
    meet(a, b);
    meet(a, c);
    c.put("before", "{}");
    meet(a, c);
    meet(a, b);
    ActorId old = c.engine.replica().ownActor();
    c.put("unsent", "{\"c\":1}");
    c.patch("before", "{\"c\":1}");
    for (int i = 0; i < 80; i++) {
      a.put("d" + i, "{}");
      meet(a, b);
    }
    compact(a);
    compact(b);
    assertThat(standing(a, c)).isEqualTo(Standing.EXPIRED);
    assertThat(SnapshotTest.rows(a, Table.LOG)).isZero();
    c.wallMillis = a.wallMillis;
    c.put("also unsent", "{}");
    compact(c);
    meet(a, c);
    a.assertEquals(c);
    assertThat(c.engine.snapshots().joined()).isEqualTo(1);
    assertThat(a.json("unsent")).isEqualTo("{\"c\":1}");
    assertThat(a.json("before")).isEqualTo("{\"c\":1}");
    assertThat(a.json("also unsent")).isEqualTo("{}");
    assertThat(standing(a, c)).isEqualTo(Standing.ACTIVE);
    c.put("after", "{}");
    assertThat(c.engine.replica().ownActor()).isNotEqualTo(old);
    meet(a, c);
    meet(a, b);
    a.assertEquals(c);
    a.assertEquals(b);
  }

  @Test
  void backupFromBeforeTheCut_joinsBySnapshot_underANewActor() {
    c.put("early", "{}");
    meet(a, c);
    var backup = c.storage.copy();
    c.put("late", "{}");
    a.put("of a", "{}");
    meet(a, c);
    meet(a, b);
    meet(a, c);
    compact(a);
    assertThat(SnapshotTest.rows(a, Table.LOG)).as("c said that it had all").isZero();
    ActorId old = c.engine.replica().ownActor();
    c.storage = backup;
    c.crash();
    c.engine.remember(AT_ONCE);
    c.put("new", "{}");
    meet(a, c);
    a.assertEquals(c);
    assertThat(c.json("late")).isEqualTo("{}");
    assertThat(a.json("new")).isEqualTo("{}");
    assertThat(c.engine.replica().ownActor()).isNotEqualTo(old);
    assertThat(c.engine.snapshots().joined()).isEqualTo(1);
  }

  @Test
  void newDevice_joinsAReplicaWithoutALog() {
    for (int i = 0; i < 30; i++) {
      a.put("d" + i, "{}");
    }
    meet(a, b);
    meet(a, c);
    meet(a, b);
    meet(a, c);
    compact(a);
    Device d = a.join(4);
    d.wallMillis = a.wallMillis;
    meet(a, d);
    a.assertEquals(d);
    assertThat(d.engine.snapshots().joined()).isEqualTo(1);
    compact(a);
    assertThat(a.engine.compaction().cut().holdingBack()).isNull();
  }
}
