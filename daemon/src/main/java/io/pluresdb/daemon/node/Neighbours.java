package io.pluresdb.daemon.node;

import io.pluresdb.crdt.engine.Neighbourhood;
import io.pluresdb.crdt.engine.ReplicaStore;
import io.pluresdb.crdt.overlay.Contact;
import io.pluresdb.crdt.overlay.HyParView;
import io.pluresdb.crdt.overlay.PeerId;
import io.pluresdb.transport.net.TcpTransport;
import io.pluresdb.transport.path.Candidate;
import io.pluresdb.transport.path.Dialer;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.topic.DatabaseKeys;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletionStage;
import java.util.function.BiFunction;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * The connections of one database. With few devices every known address is kept connected; with
 * many, the view of neighbours decides, and known addresses are only where it starts from.
 */
final class Neighbours implements Neighbourhood {
  /** How often a device among many looks whether it is alone. */
  private static final Duration LOOK = Duration.ofSeconds(15);

  /** Known addresses a device among many that is alone tries at a time. */
  private static final int FIRST_CONTACTS = 8;

  /** Of so many devices that visit a device among many, one is remembered on disk. */
  private static final int REMEMBERED = 16;

  private final TcpTransport transport;
  private final BiFunction<InetSocketAddress, DatabaseKeys, CompletionStage<Session>> dial;
  private final Dialer dialer;
  private final RandomGenerator random;
  private final DatabaseKeys keys;
  private final ReplicaStore store;
  private final Supplier<List<Candidate>> known;
  private volatile boolean closed;

  /**
   * Takes over the connections of a database; make it before the first session.
   *
   * @param dial dials an address for the database of some keys, whatever its keys are by then
   * @param known whom to connect to
   */
  Neighbours(
      TcpTransport transport,
      BiFunction<InetSocketAddress, DatabaseKeys, CompletionStage<Session>> dial,
      Dialer dialer,
      RandomGenerator random,
      DatabaseKeys keys,
      ReplicaStore store,
      Supplier<List<Candidate>> known) {
    this.transport = transport;
    this.dial = dial;
    this.dialer = dialer;
    this.random = random;
    this.keys = keys;
    this.store = store;
    this.known = known;
    store.execute(engine -> engine.govern(this));
  }

  /** Starts connecting; whoever answers must find the database by then. */
  void start() {
    if (isMesh()) {
      known.get().forEach(candidate -> dialer.add(candidate, keys));
    }
    look();
  }

  /** Makes no further connections. */
  void close() {
    closed = true;
  }

  /** Whether every device keeps a session with every other. */
  boolean isMesh() {
    int members = store.view().membership().members().size();
    return HyParView.capacity(members) == HyParView.MESH_PEERS;
  }

  private void look() {
    if (closed) {
      return;
    }
    if (!isMesh()) {
      lookAround();
    }
    transport.timers().schedule(LOOK, this::look);
  }

  private void lookAround() {
    boolean alone = true;
    for (Dialer.Target target : dialer.targets()) {
      if (target.databaseId().equals(keys.databaseId())) {
        if (target.state() == Dialer.State.WAITING) {
          dialer.remove(target.candidate(), keys.databaseId());
        } else {
          alone = false;
        }
      }
    }
    if (alone && !transport.isConnected(keys.databaseId())) {
      var candidates = new ArrayList<>(known.get());
      Collections.shuffle(candidates, java.util.Random.from(random));
      candidates.stream().limit(FIRST_CONTACTS).forEach(candidate -> dialer.add(candidate, keys));
    }
  }

  /** Somebody at {@code address} is said to have this database. */
  void found(InetSocketAddress address) {
    if (!closed && (isMesh() || !transport.isConnected(keys.databaseId()))) {
      dialer.offer(address, keys);
    }
  }

  /** A peer is registered at a relay; until it is not, it can be dialled there. */
  void found(Candidate.Relayed peer) {
    if (!closed && (isMesh() || !transport.isConnected(keys.databaseId()))) {
      dialer.add(peer, keys);
    }
  }

  /** Does not connect this device again by itself, until it is found or connected on request. */
  void shun(Session session) {
    PeerId peer = PeerId.of(session.peerPublicKey());
    store.execute(engine -> engine.shun(peer));
  }

  /** Whether to remember on disk where a device is that dialled this one. */
  boolean isRemembered() {
    return isMesh() || random.nextInt(REMEMBERED) == 0;
  }

  /** A session with a device at {@code address} is wanted: it has ended, or was never there. */
  void keep(InetSocketAddress address) {
    if (!closed && isMesh()) {
      dialer.add(address, keys);
    }
  }

  @Override
  public void connect(Contact contact) {
    InetSocketAddress address = Addresses.parseNumeric(contact.address());
    if (closed || address == null) {
      unreachable(contact.peer());
      return;
    }
    var _ =
        dial.apply(address, keys)
            .whenComplete(
                (session, failure) -> {
                  if (session == null || !isWith(session, contact.peer())) {
                    unreachable(contact.peer());
                  }
                });
  }

  private static boolean isWith(@Nullable Session session, PeerId peer) {
    return session != null && Arrays.equals(session.peerPublicKey(), peer.toByteArray());
  }

  private void unreachable(PeerId peer) {
    store.execute(engine -> engine.unreachable(peer));
  }
}
