package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.sync.SyncMessage;
import io.pluresdb.crdt.sync.SyncSession;
import io.pluresdb.crdt.sync.SyncSession.Violation;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** One session at a time, message by message. */
class SyncSessionTest {
  private Device a;
  private Device b;

  @BeforeEach
  void devices() {
    a = Device.founder(1);
    b = a.join(2);
    a.sync(b);
  }

  private static SyncSession session(Device device) {
    return new SyncSession(Device.DATABASE, device.view(), new byte[16], device.wallMillis);
  }

  private static SyncSession.Step tell(SyncSession session, Device device, SyncMessage message) {
    return session.onMessage(message, device.view(), device.engine.replica().log());
  }

  private static SyncMessage.@org.jspecify.annotations.Nullable Changes pull(
      SyncSession session, Device device) {
    return session.pull(device.view(), device.engine.replica().log());
  }

  private static SyncMessage.Changes pulled(SyncSession session, Device device) {
    return java.util.Objects.requireNonNull(pull(session, device), "changes");
  }

  private static SyncMessage.Hello hello(
      int version, Hash database, Hash members, int windowBytes) {
    return new SyncMessage.Hello(
        version, database, Hash.ZERO, members, Hash.ZERO, new byte[16], 0, windowBytes);
  }

  /** A session of a that knows that its peer has nothing. */
  private SyncSession toEmptyPeer(int windowBytes) {
    SyncSession session = session(a);
    tell(session, a, hello(1, Device.DATABASE, a.view().membership().hash(), windowBytes));
    tell(session, a, new SyncMessage.Heads(false, io.pluresdb.crdt.causal.Frontier.EMPTY));
    return session;
  }

  private static String large(int bytes) {
    return "{\"v\":\"" + "x".repeat(bytes) + "\"}";
  }

  @Test
  void equalFrontiers_endAfterTheHellos() {
    a.put("d", "{}");
    a.sync(b);
    SyncSession atA = session(a);
    SyncSession atB = session(b);
    assertThat(tell(atA, a, atB.hello()).send()).isEmpty();
    assertThat(tell(atB, b, atA.hello()).send()).isEmpty();
    assertThat(atA.isReady()).isTrue();
    assertThat(pull(atA, a)).isNull();
    assertThat(pull(atB, b)).isNull();
    assertThat(atA.reached()).isEqualTo(a.view().arrivals());
  }

  @Test
  void missingChanges_areSentOnce_andNothingElse() {
    for (int i = 0; i < 20; i++) {
      a.put("d" + i, "{}");
    }
    a.sync(b);
    a.put("new1", "{}");
    a.put("new2", "{}");
    b.put("new3", "{}");
    SyncSession atA = session(a);
    SyncSession atB = session(b);
    var fromA = tell(atA, a, atB.hello()).send();
    var fromB = tell(atB, b, atA.hello()).send();
    fromA.forEach(message -> tell(atB, b, message));
    fromB.forEach(message -> tell(atA, a, message));
    var changes = pulled(atA, a);
    assertThat(changes.runs().stream().mapToInt(run -> run.changes().size()).sum()).isEqualTo(2);
    assertThat(pull(atA, a)).isNull();
    var back = pulled(atB, b);
    assertThat(back.runs()).hasSize(1);
    assertThat(pull(atB, b)).isNull();
  }

  @Test
  void anythingBeforeHello_isAViolation() {
    for (SyncMessage message :
        List.of(
            new SyncMessage.Ack(0, 0),
            new SyncMessage.Changes(0, List.of()),
            new SyncMessage.Members(SyncMessage.Members.Part.LAST, List.of()),
            new SyncMessage.Heads(true, a.view().frontier()),
            new SyncMessage.Probe(Hash.ZERO, Hash.ZERO, Hash.ZERO))) {
      assertThat(tell(session(a), a, message).violation()).isEqualTo(Violation.NOT_HELLO_FIRST);
    }
    Hash none = Hash.ZERO;
    assertThat(tell(session(a), a, hello(2, Device.DATABASE, none, 1)).violation())
        .isEqualTo(Violation.WRONG_VERSION);
    assertThat(tell(session(a), a, hello(1, none, none, 1)).violation())
        .isEqualTo(Violation.WRONG_DATABASE);
  }

  @Test
  void secondHello_changesNothing() {
    a.put("d", "{}");
    SyncSession session = toEmptyPeer(1 << 20);
    assertThat(pull(session, a)).isNotNull();
    var step = tell(session, a, session(b).hello());
    assertThat(step.violation()).isNull();
    assertThat(step.send()).isEmpty();
    assertThat(pull(session, a)).isNull();
  }

  @Test
  void window_isNeverExceededByMoreThanOneBatch() {
    for (int i = 0; i < 40; i++) {
      a.put("d" + i, large(100_000));
    }
    int window = 1 << 20;
    SyncSession session = toEmptyPeer(window);
    long unacknowledged = 0;
    long total = 0;
    SyncMessage.Changes changes;
    for (int round = 0; round < 20; round++) {
      long last = 0;
      long cursor = 0;
      while ((changes = pull(session, a)) != null) {
        assertThat(unacknowledged).isLessThan(window);
        assertThat(changes.toByteArray().length).isLessThanOrEqualTo(SyncMessage.MAX_BYTES);
        last = changes.bytes();
        cursor = changes.cursor();
        unacknowledged += last;
        total += last;
      }
      if (unacknowledged == 0) {
        break;
      }
      assertThat(unacknowledged).isLessThan(window + last + 1);
      tell(session, a, new SyncMessage.Ack(unacknowledged, cursor));
      unacknowledged = 0;
    }
    assertThat(total).isGreaterThan(4_000_000);
    assertThat(session.reached()).isEqualTo(a.view().arrivals());
  }

  @Test
  void peerThatIgnoresTheWindow_isClosed() {
    a.put("d", large(1_000_000));
    SyncMessage.Changes changes = pulled(toEmptyPeer(1 << 30), a);
    SyncSession receiver = session(b);
    tell(receiver, b, session(a).hello());
    long sent = 0;
    while (true) {
      var step = tell(receiver, b, changes);
      sent += changes.bytes();
      if (step.violation() != null) {
        assertThat(step.violation()).isEqualTo(Violation.WINDOW_EXCEEDED);
        assertThat(step.apply()).isEmpty();
        break;
      }
      assertThat(sent).isLessThanOrEqualTo(receiver.maxUnacknowledgedBytes());
    }
    assertThat(sent).isGreaterThan(receiver.maxUnacknowledgedBytes());
  }

  @Test
  void ackOfWhatWasNeverSent_isAViolation() {
    a.put("d", "{}");
    SyncSession session = toEmptyPeer(1 << 20);
    assertThat(tell(session, a, new SyncMessage.Ack(1, 1)).violation())
        .isEqualTo(Violation.BAD_ACK);
  }

  @Test
  void lostChanges_areFoundByAProbe_andSentAgain() {
    a.put("d", "{}");
    SyncSession atA = session(a);
    SyncSession atB = session(b);
    var fromA = tell(atA, a, atB.hello()).send();
    var fromB = tell(atB, b, atA.hello()).send();
    fromA.forEach(message -> tell(atB, b, message));
    fromB.forEach(message -> tell(atA, a, message));
    assertThat(pull(atA, a)).as("and it gets lost").isNotNull();
    assertThat(pull(atA, a)).isNull();
    assertThat(atA.onTick(a.wallMillis + 1, a.view()).send()).isEmpty();
    var probe = atA.onTick(a.wallMillis + SyncSession.PROBE_MILLIS, a.view()).send();
    assertThat(probe).hasSize(1).first().isInstanceOf(SyncMessage.Probe.class);
    var heads = tell(atB, b, probe.getFirst()).send();
    for (SyncMessage message : heads) {
      tell(atA, a, message);
    }
    var again = pulled(atA, a);
    assertThat(again.runs()).hasSize(1);
  }

  @Test
  void announcedChange_thatDoesNotCountAnyMore_isNotWaitedForOnceBothAreEqual() {
    SyncSession atA = session(a);
    SyncSession atB = session(b);
    tell(atA, a, atB.hello());
    tell(atB, b, atA.hello());
    ActorId removed = new Author(new Signer(new byte[32]), 1).actor;
    atB.onAnnounce(new SyncMessage.Announce(9, new TreeMap<>(Map.of(removed, 5L))), b.view());
    assertThat(atB.confirm(b.view())).isNull();
    tell(atB, b, atA.probe(a.view()));
    assertThat(atB.confirm(b.view())).isEqualTo(new SyncMessage.Ack(0, 9));
  }

  @Test
  void announcedChange_thatDidNotCountForAWhile_isAcknowledgedOnlyOnceItIsHere() {
    SyncSession atB = session(b);
    tell(atB, b, session(a).hello());
    a.put("d", "{}");
    ActorId author = java.util.Objects.requireNonNull(a.engine.replica().ownActor());
    long seq = a.view().frontier().seq(author);
    atB.onAnnounce(new SyncMessage.Announce(9, new TreeMap<>(Map.of(author, seq))), b.view());
    atB.expectOnly((actor, announced) -> announced - 1);
    assertThat(atB.confirm(b.view())).isNull();
    // It counts again: one that heard both at once goes on counting on the acknowledgement.
    a.sync(b);
    tell(atB, b, new SyncMessage.Heads(false, a.view().frontier()));
    assertThat(atB.confirm(b.view())).isEqualTo(new SyncMessage.Ack(0, 9));
  }

  @Test
  void members_areUnitedBothWays() {
    Device c = a.join(3);
    b.engine.admit(entryBy(b, 60));
    a.sync(b);
    a.sync(c);
    assertThat(b.view().membership().hash()).isEqualTo(a.view().membership().hash());
    assertThat(c.view().membership().hash()).isEqualTo(a.view().membership().hash());
    assertThat(a.view().membership().role(c.signer.publicKey())).isEqualTo(Role.WRITE);
    assertThat(a.view().membership().role(new Signer(filled(60)).publicKey()))
        .as("b is no admin, so its entry travels and does not count")
        .isNull();
    assertThat(a.view().membership().entries()).hasSize(3);
  }

  private static MembershipEntry entryBy(Device signer, int device) {
    return MembershipEntry.Admit.sign(
        Device.DATABASE,
        new Signer(filled(device)).publicKey(),
        Role.WRITE,
        "x",
        0,
        new byte[16],
        List.of(),
        signer.signer);
  }

  private static byte[] filled(int value) {
    byte[] bytes = new byte[32];
    java.util.Arrays.fill(bytes, (byte) value);
    return bytes;
  }

  /** Writes changes in groups that share a signature. */
  private void writeGrouped(int changes, int groupChanges, String json) {
    var failures = new ArrayList<RuntimeException>();
    for (int i = 0; i < changes; i++) {
      a.wallMillis++;
      a.engine.submit(
          Transaction.of(Edit.put("g" + i, json.getBytes(StandardCharsets.UTF_8))),
          (receipt, failure) -> {
            if (failure != null) {
              failures.add(failure);
            }
          });
      if ((i + 1) % groupChanges == 0) {
        a.engine.turn(false);
      }
    }
    a.engine.turn(true);
    assertThat(failures).isEmpty();
  }

  @Test
  void longStretches_areNeverSplitInsideASignedOne() {
    writeGrouped(5_000, 1_000, large(300));
    SyncSession session = toEmptyPeer(1 << 30);
    int changes = 0;
    SyncMessage.Changes message;
    while ((message = pull(session, a)) != null) {
      assertThat(message.toByteArray().length).isLessThanOrEqualTo(SyncMessage.MAX_BYTES);
      for (ChangeRun run : message.runs()) {
        changes += run.changes().size();
        assertThat(run.toSeq() % 1_000).isZero();
        b.engine.apply(run);
      }
      b.engine.turn(true);
      assertThat(b.view().arrivals()).isEqualTo(changes);
    }
    assertThat(changes).isEqualTo(5_000);
    a.assertEquals(b);
  }

  @Test
  void largestChangesInOneGroup_fitIntoAMessage() {
    writeGrouped(6, 6, large((1 << 20) - 200));
    SyncSession session = toEmptyPeer(1 << 30);
    SyncMessage.Changes message;
    while ((message = pull(session, a)) != null) {
      byte[] bytes = message.toByteArray();
      assertThat(bytes.length).isLessThanOrEqualTo(SyncMessage.MAX_BYTES);
      ((SyncMessage.Changes) SyncMessage.read(bytes)).runs().forEach(b.engine::apply);
      b.engine.turn(true);
    }
    a.assertEquals(b);
  }

  @Test
  void manyActors_interleaved_arriveInCausalOrder() {
    Device c = a.join(3);
    for (int i = 0; i < 30; i++) {
      a.put("d", "{\"a\":" + i + "}");
      a.sync(b);
      b.put("d", "{\"b\":" + i + "}");
      a.sync(b);
    }
    a.sync(c);
    a.assertEquals(c);
    assertThat(c.engine.pending()).isZero();
    assertThat(c.engine.counters().knownRuns()).isZero();
  }

  /** More actors than are sent whole, known to both. */
  private void manyActors() {
    for (int i = 0; i < 300; i++) {
      a.engine.apply(new Author(a.signer, i).add("by" + i, 1_000).run(1, 1));
    }
    a.engine.turn(true);
    a.sync(b);
    a.put("a knows all", "{}");
    b.put("b knows all", "{}");
    a.sync(b);
    a.assertEquals(b);
    assertThat(a.view().frontier().heads()).hasSize(302);
  }

  @Test
  void frontiersOfManyActors_areToldByWhatDiffers() {
    manyActors();
    a.put("news of a", "{}");
    b.put("news of b", "{}");
    Device.Wire wire = a.connect(b);
    wire.settle();
    a.assertEquals(b);
    assertThat(wire.bytes()).as("a whole frontier has 17,000").isLessThan(2_500);
    a.put("later", "{}");
    wire.settle();
    a.assertEquals(b);
    assertThat(wire.closed()).isFalse();
  }

  @Test
  void lostSymbols_areSentAgainAfterAProbe() {
    manyActors();
    a.put("news", "{}");
    Device.Wire wire = a.connect(b);
    wire.moveHellos();
    wire.lose();
    wire.settle();
    assertThat(b.get("news")).isNull();
    a.wallMillis += SyncSession.PROBE_MILLIS;
    b.wallMillis += SyncSession.PROBE_MILLIS;
    a.engine.tick();
    b.engine.tick();
    wire.settle();
    a.assertEquals(b);
    assertThat(wire.bytes()).isLessThan(5_000);
  }
}
