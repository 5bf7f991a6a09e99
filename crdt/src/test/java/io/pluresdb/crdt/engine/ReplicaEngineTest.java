package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.causal.HybridClock;
import io.pluresdb.crdt.store.Anchor;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.StateRanges;
import io.pluresdb.crdt.sync.SyncMessage;
import io.pluresdb.crdt.sync.SyncSession;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Two devices and what must hold between them, whatever happens to the connection. */
class ReplicaEngineTest {
  private Device a;
  private Device b;

  @BeforeEach
  void devices() {
    a = Device.founder(1);
    b = a.join(2);
    a.sync(b);
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  @Test
  void newPeer_getsEverything() {
    for (int i = 0; i < 500; i++) {
      a.put("doc:" + i, "{\"n\":" + i + ",\"tags\":[1,2],\"in\":{\"a\":null}}");
    }
    a.sync(b);
    a.assertEquals(b);
    assertThat(b.view().documents()).isEqualTo(500);
    assertThat(b.json("doc:7")).isEqualTo("{\"in\":{\"a\":null},\"n\":7,\"tags\":[1,2]}");
  }

  private static int buckets(Device device) {
    try (var ranges =
        StateRanges.open(device.storage, device.engine.replica().identity().database())) {
      return ranges.buckets().size();
    }
  }

  @Test
  void manyDocuments_areCutIntoBucketsOnceNothingElseIsToDo_orOneATick() {
    for (int i = 0; i < 20; i++) {
      var edits = new Edit[1_000];
      for (int j = 0; j < edits.length; j++) {
        edits[j] = Edit.put("doc:" + (1_000 * i + j), "1".getBytes(StandardCharsets.UTF_8));
      }
      a.write(edits);
    }
    assertThat(buckets(a)).isEqualTo(1);
    a.pass(1);
    assertThat(buckets(a)).as("a second in which something was written").isEqualTo(2);
    a.put("another", "1");
    a.pass(1);
    assertThat(buckets(a)).isEqualTo(3);
    a.pass(1);
    int cut = buckets(a);
    assertThat(cut).isBetween(8, 40);
    a.pass(1);
    assertThat(buckets(a)).isEqualTo(cut);
  }

  /** How far the anchor would say after power loss. */
  private static long anchored(Device device) {
    device.anchor.losePower();
    return device.anchor.read() instanceof Anchor.Reading.Valid(var mark) ? mark.seq() : 0;
  }

  @Test
  void anchor_restsWithoutPeers_andIsRecordedBeforeAPeerSeesAnything() {
    a.put("1", "{}");
    long first = anchored(a);
    a.put("2", "{}");
    a.put("3", "{}");
    assertThat(anchored(a)).isEqualTo(first);
    Device.Wire wire = a.connect(b);
    assertThat(anchored(a)).as("the greeting shows the frontier").isEqualTo(first + 2);
    wire.settle();
    a.put("4", "{}");
    assertThat(anchored(a)).as("the change is on its way").isEqualTo(first + 3);
  }

  @Test
  void copyFromBeforeAWriteThatNobodySaw_givesItsActorUp_unlessPowerLossTookTheNote() {
    a.put("1", "{}");
    var unseen = a.storage.copy();
    a.put("2", "{}");
    a.storage = unseen;
    a.crash();
    assertThat(a.engine.replica().ownActor()).isNull();
  }

  @Test
  void copyFromBeforeTheLastPublication_givesItsActorUp_andOneThatNobodySawMayGoOn() {
    a.put("1", "{}");
    var unseen = a.storage.copy();
    a.put("2", "{}");
    var actor = a.engine.replica().ownActor();
    a.storage = unseen;
    a.anchor.losePower();
    a.crash();
    assertThat(a.engine.replica().ownActor()).isEqualTo(actor);

    a.put("3", "{}");
    var behind = a.storage.copy();
    a.put("4", "{}");
    a.sync(b);
    a.storage = behind;
    a.crash();
    assertThat(a.engine.replica().ownActor()).isNull();
    a.put("5", "{}");
    a.sync(b);
    a.assertEquals(b);
    assertThat(b.json("4")).isEqualTo("{}");
  }

  @Test
  void joinersData_reachesTheOtherSide() {
    b.put("from-b", "{\"x\":1}");
    a.put("from-a", "{\"x\":2}");
    a.sync(b);
    a.assertEquals(b);
    assertThat(a.json("from-b")).isEqualTo("{\"x\":1}");
  }

  @Test
  void livePut_travelsBothWays() {
    Device.Wire wire = a.connect(b);
    wire.settle();
    a.put("1", "{\"x\":1}");
    wire.settle();
    assertThat(b.json("1")).isEqualTo("{\"x\":1}");
    b.put("2", "{\"x\":2}");
    wire.settle();
    assertThat(a.json("2")).isEqualTo("{\"x\":2}");
    a.assertEquals(b);
  }

  @Test
  void delete_travelsLive_andToAPeerThatWasOffline() {
    a.put("1", "{\"x\":1}");
    a.put("2", "{\"x\":1}");
    Device.Wire wire = a.connect(b);
    wire.settle();
    a.write(Edit.delete("1"));
    wire.settle();
    assertThat(b.json("1")).isNull();
    wire.cut();
    a.write(Edit.delete("2"));
    b.put("3", "{}");
    a.sync(b);
    b.restart();
    a.sync(b);
    assertThat(b.json("2")).isNull();
    assertThat(a.json("2")).isNull();
    a.assertEquals(b);
  }

  @Test
  void disjointFieldsEditedApart_bothSurvive() {
    a.put("d", "{\"a\":1,\"b\":1}");
    a.sync(b);
    a.put("d", "{\"a\":2,\"b\":1}");
    b.put("d", "{\"a\":1,\"b\":3}");
    a.sync(b);
    a.assertEquals(b);
    assertThat(a.json("d")).isEqualTo("{\"a\":2,\"b\":3}");
    assertThat(a.conflicts("d")).isEmpty();
  }

  @Test
  void sameFieldEditedApart_convergesWithTheOtherAsConflict() {
    a.put("d", "{\"a\":1}");
    a.sync(b);
    b.wallMillis = a.wallMillis + 50;
    a.put("d", "{\"a\":\"from a\"}");
    b.put("d", "{\"a\":\"from b\"}");
    a.sync(b);
    a.assertEquals(b);
    assertThat(a.json("d")).isEqualTo("{\"a\":\"from b\"}");
    assertThat(b.conflicts("d")).extracting("value").containsExactly("\"from a\"");
  }

  @Test
  void deleteAgainstConcurrentPatch_keepsTheWholeDocument() {
    a.put("d", "{\"a\":1,\"b\":2}");
    a.sync(b);
    a.write(Edit.delete("d"));
    b.patch("d", "{\"a\":9}");
    a.sync(b);
    a.assertEquals(b);
    assertThat(a.json("d")).isEqualTo("{\"a\":9,\"b\":2}");
  }

  @Test
  void putAfterDelete_doesNotBringOldFieldsBack() {
    a.put("d", "{\"old\":1}");
    a.write(Edit.delete("d"));
    a.put("d", "{\"new\":1}");
    a.sync(b);
    assertThat(b.json("d")).isEqualTo("{\"new\":1}");
  }

  @Test
  void sameChangesTwice_changeNothing() {
    a.put("d", "{\"a\":1}");
    a.sync(b);
    var before = b.view();
    var batch = a.engine.replica().log().read(0, 100, actor -> 0, 1 << 20);
    batch.runs().forEach(b.engine::apply);
    b.engine.turn(true);
    assertThat(b.view().frontier()).isEqualTo(before.frontier());
    assertThat(b.view().stateHash()).isEqualTo(before.stateHash());
    assertThat(b.view().arrivals()).isEqualTo(before.arrivals());
    assertThat(b.engine.counters().knownRuns()).isEqualTo(batch.runs().size());
  }

  @Test
  void crash_losesNothingAcknowledged_andKeepsTheActor() {
    var first = a.put("d", "{\"a\":1}");
    a.crash();
    assertThat(a.json("d")).isEqualTo("{\"a\":1}");
    var second = a.put("e", "{\"a\":1}");
    assertThat(second.actor()).isEqualTo(first.actor());
    assertThat(second.seq()).isEqualTo(2);
  }

  @Test
  void restoredOldCopy_writesUnderANewActor_andGetsItsOwnChangesBack() {
    var first = a.put("d", "{\"a\":1}");
    var copy = a.storage.copy();
    a.put("d", "{\"a\":2}");
    a.sync(b);
    a.storage = copy;
    a.crash();
    assertThat(a.json("d")).isEqualTo("{\"a\":1}");
    var after = a.put("e", "{}");
    assertThat(after.actor()).isNotEqualTo(first.actor());
    a.sync(b);
    a.assertEquals(b);
    assertThat(a.json("d")).isEqualTo("{\"a\":2}");
  }

  @Test
  void laterCopy_thatHoldsNumbersAnEarlierOneUsedAgain_givesTheActorUp() {
    a.put("d", "{\"v\":1}");
    a.sync(b);
    var earlier = a.storage.copy();
    a.put("d", "{\"v\":2}");
    a.put("d", "{\"v\":3}");
    var later = a.storage.copy();
    a.storage = earlier;
    a.crash();
    var again = a.put("d", "{\"v\":4}");
    a.sync(b);
    a.storage = later;
    a.crash();
    assertThat(a.put("e", "{}").actor()).isNotEqualTo(again.actor());
  }

  @Test
  void counters_addUp() {
    a.put("c", "{\"n\":10}");
    a.sync(b);
    a.write(Edit.increment("c", "n", 5));
    b.write(Edit.increment("c", "n", -2), Edit.increment("c", "m.k", 1));
    a.sync(b);
    a.assertEquals(b);
    assertThat(a.json("c")).isEqualTo("{\"m\":{\"k\":1},\"n\":13}");
    a.put("c", "{\"n\":1}");
    a.sync(b);
    assertThat(b.json("c")).isEqualTo("{\"n\":1}");
  }

  @Test
  void batch_takesEffectTogetherOrNotAtAll() {
    assertThatThrownBy(() -> a.write(Edit.put("x", utf8("{}")), Edit.delete("missing")))
        .isInstanceOf(CoreException.class)
        .hasMessageContaining("missing");
    assertThat(a.json("x")).isNull();
    assertThat(a.view().arrivals()).isZero();
    a.write(Edit.put("x", utf8("{\"a\":1}")), Edit.patch("x", utf8("{\"b\":2}")));
    a.sync(b);
    assertThat(b.json("x")).isEqualTo("{\"a\":1,\"b\":2}");
    a.assertEquals(b);
  }

  @Test
  void mesh_ofThree_wearsDownToATree() {
    Device c = a.join(3);
    a.sync(b);
    a.sync(c);
    var ab = a.connect(b);
    var bc = b.connect(c);
    var ca = c.connect(a);
    for (int round = 0; round < 4; round++) {
      List.of(ab, bc, ca).forEach(Device.Wire::settle);
    }
    // Two deliveries from a, at most two more between b and c that cross, their
    // acknowledgements, and that b and c tell each other to stop.
    assertThat(messagesOfAWrite(ab, bc, ca)).isLessThanOrEqualTo(10);
    a.assertEquals(b);
    a.assertEquals(c);
    // Two deliveries, two acknowledgements, and b and c tell each other at most.
    assertThat(messagesOfAWrite(ab, bc, ca)).isLessThanOrEqualTo(6);
    a.assertEquals(b);
    a.assertEquals(c);
  }

  private long messagesOfAWrite(Device.Wire... wires) {
    long before = Arrays.stream(wires).mapToLong(wire -> wire.messages).sum();
    a.put("d" + before, "{}");
    for (int round = 0; round < 4; round++) {
      List.of(wires).forEach(Device.Wire::settle);
    }
    return Arrays.stream(wires).mapToLong(wire -> wire.messages).sum() - before;
  }

  @Test
  void ownChange_thatComesBackByWayOfOthers_isOnThePeersDisk() {
    Device c = a.join(3);
    a.sync(b);
    a.sync(c);
    b.put("b", "{}");
    Device.Wire wire = a.connectAuthenticated(b);
    wire.moveHellos();
    wire.moveToB();
    // What b says of its frontier is still on its way, so a sends nothing by this session.
    var receipt = a.put("d", "{}");
    a.sync(c);
    Device.Wire detour = c.connectAuthenticated(b);
    for (int step = 0; step < 20 && !b.engine.replica().hasStaged(); step++) {
      detour.step();
    }
    b.engine.turn(false);
    wire.moveToA();
    a.turns();
    assertThat(wire.reachedAtA()).as("a counts on b").isGreaterThanOrEqualTo(receipt.arrival());
    b.crash();
    assertThat(b.view().frontier().seq(receipt.actor())).isEqualTo(receipt.seq());
  }

  @Test
  void changeThatCountsAgain_isNotTakenToBeWhereItWasAcknowledgedAsVoid() {
    a.sync(b);
    b.wallMillis += 2 * HybridClock.MAX_AHEAD_MILLIS;
    Device.Wire wire = b.connectAuthenticated(a);
    wire.settle();
    var early = b.put("early", "{}");
    wire.settle();
    a.revoke(b, Role.READ);
    wire.settle();
    a.admit(b, Role.WRITE);
    wire.settle();
    assertThat(b.view().frontier().seq(early.actor())).isEqualTo(early.seq());
    assertThat(a.view().frontier().seq(early.actor())).as("its time has not come").isZero();
    assertThat(wire.reachedAtA()).isLessThan(early.arrival());
    a.pass(2 * HybridClock.MAX_AHEAD_MILLIS);
    b.pass(SyncSession.PROBE_MILLIS);
    wire.settle();
    assertThat(a.view().frontier().seq(early.actor())).isEqualTo(early.seq());
    assertThat(wire.reachedAtA()).isEqualTo(b.view().arrivals());
  }

  @Test
  void changesThatCountAgain_andOneBetweenThemThatCameFirst_reachANewDevice() {
    Device c = a.join(3);
    a.sync(b);
    a.sync(c);
    b.sync(c);
    c.put("first", "{}");
    c.sync(b);
    b.put("answer", "{}");
    b.sync(c);
    var last = c.put("last", "{}");
    a.revoke(c, null);
    a.sync(b);
    a.sync(b); // Now b tells whose the change is that does not count any more.
    assertThat(a.json("answer")).as("what it follows does not count").isEqualTo("{}");
    assertThat(a.json("first")).isNull();
    a.admit(c, Role.WRITE);
    c.sync(a);
    assertThat(a.view().frontier().seq(last.actor())).isEqualTo(last.seq());
    Device joiner = a.join(4);
    joiner.sync(a);
    joiner.assertEquals(a);
  }

  @Test
  void newChanges_doNotOvertakeWhatIsOwed() {
    Device.Wire wire = a.connect(b);
    wire.settle();
    wire.refuse(Integer.MAX_VALUE);
    a.pass(SyncSession.PROBE_MILLIS);
    wire.refuse(1);
    a.put("pushed", "{}");
    a.turns();
    assertThat(wire.underWayFromA().getFirst()).isInstanceOf(SyncMessage.Probe.class);
    assertThat(wire.underWayFromA()).hasAtLeastOneElementOfType(SyncMessage.Changes.class);
  }

  @Test
  void announcement_doesNotOvertakeWhatIsOwed() {
    Device.Wire wire = a.connect(b);
    wire.settle();
    wire.tellA(new SyncMessage.Prune());
    wire.refuse(Integer.MAX_VALUE);
    a.pass(SyncSession.PROBE_MILLIS);
    wire.refuse(1);
    a.put("announced", "{}");
    a.turns();
    a.pass(1_000);
    assertThat(wire.underWayFromA().getFirst()).isInstanceOf(SyncMessage.Probe.class);
    assertThat(wire.underWayFromA()).hasAtLeastOneElementOfType(SyncMessage.Announce.class);
  }

  @Test
  void stranger_isNotApplied() {
    Device stranger = Device.founder(9);
    stranger.put("evil", "{}");
    var runs = stranger.engine.replica().log().read(0, 100, actor -> 0, 1 << 20).runs();
    runs.forEach(a.engine::apply);
    a.engine.turn(true);
    assertThat(a.json("evil")).isNull();
    assertThat(a.engine.counters().rejected().values()).contains(1L);
  }
}
