package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.overlay.Contact;
import io.pluresdb.crdt.overlay.OverlayMessage;
import io.pluresdb.crdt.overlay.PeerId;
import io.pluresdb.crdt.overlay.Plumtree;
import io.pluresdb.crdt.sync.SyncMessage;
import io.pluresdb.crdt.sync.SyncMessage.Announce;
import io.pluresdb.crdt.sync.SyncMessage.Graft;
import io.pluresdb.crdt.sync.SyncSession;
import java.util.ArrayList;
import java.util.List;
import java.util.NavigableMap;
import java.util.Objects;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Sessions that announce instead of pushing. */
class GossipTest {
  private Device a;
  private Device b;

  @BeforeEach
  void devices() {
    a = Device.founder(1);
    b = a.join(2);
    a.sync(b);
  }

  /** A session of a with a peer that stands where a stands. */
  private SyncSession atA() {
    var session = new SyncSession(Device.DATABASE, a.view(), new byte[16], a.wallMillis);
    session.onMessage(session.hello(), a.view(), a.engine.replica().log());
    assertThat(session.isReady()).isTrue();
    return session;
  }

  private SyncMessage.@Nullable Changes pull(SyncSession session, boolean eager) {
    return session.pull(a.view(), a.engine.replica().log(), eager);
  }

  private static ActorId actor(Device device) {
    return Objects.requireNonNull(device.engine.replica().ownActor());
  }

  @Test
  void lazySession_announcesOnce_andPushesNothing() {
    SyncSession session = atA();
    a.put("d1", "{}");
    a.put("d2", "{}");
    assertThat(pull(session, false)).isNull();
    assertThat(session.hasNews(a.view())).isTrue();
    Announce announce = Objects.requireNonNull(session.announce(a.view()));
    assertThat(announce.seqs()).containsExactly(java.util.Map.entry(actor(a), 2L));
    assertThat(announce.cursor()).isEqualTo(a.view().arrivals());
    assertThat(session.announce(a.view())).isNull();
    assertThat(pull(session, true)).as("it was told, and has to ask").isNull();
    assertThat(session.reached()).isLessThan(a.view().arrivals());
    session.onMessage(
        new SyncMessage.Ack(0, announce.cursor()), a.view(), a.engine.replica().log());
    assertThat(session.reached()).isEqualTo(a.view().arrivals());
  }

  @Test
  void graft_goesBackToWhatThePeerHas_andNoFurther() {
    SyncSession session = atA();
    for (int i = 1; i <= 5; i++) {
      a.put("d" + i, "{}");
    }
    Objects.requireNonNull(session.announce(a.view()));
    var seqs = new TreeMap<ActorId, Long>();
    seqs.put(actor(a), 3L);
    seqs.put(new ActorId(7, 7), 0L);
    session.onGraft(seqs, a.view(), a.engine.replica().log());
    SyncMessage.Changes changes = Objects.requireNonNull(pull(session, true));
    assertThat(changes.runs()).hasSize(1);
    assertThat(changes.runs().getFirst().fromSeq()).isEqualTo(4);
    assertThat(changes.runs().getFirst().toSeq()).isEqualTo(5);
    assertThat(pull(session, true)).isNull();
    // A peer that claims more than there is gets nothing.
    seqs.put(actor(a), Long.MAX_VALUE);
    session.onGraft(seqs, a.view(), a.engine.replica().log());
    assertThat(pull(session, true)).isNull();
  }

  @Test
  void whatThePeerAnnounced_isNeitherPushedNorAnnouncedToIt() {
    SyncSession session = atA();
    a.put("d", "{}");
    var seqs = new TreeMap<ActorId, Long>();
    seqs.put(actor(a), 1L);
    assertThat(session.onAnnounce(new Announce(9, seqs), a.view())).isEmpty();
    assertThat(session.announce(a.view())).isNull();
    assertThat(pull(session, true)).isNull();
    assertThat(session.reached()).isEqualTo(a.view().arrivals());
  }

  @Test
  void announcedChanges_areAcknowledged_onceTheyCame() {
    SyncSession session = atA();
    b.put("d1", "{}");
    var seqs = new TreeMap<ActorId, Long>();
    seqs.put(actor(b), 1L);
    assertThat(session.onAnnounce(new Announce(42, seqs), a.view())).isEqualTo(seqs);
    assertThat(session.confirm(a.view())).isNull();
    a.sync(b);
    assertThat(session.confirm(a.view())).isEqualTo(new SyncMessage.Ack(0, 42));
    assertThat(session.confirm(a.view())).isNull();
  }

  @Test
  void comparison_pushesWhatIsMissing_alsoOnALazySession_untilThePeerSaysStop() {
    SyncSession session = atA();
    a.put("d", "{}");
    session.onMessage(
        new SyncMessage.Heads(false, io.pluresdb.crdt.causal.Frontier.EMPTY),
        a.view(),
        a.engine.replica().log());
    session.onPrune();
    assertThat(pull(session, false)).isNull();
    session.onMessage(
        new SyncMessage.Heads(false, io.pluresdb.crdt.causal.Frontier.EMPTY),
        a.view(),
        a.engine.replica().log());
    assertThat(session.announce(a.view())).isNull();
    assertThat(pull(session, false)).isNotNull();
  }

  /** The far end of a link, in a test's hands. */
  private static final class Hand implements PeerLink {
    final List<SyncMessage> got = new ArrayList<>();
    final @Nullable Contact contact;
    boolean closed;
    boolean writable = true;

    Hand(@Nullable Contact contact) {
      this.contact = contact;
    }

    @Override
    public void send(SyncMessage message) {
      got.add(message);
    }

    @Override
    public boolean isWritable() {
      return writable;
    }

    @Override
    public void flush() {}

    @Override
    public @Nullable Contact contact() {
      return contact;
    }

    @Override
    public void close(String reason) {
      closed = true;
    }

    long count(Class<? extends SyncMessage> kind) {
      return got.stream().filter(kind::isInstance).count();
    }
  }

  private ReplicaEngine.Peer ready(Hand hand) {
    ReplicaEngine.Peer peer = a.engine.connect(hand);
    a.engine.receive(peer, hand.got.getFirst());
    return peer;
  }

  private static NavigableMap<ActorId, Long> invented(int from, int count) {
    var seqs = new TreeMap<ActorId, Long>();
    for (int i = 0; i < count; i++) {
      seqs.put(new ActorId(99, from + i), 5L);
    }
    return seqs;
  }

  @Test
  void inventedAnnouncements_areAskedForOnce_andEndInAComparison() {
    var hand = new Hand(null);
    ReplicaEngine.Peer peer = ready(hand);
    for (int i = 0; i < 100; i++) {
      a.engine.receive(peer, new Announce(i, invented(i * 1_000, 1_000)));
    }
    a.wallMillis += Plumtree.GRAFT_MILLIS;
    a.engine.tick();
    a.engine.turn(true);
    assertThat(hand.count(Graft.class)).isEqualTo(1);
    Graft graft =
        (Graft) hand.got.stream().filter(Graft.class::isInstance).findFirst().orElseThrow();
    assertThat(graft.seqs()).hasSize(Announce.MAX_ACTORS);
    assertThat(hand.count(SyncMessage.Probe.class)).isBetween(1L, 100L);
    assertThat(hand.closed).isFalse();
    // Nothing of it is ever confirmed.
    assertThat(hand.count(SyncMessage.Ack.class)).isZero();
  }

  @Test
  void peerThatDoesNotRead_isOwedNoGossip() {
    var hand = new Hand(new Contact(PeerId.of(b.signer.publicKey()), "192.0.2.1:1"));
    a.engine.govern(contact -> {});
    ReplicaEngine.Peer peer = ready(hand);
    hand.writable = false;
    int before = hand.got.size();
    for (int i = 0; i < 1_000; i++) {
      a.engine.receive(peer, new SyncMessage.Overlay(new OverlayMessage.Neighbor(true)));
      a.engine.receive(peer, new SyncMessage.Prune());
      a.engine.receive(peer, new Announce(i, invented(0, 10)));
      a.wallMillis += 1_000;
      a.engine.tick();
      a.engine.turn(true);
    }
    // Only what the session itself sends without asking: comparing frontiers every 30 s.
    assertThat(hand.got.size() - before).isLessThanOrEqualTo(1_000 / 30 + 2);
  }

  @Test
  void gossipBeforeHello_isAViolation() {
    var hand = new Hand(null);
    ReplicaEngine.Peer peer = a.engine.connect(hand);
    a.engine.receive(peer, new SyncMessage.Prune());
    assertThat(hand.closed).isTrue();
  }

  @Test
  void view_asksForContacts_andTakesMembersOnly() {
    var wanted = new ArrayList<Contact>();
    Device stranger = Device.founder(9);
    Device c = a.join(3);
    a.engine.govern(wanted::add);
    var hand = new Hand(new Contact(PeerId.of(b.signer.publicKey()), "192.0.2.1:1"));
    ReplicaEngine.Peer peer = ready(hand);
    a.engine.receive(peer, new SyncMessage.Overlay(new OverlayMessage.Join()));
    assertThat(a.engine.neighbours()).containsExactly(PeerId.of(b.signer.publicKey()));
    Contact member = new Contact(PeerId.of(c.signer.publicKey()), "192.0.2.3:1");
    Contact outsider = new Contact(PeerId.of(stranger.signer.publicKey()), "192.0.2.9:1");
    a.engine.receive(
        peer,
        new SyncMessage.Overlay(
            new OverlayMessage.Shuffle(
                1, List.of(PeerId.of(b.signer.publicKey())), List.of(member, outsider))));
    a.wallMillis += 1_000;
    a.engine.tick();
    assertThat(wanted).containsExactly(member);
    a.engine.disconnect(peer);
    assertThat(a.engine.neighbours()).isEmpty();
  }

  @Test
  void announcements_beyondTheirBounds_areRefused() {
    assertThatThrownBy(() -> new Announce(0, invented(0, Announce.MAX_ACTORS + 1)))
        .isInstanceOf(CodecException.class)
        .hasMessageContaining("1024");
    byte[] bytes = new Announce(0, invented(0, 2)).toByteArray();
    // The actors exchanged: not ascending.
    byte[] swapped = bytes.clone();
    System.arraycopy(bytes, 3, swapped, 20, 16);
    System.arraycopy(bytes, 20, swapped, 3, 16);
    assertThatThrownBy(() -> SyncMessage.read(swapped))
        .isInstanceOf(CodecException.class)
        .hasMessageContaining("ascend");
    var nothing = new TreeMap<ActorId, Long>();
    nothing.put(new ActorId(1, 1), 0L);
    assertThat(SyncMessage.read(new Graft(nothing).toByteArray())).isEqualTo(new Graft(nothing));
    assertThatThrownBy(() -> new Announce(0, nothing)).isInstanceOf(CodecException.class);
  }
}
