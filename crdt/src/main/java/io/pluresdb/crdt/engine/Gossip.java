package io.pluresdb.crdt.engine;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.engine.ReplicaEngine.Peer;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.overlay.Contact;
import io.pluresdb.crdt.overlay.HyParView;
import io.pluresdb.crdt.overlay.PeerId;
import io.pluresdb.crdt.overlay.Plumtree;
import io.pluresdb.crdt.overlay.SteadyTime;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.sync.SyncMessage;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Which of an engine's sessions push changes, which only announce them, and which are there at all:
 * the tree and, with a {@link Neighbourhood}, the view of neighbours.
 */
final class Gossip {
  private final Replica replica;
  private final Environment environment;
  private final SteadyTime time;
  private final Plumtree<Peer> tree = new Plumtree<>();
  private final Map<PeerId, Peer> peers = new LinkedHashMap<>();
  private @Nullable HyParView view;
  private @Nullable Neighbourhood neighbourhood;

  Gossip(Replica replica, Environment environment) {
    this.replica = replica;
    this.environment = environment;
    this.time = new SteadyTime(environment.wallClock().millis());
  }

  /** The number of members decides how many neighbours there are. */
  private void measure(HyParView governing) {
    int members = replica.view().membership().members().size();
    governing.setCapacity(HyParView.capacity(members));
  }

  private long now() {
    return time.at(environment.wallClock().millis());
  }

  /** Lets a view of neighbours decide which sessions there are. */
  void govern(PeerId self, Neighbourhood connections) {
    neighbourhood = connections;
    view =
        new HyParView(
            self,
            environment.random(),
            peer -> replica.view().membership().role(peer.toByteArray()) != null);
  }

  void pushToAll() {
    tree.flood(true);
  }

  void learn(Contact contact) {
    HyParView governing = view;
    if (governing != null) {
      governing.learn(contact);
    }
  }

  void shun(PeerId peer) {
    HyParView governing = view;
    if (governing != null) {
      governing.shun(peer);
    }
  }

  void up(Peer peer) {
    Contact contact = peer.link.contact();
    HyParView governing = view;
    if (governing == null || contact == null) {
      tree.up(peer);
      return;
    }
    measure(governing);
    Peer older = peers.put(contact.peer(), peer);
    if (older != null && governing.isActive(contact.peer())) {
      tree.down(older);
      tree.up(peer);
    }
    act(governing.onConnected(contact, peer.link.initiator()));
  }

  void down(Peer peer) {
    tree.down(peer);
    Contact contact = peer.link.contact();
    HyParView governing = view;
    if (governing != null && contact != null && peers.remove(contact.peer(), peer)) {
      act(governing.onDisconnected(contact.peer()));
    }
  }

  void unreachable(PeerId peer) {
    HyParView governing = view;
    if (governing != null) {
      act(governing.onConnectFailed(peer));
    }
  }

  private void act(HyParView.Step step) {
    for (PeerId peer : step.down()) {
      Peer session = peers.get(peer);
      if (session != null) {
        tree.down(session);
      }
    }
    for (PeerId peer : step.up()) {
      Peer session = peers.get(peer);
      if (session != null) {
        tree.up(session);
      }
    }
    for (HyParView.Send send : step.send()) {
      Peer session = peers.get(send.to());
      if (session != null) {
        tell(session, new SyncMessage.Overlay(send.message()));
        session.link.flush();
      }
    }
    Neighbourhood connections = neighbourhood;
    if (connections != null) {
      step.connect().forEach(connections::connect);
      for (PeerId peer : step.disconnect()) {
        Peer session = peers.get(peer);
        if (session != null) {
          session.link.part();
        }
      }
    }
  }

  boolean pushesTo(Peer peer) {
    return tree.isEager(peer);
  }

  void receive(Peer from, SyncMessage.Gossip message) {
    switch (message) {
      case SyncMessage.Overlay(var content) -> {
        HyParView governing = view;
        Contact contact = from.link.contact();
        if (governing != null && contact != null) {
          act(governing.onMessage(contact.peer(), content));
        }
      }
      case SyncMessage.Announce announce -> onAnnounce(from, announce);
      case SyncMessage.Graft(var seqs) -> {
        if (tree.onGraft(from)) {
          from.session.onGraft(seqs, replica.view(), replica.log());
        }
      }
      case SyncMessage.Prune() -> {
        tree.onPrune(from);
        from.session.onPrune();
      }
    }
  }

  /** What is void never comes, and must not be waited for. */
  private SyncMessage.Announce thatMayCome(SyncMessage.Announce announce) {
    var seqs = new TreeMap<>(announce.seqs());
    seqs.replaceAll(replica::countable);
    seqs.values().removeIf(seq -> seq == 0);
    return new SyncMessage.Announce(announce.cursor(), seqs);
  }

  private void onAnnounce(Peer from, SyncMessage.Announce announce) {
    if (!from.session.isReady()) {
      return;
    }
    Frontier here = replica.view().frontier();
    boolean tooMuch = false;
    for (Map.Entry<ActorId, Long> missing :
        from.session.onAnnounce(thatMayCome(announce), replica.view()).entrySet()) {
      ActorId actor = missing.getKey();
      tooMuch |= !tree.onAnnounce(from, actor, missing.getValue(), here.seq(actor), now());
    }
    if (tooMuch) {
      replica.sync();
      tell(from, from.session.probe(replica.view()));
    }
  }

  /** {@code runs} came from a peer, and at least one of them was new here, or none. */
  void delivered(Peer from, List<ChangeRun> runs, boolean fresh) {
    if (runs.isEmpty()) {
      return;
    }
    if (!fresh) {
      if (tree.onDuplicate(from, now())) {
        prune(from);
      }
      return;
    }
    for (ChangeRun run : runs) {
      Plumtree.Swap<Peer> swap = tree.onFresh(from, run.actor(), run.toSeq(), now());
      if (swap != null) {
        graft(swap.graft(), List.of());
        prune(swap.prune());
      }
    }
  }

  private void prune(Peer peer) {
    tell(peer, new SyncMessage.Prune());
  }

  /** Nothing depends on these: a peer that does not read must not fill our memory with them. */
  private static void tell(Peer peer, SyncMessage message) {
    if (peer.link.isWritable()) {
      peer.link.send(message);
    }
  }

  private void graft(Peer peer, List<ActorId> actors) {
    Frontier here = replica.view().frontier();
    var seqs = new TreeMap<ActorId, Long>();
    for (ActorId actor : actors) {
      if (seqs.size() < SyncMessage.Announce.MAX_ACTORS) {
        seqs.put(actor, here.seq(actor));
      }
    }
    tell(peer, new SyncMessage.Graft(seqs));
  }

  /**
   * Lets time pass.
   *
   * @param synced whether everything that is visible is on the disk
   */
  void tick(Iterable<Peer> sessions, boolean synced) {
    long now = now();
    HyParView governing = view;
    if (governing != null) {
      measure(governing);
      act(governing.onTick(now));
    }
    Frontier here = replica.view().frontier();
    tree.onTick(now, here::seq).forEach(this::graft);
    if (synced) {
      for (Peer peer : sessions) {
        SyncMessage.Ack ack = peer.session.confirm(replica.view());
        if (ack != null) {
          ReplicaEngine.answer(peer, ack);
        }
      }
    }
  }

  /** Announces what is new; only when everything that is visible is on the disk. */
  void announce() {
    Replica.View visible = replica.view();
    for (Peer peer :
        tree.announceTo(
            now(), one -> !one.owes() && one.link.isWritable() && one.session.hasNews(visible))) {
      SyncMessage.Announce news = peer.session.announce(visible);
      if (news != null) {
        peer.link.send(news);
      }
    }
  }

  List<PeerId> neighbours() {
    return view == null ? List.of() : view.active();
  }
}
