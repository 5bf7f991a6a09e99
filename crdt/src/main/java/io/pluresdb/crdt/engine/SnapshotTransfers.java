package io.pluresdb.crdt.engine;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.engine.ReplicaEngine.Peer;
import io.pluresdb.crdt.engine.ReplicaEngine.SnapshotCounters;
import io.pluresdb.crdt.overlay.Contact;
import io.pluresdb.crdt.overlay.PeerId;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.SnapshotInbox;
import io.pluresdb.crdt.store.SnapshotInbox.Ask;
import io.pluresdb.crdt.store.SnapshotInbox.Phase;
import io.pluresdb.crdt.store.SnapshotInbox.Verdict;
import io.pluresdb.crdt.store.SnapshotSource;
import io.pluresdb.crdt.sync.SnapshotMessage;
import io.pluresdb.crdt.sync.SnapshotMessage.Gone;
import io.pluresdb.crdt.sync.SnapshotMessage.Offer;
import io.pluresdb.crdt.sync.SnapshotMessage.Part;
import io.pluresdb.crdt.sync.SnapshotMessage.Request;
import io.pluresdb.crdt.sync.SnapshotMessage.Same;
import io.pluresdb.crdt.sync.SyncMessage;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Snapshots on their way: the ones that are given to peers, and the one that is taken in.
 *
 * <p>Who gives keeps a snapshot open while it is asked for and remembers nothing else. Who takes
 * asks one peer at a time, one range at a time, verifies the whole, and joins it.
 */
final class SnapshotTransfers {
  /** Snapshots that are kept open at a time; peers that ask for the same share one. */
  static final int MAX_GIVEN = 2;

  /** Snapshots that did not hold and are remembered, so that they are not taken again. */
  static final int MAX_REFUSED = 16;

  /** A snapshot nobody asks for is closed after this. */
  static final long IDLE_MILLIS = 120_000;

  /** A snapshot is closed after this even when it is asked for: it holds back the storage. */
  static final long MAX_AGE_MILLIS = 6 * 3_600_000L;

  /** A question without an answer is asked again after this. */
  static final long RETRY_MILLIS = 15_000;

  /** A peer that does not answer so long is given up. */
  static final long GIVE_UP_MILLIS = 60_000;

  /** Who offered and did not give comes after the others for so long. */
  static final long SHUN_MILLIS = 600_000;

  /** Devices that are remembered for that. */
  static final int MAX_SHUNNED = 64;

  /** An offer waits so long for the log of another peer to make it needless. */
  static final long PATIENCE_MILLIS = 5_000;

  private static final class Given {
    final SnapshotSource source;
    final long openedMillis;
    long lastMillis;

    Given(SnapshotSource source, long nowMillis) {
      this.source = source;
      this.openedMillis = nowMillis;
      this.lastMillis = nowMillis;
    }
  }

  /** What a peer asked for last, and when. */
  private record Taken(Hash id, long atMillis) {}

  private record Offered(Peer peer, Offer offer, Hash frontier, long atMillis) {}

  /** What a step of the work on a snapshot led to. */
  enum Progress {
    NOTHING_TO_DO,
    MORE,
    /** The state of the peer is joined: tell everybody where we stand. */
    JOINED
  }

  private final Replica replica;
  private final Environment environment;
  private final Consumer<String> events;
  private final Map<Hash, Given> given = new LinkedHashMap<>();

  private final Map<Peer, Taken> takers = new LinkedHashMap<>();

  /** A snapshot did not hold, while the members are as they were and until a time. */
  private record Refusal(Hash members, long untilMillis) {}

  /**
   * A snapshot of a giver: another may have the right one of that name.
   *
   * @param giver its device, or its link where that is not known
   */
  private record Refused(Object giver, Hash id) {}

  /** Snapshots that did not hold; the oldest is forgotten. */
  private final Map<Refused, Refusal> refused =
      new LinkedHashMap<>() {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Refused, Refusal> eldest) {
          return size() > MAX_REFUSED;
        }
      };

  private static final Object EARLIER = "before the start";

  private @Nullable Offered waiting;
  private @Nullable Peer giver;

  /** Who did not give what it had offered, and when; the oldest is forgotten. */
  private final Map<Object, Long> shunned =
      new LinkedHashMap<>() {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Object, Long> eldest) {
          return size() > MAX_SHUNNED;
        }
      };

  /** Who gave what is in the inbox; {@link #EARLIER} for before the start. */
  private final Set<Object> givers = new HashSet<>();

  private @Nullable Ask asked;
  private long askedMillis;
  private long answeredMillis;
  private long offered;
  private long joined;
  private long failed;
  private long bytesReceived;

  SnapshotTransfers(Replica replica, Environment environment, Consumer<String> events) {
    this.replica = replica;
    this.environment = environment;
    this.events = events;
  }

  SnapshotCounters counters() {
    return new SnapshotCounters(offered, joined, failed, bytesReceived);
  }

  private long now() {
    return environment.wallClock().millis();
  }

  // ---- Giving

  /** Offers what we have to a peer that our log does not help; nothing may be staged. */
  void offer(Peer peer) {
    Taken taken = takers.get(peer);
    boolean busy = taken != null && !isOver(taken.atMillis, GIVE_UP_MILLIS);
    if (busy || !replica.canGiveSnapshot()) {
      return;
    }
    Hash id = replica.floorHash();
    Given open = given.get(id);
    if (open == null) {
      if (given.size() >= MAX_GIVEN && !closeUnused()) {
        return;
      }
      open = new Given(SnapshotSource.open(replica), now());
      given.put(id, open);
    }
    open.lastMillis = now();
    offered++;
    send(peer, new Offer(id, open.source.stateHash(), open.source.documents()));
  }

  /** Closes the snapshot that was not asked for the longest, unless peers are taking them all. */
  private boolean closeUnused() {
    Hash oldest = null;
    long oldestMillis = Long.MAX_VALUE;
    for (Map.Entry<Hash, Given> entry : given.entrySet()) {
      if (!isTaken(entry.getKey()) && entry.getValue().lastMillis < oldestMillis) {
        oldest = entry.getKey();
        oldestMillis = entry.getValue().lastMillis;
      }
    }
    if (oldest == null) {
      return false;
    }
    close(oldest);
    return true;
  }

  private boolean isTaken(Hash id) {
    return takers.values().stream()
        .anyMatch(taken -> taken.id.equals(id) && !isOver(taken.atMillis, GIVE_UP_MILLIS));
  }

  private void close(Hash id) {
    Given closed = given.remove(id);
    if (closed != null) {
      closed.source.close();
    }
  }

  private void onRequest(Peer peer, Hash id, Ask ask) {
    Given open = given.get(id);
    if (open == null) {
      takers.remove(peer);
      send(peer, new Gone(id));
      return;
    }
    open.lastMillis = now();
    takers.put(peer, new Taken(id, now()));
    if (ask.hash() != null
        && ask.to() != null
        && open.source.matches(ask.from(), ask.to(), ask.hash())) {
      send(peer, new Same(id, ask.from()));
      return;
    }
    SnapshotSource.Part part = open.source.part(ask.from(), ask.offset(), ask.to());
    send(peer, new Part(id, ask.from(), ask.offset(), part));
    if (part.next() == null && ask.to() == null) {
      takers.remove(peer);
    }
  }

  // ---- Taking

  /**
   * Takes a message in.
   *
   * @return what rule the peer broke, or null
   */
  @Nullable String receive(Peer peer, SnapshotMessage message, int peers) {
    switch (message) {
      case Request(var id, var ask) -> onRequest(peer, id, ask);
      case Offer offer -> onOffer(peer, offer, peers);
      case Part(var id, var from, var offset, var part) -> {
        Ask ask = answered(peer, id);
        if (ask != null && ask.from().equals(from) && ask.offset() == offset) {
          return onPart(ask, part);
        }
      }
      case Same(var id, var from) -> {
        Ask ask = answered(peer, id);
        if (ask != null && ask.hash() != null && ask.from().equals(from)) {
          replica.inbox().same(ask);
          ask();
        }
      }
      case Gone(var id) -> {
        if (answered(peer, id) != null) {
          giveUp();
          // Where we stand now leads to another offer.
          replica.sync();
          ReplicaEngine.answer(peer, peer.session.probe(replica.view()));
        }
      }
    }
    return null;
  }

  private void onOffer(Peer peer, Offer offer, int peers) {
    if (isRefused(peer, offer)
        || (peers > 1 && isShunned(peer))
        || giver != null
        || !mayGive(peer)
        || replica.view().frontier().hash().equals(offer.id())) {
      return;
    }
    if (peers > 1 && waiting == null) {
      waiting = new Offered(peer, offer, replica.view().frontier().hash(), now());
    } else if (peers == 1) {
      accept(peer, offer);
    }
  }

  private static Object device(Peer peer) {
    byte[] key = peer.link.deviceKey();
    return key == null ? peer.link : PeerId.of(key);
  }

  private boolean isShunned(Peer peer) {
    Long since = shunned.get(device(peer));
    return since != null && !isOver(since, SHUN_MILLIS);
  }

  private boolean isRefused(Peer peer, Offer offer) {
    Refusal refusal = refused.get(new Refused(device(peer), offer.id()));
    return refusal != null
        && refusal.members.equals(replica.view().membership().hash())
        && now() < refusal.untilMillis;
  }

  /** Who may not write must not put documents in our way: a snapshot is not signed by authors. */
  private boolean mayGive(Peer peer) {
    Contact contact = peer.link.contact();
    return contact == null
        || replica.view().membership().may(contact.peer().toByteArray(), Role.WRITE);
  }

  private void accept(Peer peer, Offer offer) {
    SnapshotInbox inbox = replica.inbox();
    boolean goesOn = inbox.phase() == Phase.RECEIVING && inbox.id().equals(offer.id());
    if (inbox.begin(offer.id(), offer.stateHash(), offer.documents())) {
      if (!goesOn) {
        givers.clear();
      } else if (givers.isEmpty()) {
        givers.add(EARLIER);
      }
      givers.add(device(peer));
      giver = peer;
      answeredMillis = now();
      ask();
    }
  }

  private @Nullable Ask answered(Peer peer, Hash id) {
    Ask ask = asked;
    return peer.equals(giver) && id.equals(replica.inbox().id()) ? ask : null;
  }

  private @Nullable String onPart(Ask ask, SnapshotSource.Part part) {
    try {
      replica.inbox().receive(ask, part);
    } catch (CodecException e) {
      giveUp();
      return e.getMessage();
    }
    part.entries().forEach(entry -> bytesReceived += entry.encodedBytes());
    answeredMillis = now();
    ask();
    return null;
  }

  private void ask() {
    Peer peer = giver;
    if (peer == null || replica.inbox().phase() != Phase.RECEIVING) {
      asked = null;
      return;
    }
    Ask next = replica.inbox().next();
    asked = next;
    askedMillis = now();
    send(peer, new Request(replica.inbox().id(), next));
  }

  private void giveUp() {
    giver = null;
    asked = null;
  }

  /**
   * Works on a snapshot that is all here; nothing may be staged.
   *
   * @throws io.pluresdb.crdt.store.StorageException when the storage failed or is full; what was
   *     done stays done
   */
  Progress step() {
    SnapshotInbox inbox = replica.inbox();
    switch (inbox.phase()) {
      case EMPTY, RECEIVING -> {
        return Progress.NOTHING_TO_DO;
      }
      case VERIFYING -> {
        if (replica.verifySnapshot() == Verdict.FAILS) {
          events.accept("a snapshot does not hold: " + inbox.failure());
          failed++;
          Hash members = replica.view().membership().hash();
          // Of several it cannot be told whose part was wrong: the next comes from one again.
          if (givers.size() == 1) {
            refused.put(
                new Refused(givers.iterator().next(), inbox.id()),
                new Refusal(members, replica.snapshotRefusedUntil()));
          }
          inbox.discard();
          giveUp();
        }
      }
      case JOINING -> {
        if (!replica.joinStep()) {
          events.accept("joined a snapshot");
          joined++;
          giveUp();
          return Progress.JOINED;
        }
      }
      case CLEARING -> inbox.clear();
    }
    return Progress.MORE;
  }

  // ---- Time

  void tick(int peers) {
    for (Hash id : List.copyOf(given.keySet())) {
      Given open = given.get(id);
      if (open != null
          && (isOver(open.lastMillis, IDLE_MILLIS) || isOver(open.openedMillis, MAX_AGE_MILLIS))) {
        close(id);
      }
    }
    Peer peer = giver;
    if (peer != null && replica.inbox().phase() == Phase.RECEIVING) {
      if (isOver(answeredMillis, GIVE_UP_MILLIS)) {
        shunned.put(device(peer), now());
        giveUp();
      } else if (isOver(askedMillis, RETRY_MILLIS)) {
        ask();
      }
    }
    Offered offer = waiting;
    if (offer != null && (peers == 1 || isOver(offer.atMillis, PATIENCE_MILLIS))) {
      waiting = null;
      if (replica.view().frontier().hash().equals(offer.frontier)) {
        accept(offer.peer, offer.offer);
      } else {
        // Others help: does this one still think that we need it?
        replica.sync();
        ReplicaEngine.answer(offer.peer, offer.peer.session.probe(replica.view()));
      }
    }
  }

  private boolean isOver(long sinceMillis, long limitMillis) {
    long now = now();
    // Also after a step back: it cannot be told how long that was.
    return now < sinceMillis || now - sinceMillis >= limitMillis;
  }

  /** The session is over. */
  void forget(Peer peer) {
    takers.remove(peer);
    if (peer.equals(giver)) {
      giveUp();
    }
    Offered offer = waiting;
    if (offer != null && offer.peer.equals(peer)) {
      waiting = null;
    }
  }

  /** Closes what is open. */
  void close() {
    new ArrayList<>(given.keySet()).forEach(this::close);
  }

  private static void send(Peer peer, SnapshotMessage message) {
    ReplicaEngine.answer(peer, new SyncMessage.Snapshots(message));
  }
}
