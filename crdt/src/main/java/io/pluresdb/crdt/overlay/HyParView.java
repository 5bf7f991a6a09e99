package io.pluresdb.crdt.overlay;

import io.pluresdb.crdt.overlay.OverlayMessage.Disconnect;
import io.pluresdb.crdt.overlay.OverlayMessage.ForwardJoin;
import io.pluresdb.crdt.overlay.OverlayMessage.Join;
import io.pluresdb.crdt.overlay.OverlayMessage.Neighbor;
import io.pluresdb.crdt.overlay.OverlayMessage.NeighborReply;
import io.pluresdb.crdt.overlay.OverlayMessage.Shuffle;
import io.pluresdb.crdt.overlay.OverlayMessage.ShuffleReply;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * Which devices to keep a session with: HyParView (Leitão, Pereira, Rodrigues, DSN 2007) as a state
 * machine without sockets, clock or threads.
 *
 * <p>The <i>active view</i> are neighbours, by agreement of both; a session with anybody else is a
 * guest and ends soon. The <i>passive view</i> are contacts that take the place of neighbours that
 * fail; walks through the graph keep it fresh. With few devices the active view has room for all of
 * them, and the same machine makes a full mesh.
 *
 * <p>Differences from the paper: the answer to a shuffle goes back the way the walk came, since a
 * session for one message is dear; a refused request is repeated with growing waits for the same
 * reason; and every 30 to 60 s a random contact is visited, which compares frontiers with it and
 * now and then makes it a neighbour, so two halves that lost each other grow together again.
 */
public final class HyParView {
  /** Up to this many peers everybody is a neighbour of everybody. */
  public static final int MESH_PEERS = 30;

  /** Neighbours above that. */
  public static final int ACTIVE = 5;

  /** Most contacts in reserve. */
  public static final int PASSIVE = 30;

  /** Hops of a newcomer's walk. */
  public static final int ACTIVE_WALK = 6;

  /** Hops before its end at which a newcomer is taken down as a contact. */
  public static final int PASSIVE_WALK = 3;

  private static final int SHUFFLE_ACTIVE = 3;
  private static final int SHUFFLE_PASSIVE = 4;

  /** A walk that exchanges contacts starts this often, in milliseconds. */
  public static final long SHUFFLE_MILLIS = 60_000;

  /** Least and most time between two visits, in milliseconds. */
  public static final long MIN_VISIT_MILLIS = 30_000;

  public static final long MAX_VISIT_MILLIS = 60_000;

  /** One in so many visits makes a neighbour. */
  private static final int MIX = 32;

  /** How long connecting may take. */
  static final long CONNECT_MILLIS = 15_000;

  /** How long an answer may take. */
  static final long REPLY_MILLIS = 5_000;

  /** How long a session with a device that is no neighbour lasts. */
  public static final long GUEST_MILLIS = 20_000;

  /** Most connections that are being made at a time. */
  public static final int MAX_CONNECTING = 8;

  /** Most sessions with devices that are no neighbours. */
  public static final int MAX_GUESTS = 32;

  /** Most messages taken from one peer between two ticks. */
  public static final int MESSAGES_PER_TICK = 16;

  private static final long FIRST_RETRY_MILLIS = 1_000;
  private static final long LAST_RETRY_MILLIS = 60_000;

  /** A message to a peer with which there is a session. */
  public record Send(PeerId to, OverlayMessage message) {}

  /**
   * What the caller is to do, in this order.
   *
   * @param down no neighbours any more
   * @param up neighbours from now on
   * @param send send these
   * @param connect make a session with these; tell of it, or that it failed
   * @param disconnect end the session with these
   */
  public record Step(
      List<PeerId> down,
      List<PeerId> up,
      List<Send> send,
      List<Contact> connect,
      List<PeerId> disconnect) {}

  /** A session that is up. */
  private static final class Guest {
    final Contact contact;
    final boolean initiator;
    long until;
    int budget = MESSAGES_PER_TICK;
    boolean joined;

    Guest(Contact contact, boolean initiator, long until) {
      this.contact = contact;
      this.initiator = initiator;
      this.until = until;
    }
  }

  /** What a connection is made for. */
  private enum Purpose {
    NEIGHBOR,
    URGENT_NEIGHBOR,
    VISIT
  }

  private record Wanted(Contact contact, Purpose purpose, long until) {}

  private static final class Reserve {
    Contact contact;
    long notBefore;

    Reserve(Contact contact) {
      this.contact = contact;
    }
  }

  private final PeerId self;
  private final RandomGenerator random;
  private final Predicate<PeerId> mayJoin;
  private int capacity;
  private long now;

  private final Map<PeerId, Contact> active = new LinkedHashMap<>();
  private final Map<PeerId, Reserve> passive = new LinkedHashMap<>();
  private final Map<PeerId, Guest> sessions = new LinkedHashMap<>();

  // Being connected, or connected and asked to become a neighbour.
  private final Map<PeerId, Wanted> wanted = new LinkedHashMap<>();
  private final Set<PeerId> shunned = new LinkedHashSet<>();
  private Set<PeerId> shuffled = Set.of();
  private boolean shuffling;
  private boolean introduced;
  private long nextShuffle;
  private long nextVisit;
  private long nextPromotion;
  private long retryMillis = FIRST_RETRY_MILLIS;
  private long ignored;

  private Step step = empty();

  /**
   * Starts without neighbours and contacts.
   *
   * @param mayJoin whether a device belongs here; contacts of others are ignored
   */
  public HyParView(PeerId self, RandomGenerator random, Predicate<PeerId> mayJoin) {
    this.self = self;
    this.random = random;
    this.mayJoin = mayJoin;
    capacity = MESH_PEERS;
    nextShuffle = random.nextLong(SHUFFLE_MILLIS);
    nextVisit = visitDelay();
  }

  private static Step empty() {
    return new Step(
        new ArrayList<>(),
        new ArrayList<>(),
        new ArrayList<>(),
        new ArrayList<>(),
        new ArrayList<>());
  }

  private Step done() {
    Step result = step;
    step = empty();
    return result;
  }

  /** How many neighbours a device has where there are {@code members} devices. */
  public static int capacity(int members) {
    return members - 1 <= MESH_PEERS ? MESH_PEERS : ACTIVE;
  }

  /** Sets how many neighbours to have; too many are let go one by one. */
  public void setCapacity(int neighbours) {
    if (neighbours < 1) {
      throw new IllegalArgumentException("capacity must be 1 or more, but is " + neighbours);
    }
    capacity = neighbours;
  }

  public List<PeerId> active() {
    return List.copyOf(active.keySet());
  }

  public List<Contact> passive() {
    return passive.values().stream().map(reserve -> reserve.contact).toList();
  }

  public boolean isActive(PeerId peer) {
    return active.containsKey(peer);
  }

  /** Messages that were ignored: too many, or not to be expected. */
  public long ignored() {
    return ignored;
  }

  /** Takes down a contact that was found first-hand: on the network, in the settings, by a dial. */
  public void learn(Contact contact) {
    shunned.remove(contact.peer());
    Reserve known = passive.get(contact.peer());
    if (known != null && contact.isDialable()) {
      known.contact = contact;
    } else {
      reserve(contact);
    }
  }

  /**
   * Does not connect a device by itself any more, until it is learned of or dials or is dialled.
   */
  public void shun(PeerId peer) {
    passive.remove(peer);
    if (shunned.size() >= PASSIVE) {
      shunned.remove(shunned.iterator().next());
    }
    shunned.add(peer);
  }

  /** Takes down a contact unless it is known; another gives way where there is no room. */
  private void reserve(Contact contact) {
    PeerId peer = contact.peer();
    if (!contact.isDialable()
        || peer.equals(self)
        || active.containsKey(peer)
        || passive.containsKey(peer)
        || shunned.contains(peer)
        || !mayJoin.test(peer)) {
      return;
    }
    if (passive.size() >= PASSIVE) {
      List<PeerId> known = passive.keySet().stream().filter(shuffled::contains).toList();
      passive.remove(pick(known.isEmpty() ? List.copyOf(passive.keySet()) : known));
    }
    passive.put(peer, new Reserve(contact));
  }

  /** Takes down a contact that is not to be asked soon. */
  private void postpone(Contact contact) {
    reserve(contact);
    Reserve reserve = passive.get(contact.peer());
    if (reserve != null) {
      reserve.notBefore = now + LAST_RETRY_MILLIS;
    }
  }

  private <T> T pick(List<T> from) {
    return from.get(random.nextInt(from.size()));
  }

  /** At most {@code count} of {@code from} in random order. */
  private <T> List<T> sample(List<T> from, int count) {
    var rest = new ArrayList<>(from);
    var taken = new ArrayList<T>(Math.min(count, rest.size()));
    while (taken.size() < count && !rest.isEmpty()) {
      int at = random.nextInt(rest.size());
      taken.add(rest.get(at));
      rest.set(at, rest.getLast());
      rest.removeLast();
    }
    return taken;
  }

  /** A session is up. */
  public Step onConnected(Contact contact, boolean initiator) {
    PeerId peer = contact.peer();
    shunned.remove(peer);
    sessions.put(peer, new Guest(contact, initiator, now + GUEST_MILLIS));
    Wanted purpose = wanted.remove(peer);
    if (active.containsKey(peer)) {
      // The session was replaced by another: the peer may have seen it end.
      if (initiator) {
        send(peer, new Neighbor(active.size() == 1));
      }
    } else if (purpose != null && purpose.purpose() == Purpose.VISIT) {
      visit(contact);
    } else if (purpose != null || (initiator && active.size() < capacity)) {
      boolean urgent = purpose != null && purpose.purpose() == Purpose.URGENT_NEIGHBOR;
      ask(contact, urgent);
    } else if (guests() > MAX_GUESTS) {
      leave(peer);
    }
    return done();
  }

  private int guests() {
    int guests = 0;
    for (PeerId peer : sessions.keySet()) {
      if (!active.containsKey(peer)) {
        guests++;
      }
    }
    return guests;
  }

  /** Asks a device with which there is a session to become a neighbour. */
  private void ask(Contact contact, boolean urgent) {
    if (!introduced) {
      introduced = true;
      send(contact.peer(), new Join());
      activate(contact);
      return;
    }
    boolean must = urgent || active.isEmpty();
    wanted.put(
        contact.peer(),
        new Wanted(contact, must ? Purpose.URGENT_NEIGHBOR : Purpose.NEIGHBOR, now + REPLY_MILLIS));
    send(contact.peer(), new Neighbor(must));
  }

  private void visit(Contact contact) {
    if (active.size() < capacity) {
      ask(contact, false);
    } else if (random.nextInt(MIX) == 0) {
      ask(contact, true);
    } else {
      shuffle(contact.peer(), 1);
    }
  }

  private void send(PeerId to, OverlayMessage message) {
    step.send().add(new Send(to, message));
  }

  /** Makes a device with which there is a session a neighbour; another gives way. */
  private void activate(Contact contact) {
    PeerId peer = contact.peer();
    wanted.remove(peer);
    if (active.containsKey(peer)) {
      return;
    }
    while (active.size() >= capacity) {
      drop();
    }
    passive.remove(peer);
    active.put(peer, contact);
    step.up().add(peer);
  }

  private void drop() {
    PeerId victim = pick(List.copyOf(active.keySet()));
    Contact contact = active.remove(victim);
    step.down().add(victim);
    send(victim, new Disconnect());
    Guest session = sessions.get(victim);
    if (session != null) {
      session.until = now + REPLY_MILLIS;
    }
    if (contact != null) {
      reserve(contact);
    }
  }

  private void leave(PeerId peer) {
    sessions.remove(peer);
    step.disconnect().add(peer);
  }

  /** A session ended. */
  public Step onDisconnected(PeerId peer) {
    sessions.remove(peer);
    Wanted asked = wanted.remove(peer);
    Contact neighbour = active.remove(peer);
    if (neighbour != null) {
      step.down().add(peer);
      if (passive.size() < PASSIVE) {
        // It may be back soon; where contacts abound it gives way to those that are there.
        postpone(neighbour);
      }
      nextPromotion = now;
      retryMillis = FIRST_RETRY_MILLIS;
      promote();
    } else if (asked != null) {
      passive.remove(peer);
    }
    return done();
  }

  /** A connection that a step asked for could not be made. */
  public Step onConnectFailed(PeerId peer) {
    wanted.remove(peer);
    if (!sessions.containsKey(peer)) {
      passive.remove(peer);
      promote();
    }
    return done();
  }

  public Step onMessage(PeerId from, OverlayMessage message) {
    Guest session = sessions.get(from);
    if (session == null || session.budget-- <= 0) {
      ignored++;
      return done();
    }
    switch (message) {
      case Join() -> onJoin(session);
      case ForwardJoin(int ttl, Contact joiner) -> onForwardJoin(from, ttl, joiner);
      case Neighbor(boolean urgent) -> onNeighbor(session, urgent);
      case NeighborReply(boolean accepted) -> onNeighborReply(session, accepted);
      case Disconnect() -> onDisconnect(from);
      case Shuffle shuffle -> onShuffle(session, shuffle);
      case ShuffleReply(var path, var contacts) -> onShuffleReply(path, contacts);
    }
    return done();
  }

  private void onJoin(Guest session) {
    if (session.joined) {
      ignored++;
      return;
    }
    session.joined = true;
    Contact joiner = session.contact;
    activate(joiner);
    if (joiner.isDialable()) {
      for (PeerId neighbour : active.keySet()) {
        if (!neighbour.equals(joiner.peer())) {
          send(neighbour, new ForwardJoin(ACTIVE_WALK, joiner));
        }
      }
    }
  }

  private void onForwardJoin(PeerId from, int ttl, Contact joiner) {
    PeerId peer = joiner.peer();
    if (!active.containsKey(from) || peer.equals(self) || !mayJoin.test(peer)) {
      ignored++;
      return;
    }
    List<PeerId> next =
        active.keySet().stream().filter(n -> !n.equals(from) && !n.equals(peer)).toList();
    if (ttl > 0 && !next.isEmpty()) {
      if (ttl == PASSIVE_WALK) {
        reserve(joiner);
      }
      send(pick(next), new ForwardJoin(ttl - 1, joiner));
      return;
    }
    if (active.containsKey(peer) || wanted.containsKey(peer)) {
      return;
    }
    Guest session = sessions.get(peer);
    if (session != null) {
      ask(session.contact, true);
    } else if (wanted.size() < MAX_CONNECTING) {
      connect(joiner, Purpose.URGENT_NEIGHBOR);
    } else {
      reserve(joiner);
    }
  }

  private void connect(Contact contact, Purpose purpose) {
    wanted.put(contact.peer(), new Wanted(contact, purpose, now + CONNECT_MILLIS));
    step.connect().add(contact);
  }

  private void onNeighbor(Guest session, boolean urgent) {
    Contact contact = session.contact;
    boolean accepted = urgent || active.containsKey(contact.peer()) || active.size() < capacity;
    if (accepted) {
      activate(contact);
    }
    send(contact.peer(), new NeighborReply(accepted));
  }

  private void onNeighborReply(Guest session, boolean accepted) {
    PeerId peer = session.contact.peer();
    if (active.containsKey(peer)) {
      return;
    }
    if (wanted.remove(peer) == null) {
      ignored++;
    } else if (accepted) {
      retryMillis = FIRST_RETRY_MILLIS;
      activate(session.contact);
    } else {
      postpone(session.contact);
      if (session.initiator) {
        leave(peer);
      }
    }
  }

  private void onDisconnect(PeerId from) {
    wanted.remove(from);
    Contact contact = active.remove(from);
    leave(from);
    if (contact != null) {
      step.down().add(from);
      reserve(contact);
      nextPromotion = now;
      promote();
    }
  }

  private void onShuffle(Guest session, Shuffle shuffle) {
    PeerId from = session.contact.peer();
    List<PeerId> path = shuffle.path();
    if (!path.getLast().equals(from) || path.getFirst().equals(self)) {
      ignored++;
      return;
    }
    var contacts = new ArrayList<>(shuffle.contacts());
    if (path.size() == 1 && session.contact.isDialable()) {
      // Nobody knows their own address; whoever has the session does.
      contacts.addFirst(session.contact);
    }
    if (contacts.size() > OverlayMessage.MAX_CONTACTS) {
      contacts.removeLast();
    }
    List<PeerId> next =
        active.keySet().stream().filter(n -> !n.equals(from) && !path.contains(n)).toList();
    boolean goesOn =
        shuffle.ttl() > 1
            && path.size() < OverlayMessage.MAX_WALK
            && active.containsKey(from)
            && !next.isEmpty();
    if (goesOn) {
      var longer = new ArrayList<>(path);
      longer.add(self);
      send(pick(next), new Shuffle(shuffle.ttl() - 1, longer, contacts));
      return;
    }
    List<Contact> answer = sample(passive(), Math.max(1, contacts.size()));
    send(from, new ShuffleReply(path.subList(0, path.size() - 1), answer));
    integrate(contacts, answer);
  }

  private void onShuffleReply(List<PeerId> path, List<Contact> contacts) {
    if (!path.isEmpty()) {
      PeerId next = path.getLast();
      if (sessions.containsKey(next)) {
        send(next, new ShuffleReply(path.subList(0, path.size() - 1), contacts));
      }
    } else if (shuffling) {
      shuffling = false;
      integrate(contacts, List.of());
    } else {
      ignored++;
    }
  }

  private void integrate(List<Contact> contacts, List<Contact> sent) {
    if (!sent.isEmpty()) {
      var ids = new HashSet<PeerId>();
      sent.forEach(contact -> ids.add(contact.peer()));
      shuffled = ids;
    }
    contacts.forEach(this::reserve);
  }

  private void shuffle(PeerId to, int ttl) {
    var contacts = new ArrayList<Contact>();
    contacts.addAll(
        sample(
            active.values().stream()
                .filter(contact -> contact.isDialable() && !contact.peer().equals(to))
                .toList(),
            SHUFFLE_ACTIVE));
    contacts.addAll(sample(passive(), SHUFFLE_PASSIVE));
    var ids = new HashSet<PeerId>();
    contacts.forEach(contact -> ids.add(contact.peer()));
    shuffled = ids;
    shuffling = true;
    send(to, new Shuffle(ttl, List.of(self), contacts));
  }

  private long visitDelay() {
    return random.nextLong(MIN_VISIT_MILLIS, MAX_VISIT_MILLIS + 1);
  }

  /**
   * Lets time pass; call it about once a second.
   *
   * @param nowMillis of a clock that never steps; see {@link SteadyTime}
   */
  public Step onTick(long nowMillis) {
    now = nowMillis;
    for (Guest session : sessions.values()) {
      session.budget = MESSAGES_PER_TICK;
    }
    expire();
    if (active.size() > capacity) {
      drop();
    }
    promote();
    if (now >= nextShuffle && !active.isEmpty()) {
      nextShuffle = now + SHUFFLE_MILLIS / 2 + random.nextLong(SHUFFLE_MILLIS);
      shuffle(pick(List.copyOf(active.keySet())), ACTIVE_WALK);
    }
    if (now >= nextVisit) {
      nextVisit = now + visitDelay();
      Contact contact = candidate(true);
      if (contact != null && wanted.size() < MAX_CONNECTING) {
        connect(contact, Purpose.VISIT);
      }
    }
    return done();
  }

  private void expire() {
    for (Wanted late : List.copyOf(wanted.values())) {
      if (late.until() <= now) {
        PeerId peer = late.contact().peer();
        wanted.remove(peer);
        passive.remove(peer);
        if (sessions.containsKey(peer)) {
          leave(peer);
        }
      }
    }
    for (Guest session : List.copyOf(sessions.values())) {
      PeerId peer = session.contact.peer();
      if (!active.containsKey(peer) && !wanted.containsKey(peer) && session.until <= now) {
        reserve(session.contact);
        leave(peer);
      }
    }
  }

  /** A random contact that is neither connected nor being connected, or null. */
  private @Nullable Contact candidate(boolean visit) {
    var free = new ArrayList<Contact>();
    for (Reserve reserve : passive.values()) {
      PeerId peer = reserve.contact.peer();
      if (!wanted.containsKey(peer)
          && !sessions.containsKey(peer)
          && (visit || reserve.notBefore <= now)) {
        free.add(reserve.contact);
      }
    }
    return free.isEmpty() ? null : pick(free);
  }

  /** Makes neighbours of contacts where neighbours are missing. */
  private void promote() {
    boolean few = active.size() * 2 <= capacity && capacity <= ACTIVE;
    if (now < nextPromotion && !few) {
      return;
    }
    boolean asked = false;
    while (wanted.size() < MAX_CONNECTING && active.size() + asking() < capacity) {
      Contact contact = candidate(false);
      if (contact == null) {
        break;
      }
      asked = true;
      connect(contact, active.isEmpty() ? Purpose.URGENT_NEIGHBOR : Purpose.NEIGHBOR);
    }
    if (asked) {
      nextPromotion = now + retryMillis;
      retryMillis = Math.min(2 * retryMillis, LAST_RETRY_MILLIS);
    }
  }

  private int asking() {
    int asking = 0;
    for (Wanted one : wanted.values()) {
      if (one.purpose() != Purpose.VISIT) {
        asking++;
      }
    }
    return asking;
  }
}
