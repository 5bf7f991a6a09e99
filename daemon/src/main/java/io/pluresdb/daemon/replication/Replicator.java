package io.pluresdb.daemon.replication;

import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.engine.Comparison;
import io.pluresdb.crdt.engine.PeerLink;
import io.pluresdb.crdt.engine.ReplicaEngine;
import io.pluresdb.crdt.engine.ReplicaStore;
import io.pluresdb.crdt.overlay.Contact;
import io.pluresdb.crdt.overlay.PeerId;
import io.pluresdb.crdt.reconcile.KeyRange;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.sync.SyncMessage;
import io.pluresdb.transport.identity.DeviceId;
import io.pluresdb.transport.session.CloseReason;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.session.SessionListener;
import io.pluresdb.transport.session.Sessions;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Connects the sessions of one database with its replica loop, and does nothing else: frames are
 * decoded on the session's event loop, everything is decided on the replica loop.
 *
 * <p>Of several sessions with one device both sides keep the same one.
 */
public final class Replicator implements SessionListener {
  /** With this a device is let go that was told that it was removed. */
  public static final String REMOVED_CODE = "REMOVED";

  private static final Logger log = LoggerFactory.getLogger(Replicator.class);

  private final ReplicaStore store;
  private final DeviceId self;
  private final Function<Session, String> address;
  private final Consumer<Session> onEstablished;
  private final BiConsumer<Session, KeyMessage> onKeys;
  private final Map<Session, Link> links = new HashMap<>(); // Guarded by itself.
  private final Copies copies = new Copies();
  private long endedBytes; // Guarded by links.

  /**
   * @param address where the peer of a session accepts sessions, host:port; empty when not known
   * @param onEstablished hears of each session that is kept, on its event loop; must not block
   * @param onKeys hears what peers say about keys, on the session's event loop; must not block
   */
  public Replicator(
      ReplicaStore store,
      DeviceId self,
      Function<Session, String> address,
      Consumer<Session> onEstablished,
      BiConsumer<Session, KeyMessage> onKeys) {
    this.store = store;
    this.self = self;
    this.address = address;
    this.onEstablished = onEstablished;
    this.onKeys = onKeys;
  }

  /**
   * A session as seen from outside.
   *
   * @param lag changes in our arrival log that the peer has not acknowledged as durable
   */
  public record Connection(Session session, long lag) {}

  private static final class Link implements PeerLink {
    final Session session;
    final Copies copies;
    final Contact contact;
    volatile @Nullable Comparison divergence;
    ReplicaEngine.@Nullable Peer peer; // The replica loop's.
    volatile long reached;
    volatile boolean whole;

    Link(Session session, String address, Copies copies) {
      this.session = session;
      this.copies = copies;
      contact = new Contact(PeerId.of(session.peerPublicKey()), address);
    }

    @Override
    public Contact contact() {
      return contact;
    }

    @Override
    public boolean initiator() {
      return session.initiator();
    }

    @Override
    public void send(SyncMessage message) {
      session.send(Envelope.wrap(message));
    }

    @Override
    public boolean isWritable() {
      return session.isWritable();
    }

    @Override
    public void flush() {
      session.flush();
    }

    @Override
    public void reached(long arrival, boolean whole) {
      this.whole = whole;
      reached = arrival;
      if (whole && copies.isAwaited()) {
        copies.reached(Map.of(session.peer(), arrival));
      }
    }

    @Override
    public byte[] deviceKey() {
      return session.peerPublicKey();
    }

    @Override
    public void dismiss() {
      session.close(
          new CloseReason.Ended(REMOVED_CODE, "this device was removed from the database"));
    }

    @Override
    public void diverged(Comparison comparison) {
      divergence = comparison;
      switch (comparison) {
        case Comparison.Compared(var differences, var ours, var theirs) ->
            log.warn(
                "a peer has the same operations and other documents peer={} documents={}"
                    + " next=\"pluresdb doctor --against {}\"",
                session.peer().shortForm(),
                differences.documents().size(),
                session.peer().shortForm());
        case Comparison.Failed(var why) ->
            log.warn(
                "a peer has the same operations and other documents peer={} cause={}",
                session.peer().shortForm(),
                why);
      }
    }

    @Override
    public void part() {
      session.close(new CloseReason.Ended(CloseReason.PARTING_CODE, "one among many devices"));
    }

    @Override
    public void close(String reason) {
      session.close(new CloseReason.Ended("REPLICATION_ENDED", reason));
    }
  }

  @Override
  public void established(Session session) {
    var link = new Link(session, address.apply(session), copies);
    Link older = null;
    boolean kept = true;
    synchronized (links) {
      for (Link other : links.values()) {
        if (other.session.peer().equals(session.peer())) {
          older = other;
        }
      }
      if (older != null) {
        kept = !Sessions.preferred(older.session, session, self).equals(older.session);
      }
      if (kept) {
        links.put(session, link);
      }
    }
    if (older != null && kept) {
      older.session.close(new CloseReason.Duplicate());
    }
    if (!kept) {
      session.close(new CloseReason.Duplicate());
      return;
    }
    log.info(
        "peer connected peer={} address={} initiator={}",
        session.peer().shortForm(),
        session.remoteAddress(),
        session.initiator());
    store.execute(engine -> link.peer = engine.connect(link));
    onEstablished.accept(session);
  }

  private @Nullable Link link(Session session) {
    synchronized (links) {
      return links.get(session);
    }
  }

  @Override
  public void message(Session session, byte[] message) {
    Link link = link(session);
    if (link == null) {
      return;
    }
    SyncMessage decoded;
    try {
      KeyMessage keys = KeyMessage.read(message);
      if (keys != null) {
        onKeys.accept(session, keys);
        return;
      }
      decoded = Envelope.unwrap(message);
    } catch (CodecException e) {
      log.debug("malformed message peer={} cause={}", session.peer().shortForm(), e.getMessage());
      session.close(new CloseReason.Ended("MALFORMED_MESSAGE", String.valueOf(e.getMessage())));
      return;
    }
    store.execute(
        engine -> {
          ReplicaEngine.Peer peer = link.peer;
          if (peer != null) {
            engine.receive(peer, decoded);
          }
        });
  }

  @Override
  public void writabilityChanged(Session session) {
    if (session.isWritable()) {
      // Any event makes the loop look at every session again.
      store.execute(engine -> {});
    }
  }

  @Override
  public void closed(Session session, CloseReason reason) {
    Link link;
    synchronized (links) {
      link = links.remove(session);
      endedBytes += session.bytesSent() + session.bytesReceived();
    }
    if (link == null) {
      return;
    }
    log.info("peer disconnected peer={} reason={}", session.peer().shortForm(), reason);
    store.execute(
        engine -> {
          ReplicaEngine.Peer peer = link.peer;
          if (peer != null) {
            engine.disconnect(peer);
          }
        });
  }

  /** The sessions that are up. */
  public Collection<Connection> connections() {
    List<Link> snapshot;
    synchronized (links) {
      snapshot = List.copyOf(links.values());
    }
    long arrivals = store.view().arrivals();
    var connections = new ArrayList<Connection>(snapshot.size());
    for (Link link : snapshot) {
      connections.add(new Connection(link.session, Math.max(0, arrivals - link.reached)));
    }
    return connections;
  }

  /**
   * Completes with their number when so many other devices have a write on their disks: those that
   * are connected meanwhile and hold all documents. Who gives up cancels it.
   *
   * @throws io.pluresdb.crdt.CoreException {@code CORE_OVERLOADED} when very many wait
   */
  public CompletableFuture<Integer> awaitCopies(CrdtStore.Receipt write, int number) {
    CompletableFuture<Integer> done = copies.await(write.arrival(), number);
    var known = new HashMap<DeviceId, Long>();
    synchronized (links) {
      for (Link link : links.values()) {
        if (link.whole) {
          known.put(link.session.peer(), link.reached);
        }
      }
    }
    copies.reached(known);
    return done;
  }

  /** Bytes on the wire of all sessions so far, in both directions. */
  public long trafficBytes() {
    synchronized (links) {
      long bytes = endedBytes;
      for (Session session : links.keySet()) {
        bytes += session.bytesSent() + session.bytesReceived();
      }
      return bytes;
    }
  }

  /** Peers that were found to have the same operations and other documents, while connected. */
  public List<DeviceId> divergedPeers() {
    synchronized (links) {
      return links.values().stream()
          .filter(link -> link.divergence != null)
          .map(link -> link.session.peer())
          .toList();
    }
  }

  /**
   * Compares all documents that both hold with the peer of a session, each side adding up its own
   * once more.
   *
   * @param maxDifferences no more are looked for than this in each range that both hold
   * @return an outcome for each of these ranges; at least one
   */
  public CompletableFuture<List<Comparison>> compare(Session session, int maxDifferences) {
    var outcome = new CompletableFuture<List<Comparison>>();
    Link link = link(session);
    if (link == null) {
      outcome.complete(List.of(new Comparison.Failed("the session has ended")));
      return outcome;
    }
    var _ =
        store
            .call(
                engine -> {
                  ReplicaEngine.Peer peer = link.peer;
                  List<KeyRange> ranges = peer == null ? List.of() : engine.common(peer);
                  if (peer == null || ranges.isEmpty()) {
                    outcome.complete(
                        List.of(new Comparison.Failed("there is nothing that both hold")));
                  } else {
                    compare(engine, peer, ranges, maxDifferences, new ArrayList<>(), outcome);
                  }
                  return true;
                })
            .whenComplete(
                (done, failure) -> {
                  if (failure != null) {
                    outcome.completeExceptionally(failure);
                  }
                });
    return outcome;
  }

  /** Compares one range after another. */
  private static void compare(
      ReplicaEngine engine,
      ReplicaEngine.Peer peer,
      List<KeyRange> ranges,
      int maxDifferences,
      List<Comparison> done,
      CompletableFuture<List<Comparison>> outcome) {
    if (done.size() == ranges.size()) {
      outcome.complete(done);
      return;
    }
    engine.compare(
        peer,
        ranges.get(done.size()),
        true,
        maxDifferences,
        comparison -> {
          done.add(comparison);
          compare(engine, peer, ranges, maxDifferences, done, outcome);
        });
  }

  /** Whether a session with {@code peer} is up. */
  public boolean isConnected(DeviceId peer) {
    synchronized (links) {
      return links.keySet().stream().anyMatch(session -> session.peer().equals(peer));
    }
  }

  /** Ends every session. */
  public void close(CloseReason reason) {
    copies.close();
    List<Session> sessions;
    synchronized (links) {
      sessions = List.copyOf(links.keySet());
    }
    sessions.forEach(session -> session.close(reason));
  }
}
