package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.engine.WaitingRuns.Held;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.reconcile.KeyRange;
import io.pluresdb.crdt.reconcile.RangeMessage;
import io.pluresdb.crdt.store.MemoryStorage;
import io.pluresdb.crdt.store.RunOutcome;
import io.pluresdb.crdt.store.RunOutcome.Reason;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.crdt.sync.SyncMessage;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What a peer that lies, floods or does not read can cost, and what it cannot. */
class HostilePeerTest {
  private Device a;

  @BeforeEach
  void device() {
    a = Device.founder(1);
  }

  /** A link whose other end the test plays. */
  private static final class TestLink implements PeerLink {
    final List<SyncMessage> sent = new ArrayList<>();
    boolean writable = true;

    @Override
    public void send(SyncMessage message) {
      sent.add(message);
    }

    @Override
    public boolean isWritable() {
      return writable;
    }

    @Override
    public void flush() {}

    @Override
    public void close(String reason) {}
  }

  private ReplicaEngine.Peer connected(TestLink link) {
    ReplicaEngine.Peer peer = a.engine.connect(link);
    a.engine.receive(
        peer,
        new SyncMessage.Hello(
            1, Device.DATABASE, Hash.ZERO, Hash.ZERO, Hash.ZERO, new byte[16], 0, 1 << 20));
    a.engine.turn(true);
    return peer;
  }

  private static ChangeRun unknown(long actor, byte[] signature) {
    var change = new Change(List.of(), 1, new byte[10]);
    return new ChangeRun(new ActorId(actor, 1), 2, null, List.of(change), signature);
  }

  private static Held held(ChangeRun run, String peer) {
    return new Held(run, peer, 0, new RunOutcome.Waiting(run.actor(), 1));
  }

  @Test
  void fullBuffer_takesRoomFromThePeerThatUsesMost() {
    var waiting = new WaitingRuns();
    for (int i = 0; i < WaitingRuns.MAX_RUNS; i++) {
      assertThat(waiting.add(held(unknown(i, new byte[64]), "greedy"))).isEmpty();
    }
    Held more = held(unknown(-1, new byte[64]), "greedy");
    assertThat(waiting.add(more)).containsExactly(more);
    var dropped = waiting.add(held(unknown(-2, new byte[64]), "modest"));
    assertThat(dropped).hasSize(1);
    assertThat(dropped.getFirst().peer()).isEqualTo("greedy");
    assertThat(waiting.holdsOf("modest")).isTrue();
    assertThat(waiting.changes()).isEqualTo(WaitingRuns.MAX_RUNS);
    waiting.forget("greedy");
    assertThat(waiting.changes()).isEqualTo(1);
  }

  @Test
  void forgeryThatWaits_doesNotStandInForTheRealRun() {
    var waiting = new WaitingRuns();
    byte[] other = new byte[64];
    other[0] = 1;
    waiting.add(held(unknown(7, new byte[64]), "liar"));
    waiting.add(held(unknown(7, other), "honest"));
    waiting.add(held(unknown(7, other), "honest"));
    assertThat(waiting.changes()).isEqualTo(2);
  }

  @Test
  void whatWaitsInVain_isDroppedAndCounted() {
    a.engine.apply(unknown(7, new byte[64]));
    for (int i = 1; i < WaitingRuns.MAX_WAIT_TICKS; i++) {
      a.engine.tick();
    }
    assertThat(a.engine.pending()).isEqualTo(1);
    a.engine.tick();
    assertThat(a.engine.pending()).isZero();
    assertThat(a.engine.counters().rejected().get(Reason.EXPIRED)).isEqualTo(1);
    assertThat(a.events).anyMatch(event -> event.contains("Waiting"));
  }

  @Test
  void whatWaits_goesWithItsPeer_andIsNotAcknowledged() {
    var link = new TestLink();
    ReplicaEngine.Peer peer = connected(link);
    a.engine.receive(peer, new SyncMessage.Changes(5, List.of(unknown(7, new byte[64]))));
    a.engine.turn(true);
    assertThat(a.engine.pending()).isEqualTo(1);
    assertThat(link.sent)
        .filteredOn(SyncMessage.Ack.class::isInstance)
        .extracting(message -> ((SyncMessage.Ack) message).cursor())
        .containsExactly(0L);
    a.engine.disconnect(peer);
    assertThat(a.engine.pending()).isZero();
  }

  private void claimMore(ReplicaEngine.Peer peer, ActorId own) {
    var heads = Map.of(own, new Head(1_000, Hash.ZERO));
    a.engine.receive(peer, new SyncMessage.Heads(false, Frontier.of(heads)));
    a.engine.turn(false);
  }

  @Test
  void claimsAboutOurActor_costOneActor_notOneEach() {
    ActorId first = a.put("d", "{}").actor();
    ReplicaEngine.Peer peer = connected(new TestLink());
    claimMore(peer, first);
    ActorId second = a.put("d", "{}").actor();
    assertThat(second).isNotEqualTo(first);
    claimMore(peer, second);
    assertThat(a.put("d", "{}").actor()).isEqualTo(second);
    for (int i = 0; i < ReplicaEngine.TICKS_BETWEEN_CLAIMS; i++) {
      a.engine.tick();
    }
    claimMore(peer, second);
    assertThat(a.put("d", "{}").actor()).isNotEqualTo(second);
  }

  @Test
  void actorThatWasGivenUp_staysGivenUpAfterPowerLoss() {
    ActorId first = a.put("d", "{}").actor();
    claimMore(connected(new TestLink()), first);
    a.crash();
    assertThat(a.put("d", "{}").actor()).isNotEqualTo(first);
  }

  @Test
  void peerThatAsksAndDoesNotRead_isOwedOneAnswerOfEachKind() {
    a.put("d", "{}");
    var link = new TestLink();
    ReplicaEngine.Peer peer = connected(link);
    link.writable = false;
    int before = link.sent.size();
    for (int i = 0; i < 100; i++) {
      a.engine.receive(peer, new SyncMessage.Probe(Hash.ZERO, Hash.ZERO, Hash.ZERO));
      a.engine.turn(true);
    }
    assertThat(link.sent).hasSize(before);
    link.writable = true;
    a.engine.turn(true);
    assertThat(link.sent.size() - before).isBetween(1, 3);
  }

  @Test
  void peerThatComparesAndDoesNotRead_isOwedOneAnswer() {
    a.put("d", "{}");
    var link = new TestLink();
    ReplicaEngine.Peer peer = connected(link);
    link.writable = false;
    int before = link.sent.size();
    for (int i = 1; i <= 100; i++) {
      var open = new RangeMessage.Open(i, Hash.ZERO, false, KeyRange.ALL);
      a.engine.receive(peer, new SyncMessage.Ranges(open));
      a.engine.receive(
          peer, new SyncMessage.Ranges(new RangeMessage.Close(i + 1, RangeMessage.Reason.DONE)));
      a.engine.turn(true);
    }
    assertThat(link.sent).hasSize(before);
    link.writable = true;
    a.engine.turn(true);
    assertThat(link.sent.subList(before, link.sent.size()))
        .filteredOn(message -> message instanceof SyncMessage.Ranges)
        .singleElement()
        .satisfies(
            message ->
                assertThat(((SyncMessage.Ranges) message).message())
                    .isInstanceOfSatisfying(
                        RangeMessage.Opened.class,
                        opened -> assertThat(opened.id()).isEqualTo(100)));
  }

  @Test
  void admission_onAFullDisk_isReported() {
    byte[] device = new Signer(new byte[32]).publicKey();
    var entry =
        MembershipEntry.Admit.sign(
            Device.DATABASE, device, Role.WRITE, "d", 0, new byte[16], List.of(), a.signer);
    a.storage.failNextCommit(MemoryStorage.Fault.FULL);
    assertThatThrownBy(() -> a.engine.admit(entry)).isInstanceOf(StorageException.Full.class);
    assertThat(a.view().membership().role(device)).isNull();
    a.engine.admit(entry);
    assertThat(a.view().membership().role(device)).isEqualTo(Role.WRITE);
  }
}
