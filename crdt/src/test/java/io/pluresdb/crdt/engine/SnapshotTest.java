package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Finding;
import io.pluresdb.crdt.store.Inspection;
import io.pluresdb.crdt.store.MemoryStorage;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.SnapshotEntry;
import io.pluresdb.crdt.store.SnapshotInbox;
import io.pluresdb.crdt.store.SnapshotInbox.Ask;
import io.pluresdb.crdt.store.SnapshotInbox.Phase;
import io.pluresdb.crdt.store.SnapshotInbox.Verdict;
import io.pluresdb.crdt.store.SnapshotSource;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.sync.SnapshotMessage;
import io.pluresdb.crdt.sync.SyncMessage;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What happens between devices whose logs do not reach back to each other. */
class SnapshotTest {
  private Device a;
  private Device b;

  @BeforeEach
  void devices() {
    a = Device.founder(1);
    b = a.join(2);
    a.sync(b);
  }

  /** Cuts the whole log of a device, whatever others have. */
  static void cut(Device device) {
    Replica replica = device.engine.replica();
    while (replica.truncate(actor -> Long.MAX_VALUE, Long.MAX_VALUE, 0)) {
      assertThat(replica.hasStaged()).isFalse();
    }
    assertThat(replica.log().floor().arrivals()).isEqualTo(device.view().arrivals());
    assertThat(rows(device, Table.LOG)).isZero();
  }

  static String text(int i, int bytes) {
    return "{\"n\":" + i + ",\"v\":\"" + "x".repeat(bytes) + "\"}";
  }

  static int rows(Device device, Table table) {
    int count = 0;
    try (var snapshot = device.storage.snapshot();
        var rows = snapshot.scan(table, new byte[0], null)) {
      while (rows.next()) {
        count++;
      }
    }
    return count;
  }

  /** Several parts of a snapshot, and several steps of joining it. */
  private void fill() {
    for (int i = 0; i < 25; i++) {
      a.put("d" + (char) ('a' + i), text(i, 100_000));
    }
  }

  private void fillMore() {
    for (int i = 0; i < 100; i++) {
      a.put("d" + i, text(i, 100_000));
    }
  }

  @Test
  void replicaBehindTheFloor_joinsBySnapshot_andThenByChanges() {
    a.put("shared", "{\"x\":1}");
    a.put("gone", "{}");
    a.sync(b);
    b.patch("shared", "{\"y\":2}");
    a.write(Edit.delete("gone"));
    fill();
    cut(a);
    Device.Wire wire = a.connect(b);
    wire.settle();
    assertThat(wire.closed()).isFalse();
    a.assertEquals(b);
    assertThat(b.get("gone")).isNull();
    assertThat(b.json("shared")).isEqualTo("{\"x\":1,\"y\":2}");
    assertThat(b.engine.replica().log().floor().frontier())
        .as("what came as state is not in b's log")
        .isEqualTo(a.engine.replica().log().floor().frontier());
    a.put("later", "{}");
    b.put("later2", "{}");
    wire.settle();
    a.assertEquals(b);
    assertThat(b.engine.snapshots().joined()).isEqualTo(1);
    assertThat(rows(b, Table.SNAPSHOT)).isZero();
    wire.cut();
    b.restart();
    a.sync(b);
    a.assertEquals(b);
  }

  @Test
  void whoFollowsTheArrivals_hearsOfWhatASnapshotChanged_andOfWhatIsGone() {
    a.put("shared", "{\"x\":1}");
    a.put("same", "{}");
    a.sync(b);
    long before = b.view().arrivals();
    a.patch("shared", "{\"x\":2}");
    a.put("new", "{}");
    cut(a);
    a.sync(b);
    var followed = b.engine.replica().log().touched(before, 100);
    assertThat(followed.floor()).isZero();
    assertThat(followed.touched()).hasSize(1);
    assertThat(followed.touched().getFirst().arrival()).isEqualTo(b.view().arrivals());
    assertThat(
            followed.touched().getFirst().ids().stream()
                .map(id -> new String(id, java.nio.charset.StandardCharsets.UTF_8)))
        .containsExactly("new", "shared");
    assertThat(b.engine.replica().log().touched(b.view().arrivals(), 100).touched()).isEmpty();
    assertThat(a.engine.replica().log().touched(0, 100).floor()).isEqualTo(a.view().arrivals());
  }

  /** Writes that share one signature. */
  private static void writeGroup(Device device, int from, int to) {
    for (int i = from; i < to; i++) {
      device.wallMillis++;
      device.engine.submit(
          io.pluresdb.crdt.store.Transaction.of(
              Edit.put("g" + i, "{}".getBytes(java.nio.charset.StandardCharsets.UTF_8))),
          (receipt, failure) -> assertThat(failure).isNull());
    }
    device.turns();
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void removedDevice_inASnapshot_countsToWhereItWasAccepted(boolean keepsVoid) {
    Device c = a.join(3);
    a.sync(c);
    writeGroup(c, 0, 3);
    a.sync(c);
    a.sync(b);
    c.wallMillis += 1_000;
    long accepted = c.wallMillis << 16;
    // b gets more than a has accepted when a removes c.
    writeGroup(c, 3, 9);
    c.sync(b);
    Device silent = a.join(4);
    a.wallMillis = c.wallMillis;
    a.revoke(c, null);
    a.sync(b);
    a.assertEquals(b);
    b.wallMillis = c.wallMillis + 1;
    b.put("later", "{}");
    b.sync(a);
    Replica replica = b.engine.replica();
    while (replica.truncate(
        actor -> b.view().frontier().seq(actor), keepsVoid ? accepted : Long.MAX_VALUE, 0)) {
      assertThat(replica.hasStaged()).isFalse();
    }
    assertThat(replica.log().floor().arrivals()).isEqualTo(keepsVoid ? 3 : b.view().arrivals());
    assertThat(replica.voidChanges()).hasSize(keepsVoid ? 1 : 0);
    assertThat(Inspection.of(replica)).noneMatch(f -> f.status() == Finding.Status.ERROR);
    silent.wallMillis = b.wallMillis;
    b.sync(silent);
    b.assertEquals(silent);
    assertThat(silent.engine.snapshots().joined()).isEqualTo(1);
    assertThat(silent.json("g2")).isEqualTo("{}");
    assertThat(silent.json("g3")).as("void").isNull();
    silent.restart();
    silent.put("mine", "{}");
    silent.sync(a);
    a.assertEquals(silent);
    b.restart();
    b.sync(a);
    a.assertEquals(b);
    assertThat(Inspection.of(silent.engine.replica()))
        .noneMatch(f -> f.status() == Finding.Status.ERROR);
  }

  @Test
  void bothBehindEachOther_joinBothWays() {
    a.put("d", "{\"a\":1}");
    a.sync(b);
    a.patch("d", "{\"b\":2}");
    b.patch("d", "{\"c\":3}");
    cut(a);
    cut(b);
    a.sync(b);
    a.assertEquals(b);
    assertThat(a.json("d")).isEqualTo("{\"a\":1,\"b\":2,\"c\":3}");
  }

  @Test
  void snapshotFromTheFuture_isJoinedOnceItsTimeHasCome() {
    a.wallMillis += 20 * 60_000;
    a.put("d", "{}");
    cut(a);
    Device.Wire wire = a.connect(b);
    wire.settle();
    assertThat(b.engine.snapshots().failed()).isEqualTo(1);
    for (int minute = 0; minute < 25 && b.json("d") == null; minute++) {
      b.pass(60_000);
      a.pass(60_000);
      wire.settle();
    }
    assertThat(b.engine.snapshots().failed()).as("tried again in time only").isEqualTo(1);
    a.assertEquals(b);
  }

  @Test
  void peerThatGotTheStateElsewhere_isKnownToHaveIt() {
    Device c = a.join(3);
    a.put("d", "{}");
    a.sync(c);
    cut(a);
    Device.Wire fromCut = a.connect(b);
    Device.Wire fromLog = c.connect(b);
    fromCut.settle();
    fromLog.settle();
    assertThat(b.engine.snapshots().joined()).isZero();
    a.assertEquals(b);
    for (int i = 0; i < 3; i++) {
      b.pass(61_000);
      a.pass(61_000);
      fromCut.settle();
    }
    assertThat(fromCut.reachedAtA()).isEqualTo(a.view().arrivals());
  }

  @Test
  void deviceBehindOneThatJoined_joinsToo() {
    Device c = a.join(3);
    a.sync(c);
    fill();
    cut(a);
    a.sync(b);
    Device.Wire wire = b.connect(c);
    wire.settle();
    b.assertEquals(c);
    c.put("from c", "{}");
    wire.settle();
    b.assertEquals(c);
    a.sync(b);
    a.assertEquals(c);
  }

  @Test
  void crashAtEveryPoint_losesNothing_andGoesOn() {
    a.put("shared", "{\"x\":1}");
    a.sync(b);
    a.patch("shared", "{\"x\":2}");
    b.patch("shared", "{\"y\":2}");
    fill();
    cut(a);
    MemoryStorage before = b.storage.copy();
    int points = 0;
    boolean ended = false;
    for (int point = 1; !ended; point++) {
      b.storage = before.copy();
      b.crash();
      Device.Wire wire = a.connect(b);
      for (int step = 0; step < point; step++) {
        wire.step();
      }
      ended = a.view().frontier().equals(b.view().frontier());
      wire.cut();
      b.crash();
      b.put("between", "{\"n\":" + point + "}");
      a.wallMillis = Math.max(a.wallMillis, b.wallMillis);
      a.sync(b);
      a.assertEquals(b);
      assertThat(b.json("shared")).isEqualTo("{\"x\":2,\"y\":2}");
      assertThat(rows(b, Table.SNAPSHOT)).isZero();
      points = point;
    }
    assertThat(points).as("points of a transfer").isGreaterThan(10);
  }

  @Test
  void brokenTransfer_goesOnWhereItWas_alsoAfterTheGiverWroteOn() {
    fill();
    cut(a);
    Device.Wire wire = a.connect(b);
    while (b.engine.snapshots().bytesReceived() < 1_500_000) {
      assertThat(wire.step()).isTrue();
    }
    wire.cut();
    b.restart();
    a.sync(b);
    a.assertEquals(b);
    long rest = b.engine.snapshots().bytesReceived();
    assertThat(rest).as("of 2.5 MB").isLessThan(1_300_000);

    Device c = a.join(3);
    a.sync(c);
    // A new device may replay what it can: nothing is left of the log.
    c = a.join(4);
    wire = a.connect(c);
    while (c.engine.snapshots().bytesReceived() < 1_500_000) {
      assertThat(wire.step()).isTrue();
    }
    wire.cut();
    c.restart();
    a.put("da", text(99, 100_000));
    a.put("new", text(100, 10));
    cut(a);
    a.sync(c);
    a.assertEquals(c);
    assertThat(c.engine.snapshots().bytesReceived())
        .as("the rest, and the range that changed")
        .isLessThan(1_600_000);
  }

  @Test
  void transfer_goesOnWithAnotherPeer_withoutARepeat() {
    fill();
    a.sync(b);
    cut(a);
    cut(b);
    Device c = a.join(3);
    Device.Wire wire = a.connect(c);
    while (c.engine.snapshots().bytesReceived() < 1_500_000) {
      assertThat(wire.step()).isTrue();
    }
    wire.cut();
    b.sync(c);
    b.assertEquals(c);
    assertThat(c.engine.snapshots().bytesReceived()).isLessThan(2_600_000);
  }

  @Test
  void localWritesWhileJoining_areKept_andJoinedOnce() {
    a.put("da", "{\"old\":1}");
    a.put("dz", "{\"old\":1}");
    a.sync(b);
    b.patch("dz", "{\"mine\":1}");
    fillMore();
    a.put("dz", "{\"new\":1}");
    a.put("e", "{\"v\":1}");
    cut(a);
    Device.Wire wire = a.connect(b);
    while (!b.engine.replica().isJoining()) {
      wire.step();
    }
    var frontier = b.view().frontier();
    // Each of these is behind the place that joining has reached.
    b.put("dz", "{\"put\":1}");
    b.write(Edit.delete("e"));
    b.put("zzz", "{}");
    assertThat(b.engine.replica().isJoining()).as("still").isTrue();
    assertThat(b.view().frontier()).isNotEqualTo(frontier);
    assertThat(b.view().frontier().heads().keySet()).isEqualTo(frontier.heads().keySet());
    b.crash();
    assertThat(b.engine.replica().isJoining()).as("after a crash").isTrue();
    b.turns();
    assertThat(b.engine.replica().isJoining()).isFalse();
    assertThat(b.json("dz")).as("the put saw what the snapshot brought").isEqualTo("{\"put\":1}");
    assertThat(b.json("e")).as("deleted, and not brought back").isNull();
    a.sync(b);
    a.assertEquals(b);
    assertThat(b.conflicts("dz")).isEmpty();
    assertThat(a.json("dz")).isEqualTo("{\"put\":1}");
    // Whoever only has changes must come to the same: the writes depend on what they saw.
    assertThat(a.engine.pending()).isZero();
  }

  @Test
  void foreignChangesWhileJoining_wait() {
    Device c = a.join(3);
    a.sync(c);
    fill();
    c.put("of c", "{}");
    cut(a);
    Device.Wire wire = a.connect(b);
    while (!b.engine.replica().isJoining()) {
      wire.step();
    }
    Device.Wire other = c.connect(b);
    for (int i = 0; i < 6; i++) {
      other.step();
    }
    other.settle();
    wire.settle();
    assertThat(b.json("of c")).isEqualTo("{}");
    other.settle();
    b.assertEquals(c);
  }

  /** Takes a snapshot of a into b's inbox, after {@code alter} had its way with each part. */
  private Verdict take(java.util.function.UnaryOperator<SnapshotSource.Part> alter) {
    SnapshotInbox inbox = b.engine.replica().inbox();
    cut(a);
    try (var source = SnapshotSource.open(a.engine.replica())) {
      Hash id = source.frontier().hash();
      assertThat(inbox.begin(id, source.stateHash(), source.documents())).isTrue();
      while (inbox.phase() == Phase.RECEIVING) {
        Ask ask = inbox.next();
        inbox.receive(ask, alter.apply(source.part(ask.from(), ask.offset(), ask.to())));
      }
    }
    Verdict verdict = Verdict.MORE;
    while (verdict == Verdict.MORE) {
      verdict = b.engine.replica().verifySnapshot();
    }
    return verdict;
  }

  @Test
  void alteredRows_areNoticed_andNothingOfThemIsJoined() {
    a.put("d", "{\"v\":1}");
    a.put("e", "{\"v\":1}");
    assertThat(take(part -> part)).as("control").isEqualTo(Verdict.HOLDS);
    b.turns();
    a.assertEquals(b);
    a.put("f", "{\"v\":1}");
    long documents = b.view().documents();
    for (int change = 0; change < 4; change++) {
      int kind = change;
      Verdict verdict =
          take(
              part -> {
                var entries = new java.util.ArrayList<>(part.entries());
                int at =
                    kind == 0
                        ? entries.size() - 1
                        : kind == 1 ? 0 : kind == 2 ? entries.size() - 2 : -1;
                if (at < 0) {
                  entries.removeLast();
                } else {
                  var entry = entries.get(at);
                  byte[] bytes = entry.bytes().clone();
                  bytes[bytes.length - 1] ^= 1;
                  entries.set(at, new SnapshotEntry(entry.place(), entry.total(), 0, bytes));
                }
                return new SnapshotSource.Part(entries, part.next(), part.nextOffset());
              });
      assertThat(verdict).as("change %d", change).isEqualTo(Verdict.FAILS);
      assertThat(b.engine.replica().inbox().failure()).isNotEqualTo("null");
      b.engine.replica().inbox().discard();
      b.turns();
      assertThat(rows(b, Table.SNAPSHOT)).isZero();
      assertThat(b.view().documents()).isEqualTo(documents);
    }
    a.sync(b);
    a.assertEquals(b);
  }

  /** A link whose other end the test plays. */
  private static final class TestLink implements PeerLink {
    final List<SyncMessage> sent = new ArrayList<>();

    @Override
    public void send(SyncMessage message) {
      sent.add(message);
    }

    @Override
    public boolean isWritable() {
      return true;
    }

    @Override
    public void flush() {}

    @Override
    public void close(String reason) {}
  }

  @Test
  void forgedSnapshot_underTheNameOfTheRightOne_doesNotKeepThatOut() {
    a.put("d", "{\"v\":1}");
    cut(a);
    var link = new TestLink();
    ReplicaEngine.Peer liar = b.engine.connect(link);
    b.engine.receive(
        liar,
        new SyncMessage.Hello(
            1, Device.DATABASE, Hash.ZERO, Hash.ZERO, Hash.ZERO, new byte[16], 0, 1 << 20));
    try (var source = SnapshotSource.open(a.engine.replica())) {
      Hash id = source.frontier().hash();
      var offer = new SnapshotMessage.Offer(id, source.stateHash(), source.documents());
      b.engine.receive(liar, new SyncMessage.Snapshots(offer));
      for (int i = 0; i < link.sent.size(); i++) {
        if (link.sent.get(i) instanceof SyncMessage.Snapshots(SnapshotMessage.Request asked)) {
          Ask ask = asked.ask();
          var part = source.part(ask.from(), ask.offset(), ask.to());
          var entries = new ArrayList<>(part.entries());
          var last = entries.removeLast();
          byte[] bytes = last.bytes().clone();
          bytes[bytes.length - 1] ^= 1;
          entries.add(new SnapshotEntry(last.place(), last.total(), 0, bytes));
          var forged = new SnapshotSource.Part(entries, part.next(), part.nextOffset());
          b.engine.receive(
              liar,
              new SyncMessage.Snapshots(
                  new SnapshotMessage.Part(id, ask.from(), ask.offset(), forged)));
        }
      }
      b.turns();
      assertThat(b.engine.snapshots().failed()).isEqualTo(1);
      b.engine.receive(liar, new SyncMessage.Snapshots(offer));
      b.turns();
      assertThat(b.engine.replica().inbox().phase())
          .as("not of that one again")
          .isEqualTo(Phase.EMPTY);
    }
    b.engine.disconnect(liar);
    a.sync(b);
    a.assertEquals(b);
    assertThat(b.engine.snapshots().joined()).isEqualTo(1);
  }

  @Test
  void peerThatOffersAndDoesNotGive_comesAfterTheOthers() {
    a.put("d", "{\"v\":1}");
    cut(a);
    var link = new TestLink();
    ReplicaEngine.Peer idle = b.engine.connect(link);
    b.engine.receive(
        idle,
        new SyncMessage.Hello(
            1, Device.DATABASE, Hash.ZERO, Hash.ZERO, Hash.ZERO, new byte[16], 0, 1 << 20));
    Device.Wire wire = a.connect(b);
    for (int i = 0; i < 40 && b.json("d") == null; i++) {
      b.engine.receive(
          idle,
          new SyncMessage.Snapshots(
              new SnapshotMessage.Offer(a.view().frontier().hash(), Hash.ZERO, 1)));
      b.pass(5_000);
      a.pass(5_000);
      wire.settle();
    }
    assertThat(link.sent)
        .filteredOn(message -> message instanceof SyncMessage.Snapshots)
        .as("it was asked, and asked again")
        .isNotEmpty();
    a.assertEquals(b);
  }

  @Test
  void rowsLongerThanAPart_arriveInPieces() {
    for (int i = 0; i < 6; i++) {
      a.put("large", text(i, 900_000));
      b.put("large", text(10 + i, 900_000));
    }
    Device c = a.join(3);
    a.sync(b);
    cut(a);
    assertThat(
            a.storage.get(Table.STATE, "large".getBytes(java.nio.charset.StandardCharsets.UTF_8)))
        .hasSizeGreaterThan(1_700_000);
    a.sync(c);
    a.assertEquals(c);
    assertThat(c.conflicts("large")).isEqualTo(a.conflicts("large"));
  }
}
