package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.engine.Comparison.Compared;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.reconcile.KeyRange;
import io.pluresdb.crdt.reconcile.KeyScope;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Finding;
import io.pluresdb.crdt.store.Inspection;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.crdt.store.RunOutcome;
import io.pluresdb.crdt.store.RunOutcome.Reason;
import io.pluresdb.crdt.store.StateRanges;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.store.StorageException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A replica of some documents among replicas of all. */
class PartialReplicaTest {
  private static final KeyScope NOTES = KeyScope.of(List.of("note:"));

  private Device full;
  private Device other;
  private Device partial;

  @BeforeEach
  void devices() {
    full = Device.founder(1);
    other = full.join(2);
    partial = full.join(3, NOTES);
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static void assertSameNotes(Device one, Device two) {
    KeyRange notes = KeyRange.ofPrefix(utf8("note:"));
    try (var mine = StateRanges.open(one.storage, Device.DATABASE);
        var theirs = StateRanges.open(two.storage, Device.DATABASE)) {
      assertThat(mine.summary(notes)).isEqualTo(theirs.summary(notes));
      assertThat(mine.summary(notes).count()).isPositive();
    }
  }

  private static void assertInOrder(Device device) {
    assertThat(Inspection.of(device.engine.replica()))
        .extracting(Finding::status)
        .containsOnly(Finding.Status.OK);
  }

  @Test
  void partialReplica_hasEveryChange_andItsDocumentsOnly() {
    for (int i = 0; i < 50; i++) {
      full.put("note:" + i, "{\"n\":" + i + "}");
      full.put("photo:" + i, "{\"large\":\"" + "x".repeat(2_000) + "\"}");
    }
    Device.Wire wire = full.connect(partial);
    wire.settle();
    assertThat(partial.view().frontier()).isEqualTo(full.view().frontier());
    assertThat(wire.bytes()).as("photos alone are 100,000").isLessThan(25_000);
    assertSameNotes(full, partial);
    assertThat(partial.get("photo:1")).isNull();
    assertThat(partial.view().documents()).isEqualTo(50);
    assertThat(full.engine.counters().divergences()).isZero();
    assertThat(partial.engine.counters().divergences()).isZero();
    assertInOrder(partial);
    partial.restart();
    assertInOrder(partial);
  }

  @Test
  void batchOfWantedAndOtherDocuments_isAppliedInPart() {
    full.write(Edit.put("photo:1", utf8("{\"a\":1}")), Edit.put("note:1", utf8("{\"b\":2}")));
    full.write(Edit.patch("photo:1", utf8("{\"a\":3}")), Edit.patch("note:1", utf8("{\"b\":4}")));
    full.sync(partial);
    assertSameNotes(full, partial);
    assertThat(partial.json("note:1")).isEqualTo("{\"b\":4}");
    assertThat(partial.get("photo:1")).isNull();
  }

  /** The text of the photo is not here, and what is typed into it cannot be checked. */
  @Test
  void batchThatTypesIntoADocumentElsewhere_isAppliedInPart() {
    full.put("photo:1", "{}");
    full.put("note:1", "{}");
    full.write(
        Edit.spliceText("photo:1", "caption", 0, 0, "sea"),
        Edit.spliceText("note:1", "body", 0, 0, "hello"));
    full.sync(partial);
    full.write(
        Edit.spliceText("photo:1", "caption", 3, 0, "side"),
        Edit.spliceText("note:1", "body", 5, 0, " there"));
    full.sync(partial);
    assertThat(partial.view().frontier()).isEqualTo(full.view().frontier());
    assertSameNotes(full, partial);
    assertThat(partial.get("photo:1")).isNull();
    assertInOrder(partial);
  }

  @Test
  void snapshot_ofAWholeReplica_isJoinedInPart() {
    full.put("note:1", "{\"a\":1}");
    full.sync(partial);
    partial.patch("note:1", "{\"b\":2}");
    for (int i = 0; i < 50; i++) {
      full.put("note:" + i, "{\"n\":" + i + "}");
      full.write(Edit.put("photo:" + i, utf8("{}")), Edit.spliceText("photo:" + i, "t", 0, 0, "x"));
    }
    SnapshotTest.cut(full);
    full.sync(partial);
    assertThat(partial.engine.snapshots().joined()).isEqualTo(1);
    assertThat(partial.view().frontier()).isEqualTo(full.view().frontier());
    assertSameNotes(full, partial);
    assertThat(full.json("note:1")).isEqualTo("{\"b\":2,\"n\":1}");
    assertThat(partial.get("photo:1")).isNull();
    assertThat(SnapshotTest.rows(partial, Table.SEQUENCE)).isZero();
    assertThat(SnapshotTest.rows(partial, Table.SNAPSHOT)).isZero();
    assertThat(partial.view().documents()).isEqualTo(50);
  }

  @Test
  void writesBothWays_meetOnTheWantedDocuments() {
    Device.Wire wire = full.connect(partial);
    wire.settle();
    for (int i = 0; i < 20; i++) {
      full.put("photo:" + i, "{}");
      full.put("note:" + i, "{\"by\":\"full\"}");
      partial.put("note:" + (i + 10), "{\"by\":\"partial\"}");
      wire.settle();
    }
    assertThat(partial.view().frontier()).isEqualTo(full.view().frontier());
    assertSameNotes(full, partial);
    assertThat(wire.closed()).isFalse();
    var compared = (Compared) wire.compare(KeyRange.ofPrefix(utf8("note:")), true);
    assertThat(compared.sameFrontier()).isTrue();
    assertThat(compared.differences().isEmpty()).isTrue();
  }

  /** What the partial replica lacks, it does not pass on; what it has whole, it does. */
  @Test
  void peerThatLacksBodies_isNotMisled_andGetsThemElsewhere() {
    full.put("photo:1", "{}");
    full.put("note:1", "{\"v\":1}");
    full.sync(partial);
    partial.put("note:2", "{\"by\":\"partial\"}");
    Device.Wire wire = partial.connect(other);
    for (int i = 0; i < 3; i++) {
      wire.settle();
      partial.engine.probe();
      other.engine.probe();
    }
    assertThat(wire.closed()).isFalse();
    assertThat(other.get("note:1")).as("behind a change whose body is not there").isNull();
    assertThat(other.engine.counters().rejected().get(Reason.BODY_MISSING)).isZero();
    other.put("photo:2", "{\"by\":\"other\"}");
    wire.settle();
    assertThat(partial.view().frontier().seq(actorOf(other))).isEqualTo(1);
    other.sync(full);
    partial.sync(full);
    other.sync(full);
    other.assertEquals(full);
    assertThat(other.json("note:2")).isEqualTo("{\"by\":\"partial\"}");
    assertSameNotes(other, partial);
    assertThat(partial.view().frontier()).isEqualTo(full.view().frontier());
  }

  private static io.pluresdb.crdt.causal.ActorId actorOf(Device device) {
    return java.util.Objects.requireNonNull(device.engine.replica().ownActor());
  }

  @Test
  void changesOfNotesOnly_arePassedOnByAPartialReplica() {
    full.put("note:1", "{}");
    full.sync(partial);
    partial.sync(other);
    assertThat(other.json("note:1")).isEqualTo("{}");
    other.assertEquals(full);
  }

  @Test
  void partialReplicasOfTheSameDocuments_serveEachOther() {
    Device second = full.join(4, NOTES);
    for (int i = 0; i < 10; i++) {
      full.put("photo:" + i, "{}");
      full.put("note:" + i, "{}");
    }
    full.sync(partial);
    partial.sync(second);
    assertThat(second.view().frontier()).isEqualTo(full.view().frontier());
    second.assertEquals(partial);
    Device narrower = full.join(5, KeyScope.of(List.of("note:1", "note:2")));
    partial.sync(narrower);
    assertThat(narrower.view().documents()).isEqualTo(2);
    Device wider = full.join(6, KeyScope.of(List.of("note:", "photo:")));
    partial.sync(wider);
    assertThat(wider.view().documents()).as("photos are not there to be had").isZero();
    full.sync(wider);
    assertThat(wider.view().documents()).isEqualTo(20);
  }

  @Test
  void readsAndWritesElsewhere_areRefused() {
    assertThatThrownBy(() -> partial.put("photo:1", "{}"))
        .isInstanceOf(CoreException.class)
        .hasMessageContaining("\"note:\"")
        .hasMessageContaining("\"photo:1\"");
    assertThatThrownBy(
            () -> partial.write(Edit.put("note:1", utf8("{}")), Edit.put("photo:1", utf8("{}"))))
        .isInstanceOf(CoreException.class);
    assertThat(partial.get("note:1")).isNull();
    Replica replica = partial.engine.replica();
    assertThatThrownBy(() -> replica.requireInScope(utf8(""))).isInstanceOf(CoreException.class);
    assertThatThrownBy(() -> replica.requireInScope(utf8("not"))).isInstanceOf(CoreException.class);
    replica.requireInScope(utf8("note:"));
    replica.requireInScope(utf8("note:7"));
  }

  @Test
  void omittedBody_isRefusedByAReplicaOfAll() {
    full.put("photo:1", "{}");
    ChangeRun run = full.engine.replica().log().read(0, 1, actor -> 0, 1 << 20).runs().getFirst();
    var omitted =
        new ChangeRun(
            run.actor(),
            run.fromSeq(),
            run.genesis(),
            run.changes().stream().map(change -> change.withoutBody()).toList(),
            run.signature());
    full.connect(other).settle();
    Device third = full.join(9);
    third.engine.admit(full.view().membership().entries().getFirst());
    assertThat(third.engine.apply(omitted))
        .isInstanceOfSatisfying(
            RunOutcome.Rejected.class,
            rejected -> assertThat(rejected.reason()).isEqualTo(Reason.BODY_MISSING));
    assertThat(third.engine.apply(run)).isInstanceOf(RunOutcome.Applied.class);
  }

  @Test
  void scopeOfADatabase_cannotChange() {
    partial.engine.replica().close();
    var environment = new Environment(() -> Instant.ofEpochMilli(1), new SplittableRandom(1));
    for (KeyScope scope : List.of(KeyScope.ALL, KeyScope.of(List.of("photo:")))) {
      var identity =
          new ReplicaIdentity(
              Device.DATABASE, partial.founder, partial.signer, Signer::verify, scope);
      assertThatThrownBy(() -> Replica.open(partial.storage, identity, partial.anchor, environment))
          .isInstanceOf(StorageException.OpenFailed.class)
          .hasMessageContaining("\"note:\"");
    }
  }

  @Test
  void scopes_areCanonical() {
    assertThat(KeyScope.of(List.of("b", "a:1", "a:", "a:2")))
        .isEqualTo(KeyScope.of(List.of("a:", "b")));
    assertThat(KeyScope.of(List.of()).isAll()).isTrue();
    assertThat(NOTES.covers(KeyScope.of(List.of("note:1")))).isTrue();
    assertThat(KeyScope.of(List.of("note:1")).covers(NOTES)).isFalse();
    assertThat(NOTES.covers(KeyScope.ALL)).isFalse();
    assertThat(KeyScope.ALL.covers(NOTES)).isTrue();
    assertThat(NOTES.common(KeyScope.of(List.of("note:1", "photo:"))))
        .containsExactly(KeyRange.ofPrefix(utf8("note:1")));
    assertThat(NOTES.common(KeyScope.ALL)).containsExactly(KeyRange.ofPrefix(utf8("note:")));
    assertThat(NOTES.common(NOTES)).hasSize(1);
  }
}
