package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.DocumentEdit;
import io.pluresdb.crdt.op.Register;
import io.pluresdb.crdt.store.RunOutcome;
import io.pluresdb.crdt.store.RunOutcome.Reason;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Whatever a run claims, it is applied only as its author signed it, and only from a member. */
class ChainTest {
  private static final long NOW = 1_000_000;

  private Device founder;
  private Device member;
  private Author author;

  @BeforeEach
  void devices() {
    founder = Device.founder(1);
    member = founder.join(2);
    author = new Author(member.signer, 1);
    author.add("1", NOW).add("2", NOW + 1).add("3", NOW + 2);
  }

  private RunOutcome apply(ChangeRun run) {
    RunOutcome outcome = founder.engine.apply(run);
    founder.engine.turn(true);
    return outcome;
  }

  private void assertRejected(ChangeRun run, Reason reason) {
    var before = founder.view();
    assertThat(apply(run))
        .isInstanceOfSatisfying(
            RunOutcome.Rejected.class, r -> assertThat(r.reason()).isEqualTo(reason));
    assertThat(founder.view()).isEqualTo(before);
    assertThat(founder.engine.pending()).isZero();
  }

  @Test
  void asSigned_isApplied_once() {
    assertThat(apply(author.run(1, 3))).isEqualTo(new RunOutcome.Applied(3));
    assertThat(apply(author.run(1, 3))).isEqualTo(new RunOutcome.Known());
    assertThat(apply(author.run(2, 3))).isEqualTo(new RunOutcome.Known());
    assertThat(founder.json("3")).isEqualTo("{}");
  }

  @Test
  void tamperedSignature_isRefused() {
    ChangeRun run = author.run(1, 3);
    for (int at = 0; at < 64; at += 7) {
      byte[] signature = run.signature().clone();
      signature[at] ^= 1;
      assertRejected(
          new ChangeRun(run.actor(), 1, run.genesis(), run.changes(), signature),
          Reason.BAD_SIGNATURE);
    }
  }

  @Test
  void tamperedChange_anywhereInTheRun_isRefused() {
    ChangeRun run = author.run(1, 3);
    for (int i = 0; i < 3; i++) {
      Change change = run.changes().get(i);
      byte[] body = change.body().clone();
      body[4] ^= 1;
      for (Change forged :
          List.of(
              new Change(change.deps(), change.timestamp(), body),
              new Change(change.deps(), change.timestamp() + 1, change.body()),
              Author.put(author.actor, "more", change.timestamp()))) {
        var changes = new ArrayList<>(run.changes());
        changes.set(i, forged);
        assertRejected(with(run, changes), Reason.BAD_SIGNATURE);
      }
    }
  }

  private static ChangeRun with(ChangeRun run, List<Change> changes) {
    return new ChangeRun(run.actor(), run.fromSeq(), run.genesis(), changes, run.signature());
  }

  @Test
  void tamperedDependencies_areRefused() {
    founder.put("d", "{}");
    ActorId other = founder.view().frontier().heads().firstKey();
    ChangeRun run = author.run(1, 3);
    var changes = new ArrayList<>(run.changes());
    Change last = changes.removeLast();
    changes.add(
        new Change(List.of(new Change.Dependency(other, 1)), last.timestamp(), last.body()));
    assertRejected(with(run, changes), Reason.BAD_SIGNATURE);
  }

  @Test
  void droppedReorderedOrRenumberedChanges_areRefused() {
    ChangeRun run = author.run(1, 3);
    assertRejected(with(run, run.changes().subList(0, 2)), Reason.BAD_SIGNATURE);
    assertRejected(
        with(run, List.of(run.changes().get(0), run.changes().get(2))), Reason.BAD_SIGNATURE);
    assertRejected(with(run, run.changes().reversed()), Reason.MALFORMED);
    apply(author.run(1, 1));
    assertRejected(
        new ChangeRun(run.actor(), 2, null, run.changes().subList(2, 3), run.signature()),
        Reason.BAD_SIGNATURE);
  }

  @Test
  void gap_waits_andIsAppliedOnceFilled() {
    assertThat(apply(author.run(2, 3))).isEqualTo(new RunOutcome.Waiting(author.actor, 1));
    assertThat(founder.engine.pending()).isEqualTo(2);
    assertThat(founder.view().arrivals()).isZero();
    assertThat(apply(author.run(1, 1))).isEqualTo(new RunOutcome.Applied(1));
    assertThat(founder.engine.pending()).isZero();
    assertThat(founder.view().arrivals()).isEqualTo(3);
  }

  @Test
  void overlap_isAppliedFromOurHeadOn() {
    apply(author.run(1, 2));
    assertThat(apply(author.run(1, 3))).isEqualTo(new RunOutcome.Applied(1));
    author.add("4", NOW + 3);
    assertThat(apply(author.run(2, 4))).isEqualTo(new RunOutcome.Applied(1));
    assertThat(founder.view().arrivals()).isEqualTo(4);
  }

  @Test
  void genesisOfAnotherKeyOrNone_isRefused() {
    ChangeRun run = author.run(1, 3);
    var other = new Author(founder.signer, 1);
    assertRejected(
        new ChangeRun(run.actor(), 1, other.genesis, run.changes(), run.signature()),
        Reason.WRONG_GENESIS);
    assertRejected(
        new ChangeRun(run.actor(), 1, null, run.changes(), run.signature()), Reason.WRONG_GENESIS);
  }

  @Test
  void forgedByAnotherMember_isRefused() {
    Device third = founder.join(3);
    ChangeRun run = author.run(1, 3);
    byte[] signature = third.signer.sign(author.hashes.get(3).bytes());
    assertRejected(
        new ChangeRun(run.actor(), 1, run.genesis(), run.changes(), signature),
        Reason.BAD_SIGNATURE);
  }

  @Test
  void strangerAndRolesWithoutWriting_areRefused() {
    for (Role role : new Role[] {Role.PULL, Role.READ}) {
      var signer = new Signer(filled(role == Role.PULL ? 40 : 41));
      founder.engine.admit(
          MembershipEntry.Admit.sign(
              Device.DATABASE,
              signer.publicKey(),
              role,
              "reader",
              0,
              new byte[16],
              List.of(),
              founder.signer));
      assertRejected(new Author(signer, 1).add("x", NOW).run(1, 1), Reason.NOT_A_MEMBER);
    }
    var stranger = new Signer(filled(50));
    assertRejected(new Author(stranger, 1).add("x", NOW).run(1, 1), Reason.NOT_A_MEMBER);
  }

  private static byte[] filled(int value) {
    byte[] bytes = new byte[32];
    java.util.Arrays.fill(bytes, (byte) value);
    return bytes;
  }

  @Test
  void changeOfAnotherDatabase_isRefused() {
    var change = author.changes.getFirst();
    var elsewhere = io.pluresdb.crdt.store.ReplicaIdentity.databaseHash("another");
    byte[] signature =
        member.signer.sign(
            change.hash(elsewhere, author.actor, 1, io.pluresdb.crdt.codec.Hash.ZERO).bytes());
    assertRejected(
        new ChangeRun(author.actor, 1, author.genesis, List.of(change), signature),
        Reason.BAD_SIGNATURE);
  }

  @Test
  void fallingHybridTime_orDependencyOnItself_isRefused() {
    var falling = new Author(member.signer, 2).add("1", NOW).add("2", NOW);
    assertRejected(falling.run(1, 2), Reason.MALFORMED);
    var selfish = new Author(member.signer, 3);
    selfish.add("1", NOW, new Change.Dependency(selfish.actor, 1));
    assertRejected(selfish.run(1, 1), Reason.MALFORMED);
  }

  @Test
  void observedDotOfItsOwnFuture_isRefused_andOfAnUnknownActorWaits() {
    for (Dot dot : new Dot[] {new Dot(author.actor, 4, 0), new Dot(author.actor, 5, 0)}) {
      var liar = new Author(member.signer, 1);
      author.changes.forEach(liar::add);
      liar.add(observing(liar.actor, dot));
      assertRejected(liar.run(1, 4), Reason.MALFORMED);
    }
    var early = new Author(member.signer, 4);
    early.add(observing(early.actor, new Dot(author.actor, 2, 0)));
    assertThat(apply(early.run(1, 1))).isEqualTo(new RunOutcome.Waiting(author.actor, 2));
    apply(author.run(1, 3));
    assertThat(founder.engine.pending()).isZero();
    assertThat(founder.json("e")).isEqualTo("{}");
  }

  private static Change observing(ActorId actor, Dot dot) {
    var operation = new CrdtOperation.Assign(Register.exists(), List.of(dot), new byte[0]);
    var edit = new DocumentEdit("e".getBytes(StandardCharsets.UTF_8), List.of(operation));
    return new Change(List.of(), (NOW + 9) << 16, ChangeBody.encode(actor, List.of(edit)));
  }

  @Test
  void fork_stopsOnlyTheForkedActor() {
    founder.sync(member);
    var left = new Author(member.signer, 7).add("1", NOW).add("left", NOW + 1);
    var right = new Author(member.signer, 7).add("1", NOW).add("right", NOW + 1);
    left.add("left later", NOW + 2);
    assertThat(left.actor).isEqualTo(right.actor);
    Device other = founder.join(4);
    founder.sync(other);
    founder.engine.apply(left.run(1, 2));
    other.engine.apply(right.run(1, 2));
    founder.engine.turn(true);
    other.engine.turn(true);
    // The equivocation is known, and both go on with everybody else.
    Device.Wire wire = founder.connect(other);
    wire.settle();
    founder.engine.apply(left.run(1, 3));
    wire.settle();
    assertThat(other.json("left later")).isNull();
    for (Device device : List.of(founder, other)) {
      assertThat(device.view().membership().forks())
          .singleElement()
          .satisfies(fork -> assertThat(fork.actor()).isEqualTo(left.actor));
    }
    other.put("from the other", "{}");
    wire.settle();
    assertThat(founder.json("from the other")).isEqualTo("{}");
    assertThat(wire.closed()).isFalse();
  }

  @Test
  void tenMinutesAhead_isHeld_appliedWhenTheClockGetsThere_andDoesNotPushOurClock() {
    founder.wallMillis = NOW;
    var ahead = new Author(member.signer, 8).add("soon", NOW + 600_001);
    var justNot = new Author(member.signer, 9).add("now", NOW + 600_000);
    assertThat(apply(ahead.run(1, 1))).isInstanceOf(RunOutcome.Ahead.class);
    assertThat(founder.engine.pending()).isEqualTo(1);
    founder.put("mine", "{}");
    assertThat(timestamp("mine")).isEqualTo(NOW + 1);
    founder.wallMillis = NOW;
    founder.engine.tick();
    founder.engine.turn(true);
    assertThat(founder.json("soon")).isNull();
    assertThat(apply(justNot.run(1, 1))).isEqualTo(new RunOutcome.Applied(1));
    assertThat(founder.json("now")).isEqualTo("{}");
    founder.wallMillis = NOW + 1;
    founder.engine.tick();
    founder.engine.turn(true);
    assertThat(founder.json("soon")).isEqualTo("{}");
    founder.crash();
    assertThat(founder.json("soon")).as("released by time and synced").isEqualTo("{}");
    founder.put("later", "{}");
    assertThat(timestamp("later")).isEqualTo(NOW + 600_001);
  }

  private long timestamp(String id) {
    var record = founder.get(id);
    return record == null ? -1 : record.timestamp();
  }

  @Test
  void tooManyWaitingRuns_areDropped_andCounted() {
    for (int i = 0; i < WaitingRuns.MAX_RUNS + 3; i++) {
      var gap = new ActorId(i, 1);
      founder.engine.apply(new ChangeRun(gap, 2, null, author.changes.subList(0, 1), new byte[64]));
    }
    assertThat(founder.engine.pending()).isEqualTo(WaitingRuns.MAX_RUNS);
    assertThat(founder.engine.counters().rejected().get(Reason.BUFFER_FULL)).isEqualTo(3);
    assertThat(apply(author.run(1, 3))).isEqualTo(new RunOutcome.Applied(3));
  }

  @Test
  void backupRestoredTwice_neverReusesAnActor() {
    // A refused write has minted an actor already; the next commit must not remember it.
    try {
      founder.write(io.pluresdb.crdt.store.Edit.delete("nothing"));
    } catch (io.pluresdb.crdt.CoreException expected) {
      assertThat(expected.kind()).isEqualTo(io.pluresdb.crdt.CoreException.Kind.NOT_FOUND);
    }
    apply(author.run(1, 1));
    var backup = founder.storage.copy();
    var actors = new ArrayList<ActorId>();
    for (int life = 0; life < 3; life++) {
      actors.add(founder.put("d" + life, "{}").actor());
      founder.storage = backup.copy();
      founder.crash();
    }
    assertThat(actors).doesNotHaveDuplicates();
  }
}
