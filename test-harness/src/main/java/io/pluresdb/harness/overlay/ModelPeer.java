package io.pluresdb.harness.overlay;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.overlay.Contact;
import io.pluresdb.crdt.overlay.HyParView;
import io.pluresdb.crdt.overlay.OverlayMessage;
import io.pluresdb.crdt.overlay.PeerId;
import io.pluresdb.crdt.overlay.Plumtree;
import io.pluresdb.crdt.sync.SyncSession;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/**
 * A device with the product's {@link HyParView} and {@link Plumtree}, and numbers in the place of
 * changes: which writer's changes are here up to where. What a session does with them is what
 * {@code SyncSession} and {@code Gossip} do; a test holds the two against each other.
 */
final class ModelPeer implements OverlayPeer {
  /**
   * What is switched off, for controls and comparisons.
   *
   * @param tree without it every link pushes
   * @param repair without it nothing that was announced is asked for
   * @param backstop without it no session ever compares frontiers
   */
  record Switches(boolean tree, boolean repair, boolean backstop) {
    static final Switches ALL = new Switches(true, true, true);
  }

  /** The changes of a run, in the order of publishing: who wrote each, and its number there. */
  static final class Changes {
    /** A change of a 200-byte document that names 12 others, its run and message, signature. */
    static final int BYTES = 525;

    /** Each further change in a message. */
    static final int FURTHER_BYTES = 420;

    final List<int[]> all = new ArrayList<>(); // {writer, seq}
    final List<List<Integer>> byWriter = new ArrayList<>(); // seq - 1 -> change

    int writers() {
      return byWriter.size();
    }

    int of(int writer, long seq) {
      return byWriter.get(writer).get((int) seq - 1);
    }
  }

  private record Seq(int writer, long seq) {}

  private record Range(int writer, long from, long to) {}

  private sealed interface Content {
    record Hello(long hash) implements Content {}

    record Heads(boolean wantReply, long[] seqs) implements Content {}

    record Probe(long hash) implements Content {}

    record Runs(List<Range> ranges) implements Content {}

    record Announce(List<Seq> seqs) implements Content {}

    record Graft(List<Seq> seqs) implements Content {}

    record Prune() implements Content {}

    record Ack() implements Content {}

    record View(OverlayMessage message) implements Content {}
  }

  private static final class Session {
    long[] known = {};
    long[] helloHave = {};
    long helloHash;
    boolean ready;
    boolean confirm;
    long lastProbe;
  }

  private static final int HASHES_BYTES = 65;
  private static final int SEQ_BYTES = 18;

  private final OverlayNetwork network;
  private final int index;
  private final Changes changes;
  private final Switches switches;
  private final HyParView view;
  private final Plumtree<Link> tree = new Plumtree<>();
  private final Map<Integer, Link> links = new LinkedHashMap<>();
  private long[] have;

  ModelPeer(
      OverlayNetwork network,
      int index,
      PeerId id,
      Changes changes,
      int capacity,
      Switches switches) {
    this.network = network;
    this.index = index;
    this.changes = changes;
    this.switches = switches;
    this.view = new HyParView(id, new SplittableRandom(index * 31L + 7), peer -> true);
    view.setCapacity(capacity);
    tree.flood(!switches.tree());
    have = new long[changes.writers()];
  }

  private static Contact contact(OverlayNetwork network, int peer) {
    // As long as an address usually is.
    return new Contact(network.id(peer), "192.168.100.100:34570");
  }

  private long[] have() {
    if (have.length < changes.writers()) {
      have = Arrays.copyOf(have, changes.writers());
    }
    return have;
  }

  private long hash() {
    long hash = 0;
    long[] here = have();
    for (int writer = 0; writer < here.length; writer++) {
      hash += here[writer] == 0 ? 0 : OverlayNetwork.mix(here[writer] * 1_000_003 + writer);
    }
    return hash;
  }

  private static ActorId actor(int writer) {
    return new ActorId(0, writer);
  }

  private static Session session(Link link) {
    if (link.state instanceof Session session) {
      return session;
    }
    throw new IllegalStateException("a link has a session");
  }

  private void send(Link link, Kind kind, Content content, int bytes) {
    network.send(link, new Message(kind, content, bytes));
  }

  @Override
  public void learn(int peer) {
    view.learn(contact(network, peer));
  }

  @Override
  public void connected(Link link) {
    var session = new Session();
    session.lastProbe = network.now();
    session.helloHash = hash();
    session.helloHave = have().clone();
    link.state = session;
    links.put(link.peer, link);
    send(link, Kind.COMPARE, new Content.Hello(session.helloHash), HASHES_BYTES + 38);
    act(view.onConnected(contact(network, link.peer), link.initiator));
  }

  @Override
  public void closed(Link link) {
    tree.down(link);
    if (links.remove(link.peer, link)) {
      act(view.onDisconnected(network.id(link.peer)));
    }
  }

  @Override
  public void unreachable(int peer) {
    act(view.onConnectFailed(network.id(peer)));
  }

  private @Nullable Link link(PeerId id) {
    return links.get(network.index(id));
  }

  private void act(HyParView.Step step) {
    for (PeerId peer : step.down()) {
      Link link = link(peer);
      if (link != null) {
        tree.down(link);
      }
    }
    for (PeerId peer : step.up()) {
      Link link = link(peer);
      if (link != null) {
        tree.up(link);
        push(link);
      }
    }
    for (HyParView.Send message : step.send()) {
      Link link = link(message.to());
      if (link != null) {
        var out = new ByteWriter();
        message.message().write(out);
        send(link, Kind.VIEW, new Content.View(message.message()), 1 + out.size());
      }
    }
    for (Contact wanted : step.connect()) {
      network.dial(index, network.index(wanted.peer()));
    }
    for (PeerId peer : step.disconnect()) {
      Link link = link(peer);
      if (link != null) {
        network.close(link);
      }
    }
  }

  @Override
  public void receive(Link link, Message message) {
    Session session = session(link);
    switch ((Content) message.content()) {
      case Content.Hello(long hash) -> {
        if (hash == session.helloHash || !switches.backstop()) {
          session.known = session.helloHave.clone();
          session.ready = true;
          push(link);
        } else {
          heads(link, false);
        }
      }
      case Content.Heads(boolean wantReply, long[] seqs) -> {
        session.known = seqs.clone();
        session.ready = true;
        pushAll(link);
        if (wantReply) {
          heads(link, false);
        }
      }
      case Content.Probe(long hash) -> {
        if (hash != hash()) {
          heads(link, true);
        }
      }
      case Content.Runs(var ranges) -> onRuns(link, ranges);
      case Content.Announce(var seqs) -> {
        for (Seq announced : seqs) {
          int writer = announced.writer();
          known(session)[writer] = Math.max(known(session)[writer], announced.seq());
          tree.onAnnounce(link, actor(writer), announced.seq(), have()[writer], network.now());
        }
        session.confirm = true;
      }
      case Content.Graft(var seqs) -> {
        if (tree.onGraft(link)) {
          for (Seq has : seqs) {
            known(session)[has.writer()] = has.seq();
          }
          push(link);
        }
      }
      case Content.Prune() -> tree.onPrune(link);
      case Content.Ack() -> {}
      case Content.View(var content) -> act(view.onMessage(network.id(link.peer), content));
    }
  }

  private long[] known(Session session) {
    if (session.known.length < changes.writers()) {
      session.known = Arrays.copyOf(session.known, changes.writers());
    }
    return session.known;
  }

  private void heads(Link link, boolean wantReply) {
    int actors = 0;
    for (long seq : have()) {
      actors += seq > 0 ? 1 : 0;
    }
    send(link, Kind.COMPARE, new Content.Heads(wantReply, have().clone()), 3 + 50 * actors);
  }

  private void onRuns(Link link, List<Range> ranges) {
    Session session = session(link);
    boolean fresh = false;
    for (Range range : ranges) {
      int writer = range.writer();
      known(session)[writer] = Math.max(known(session)[writer], range.to());
      if (range.to() > have()[writer] && range.from() <= have()[writer] + 1) {
        have()[writer] = range.to();
        fresh = true;
        Plumtree.Swap<Link> swap = tree.onFresh(link, actor(writer), range.to(), network.now());
        if (swap != null) {
          graft(swap.graft(), List.of());
          send(swap.prune(), Kind.PRUNE, new Content.Prune(), 1);
        }
      }
    }
    send(link, Kind.ACK, new Content.Ack(), 5);
    if (fresh) {
      pushToAll();
    } else if (tree.onDuplicate(link, network.now())) {
      send(link, Kind.PRUNE, new Content.Prune(), 1);
    }
  }

  private void graft(Link link, List<ActorId> actors) {
    var seqs = new ArrayList<Seq>();
    for (ActorId actor : actors) {
      int writer = (int) actor.low();
      seqs.add(new Seq(writer, have()[writer]));
    }
    send(link, Kind.GRAFT, new Content.Graft(seqs), 2 + SEQ_BYTES * seqs.size());
  }

  private void pushToAll() {
    for (Link link : links.values()) {
      push(link);
    }
    announce();
  }

  private void push(Link link) {
    if (session(link).ready && tree.isEager(link)) {
      pushAll(link);
    }
  }

  private void pushAll(Link link) {
    long[] known = known(session(link));
    var ranges = new ArrayList<Range>();
    var carried = new ArrayList<Integer>();
    for (int writer = 0; writer < have().length; writer++) {
      if (known[writer] < have()[writer]) {
        ranges.add(new Range(writer, known[writer] + 1, have()[writer]));
        for (long seq = known[writer] + 1; seq <= have()[writer]; seq++) {
          carried.add(changes.of(writer, seq));
        }
        known[writer] = have()[writer];
      }
    }
    if (!ranges.isEmpty()) {
      int bytes = Changes.BYTES + Changes.FURTHER_BYTES * (carried.size() - 1);
      network.send(
          link,
          new Message(
              Kind.CHANGES,
              new Content.Runs(ranges),
              bytes,
              carried.stream().mapToInt(Integer::intValue).toArray()));
    }
  }

  @Override
  public void tick() {
    act(view.onTick(network.now()));
    if (switches.repair()) {
      tree.onTick(network.now(), actor -> have()[(int) actor.low()]).forEach(this::graft);
    }
    announce();
    for (Link link : List.copyOf(links.values())) {
      Session session = session(link);
      if (session.confirm) {
        session.confirm = false;
        send(link, Kind.ACK, new Content.Ack(), 4);
      }
      if (switches.backstop() && network.now() - session.lastProbe >= SyncSession.PROBE_MILLIS) {
        session.lastProbe = network.now();
        send(link, Kind.COMPARE, new Content.Probe(hash()), HASHES_BYTES);
      }
    }
  }

  private void announce() {
    tree.announceTo(network.now(), this::hasNews).forEach(this::announce);
  }

  private boolean hasNews(Link link) {
    Session session = session(link);
    long[] known = known(session);
    boolean news = false;
    for (int writer = 0; writer < have().length; writer++) {
      news |= known[writer] < have()[writer];
    }
    return session.ready && news;
  }

  private void announce(Link link) {
    long[] known = known(session(link));
    var seqs = new ArrayList<Seq>();
    for (int writer = 0; writer < have().length; writer++) {
      if (known[writer] < have()[writer]) {
        seqs.add(new Seq(writer, have()[writer]));
        known[writer] = have()[writer];
      }
    }
    if (!seqs.isEmpty()) {
      send(link, Kind.ANNOUNCE, new Content.Announce(seqs), 4 + SEQ_BYTES * seqs.size());
    }
  }

  @Override
  public void write(int change) {
    int[] written = changes.all.get(change);
    have()[written[0]] = written[1];
    pushToAll();
  }

  @Override
  public boolean has(int change) {
    int[] written = changes.all.get(change);
    return have()[written[0]] >= written[1];
  }

  @Override
  public List<PeerId> neighbours() {
    return view.active();
  }

  @Override
  public List<PeerId> reserve() {
    return view.passive().stream().map(Contact::peer).toList();
  }
}
