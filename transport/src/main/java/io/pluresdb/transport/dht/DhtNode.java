package io.pluresdb.transport.dht;

import io.pluresdb.transport.dht.KrpcMessage.Ask;
import io.pluresdb.transport.dht.KrpcMessage.Failure;
import io.pluresdb.transport.dht.KrpcMessage.Malformed;
import io.pluresdb.transport.dht.KrpcMessage.Query;
import io.pluresdb.transport.dht.KrpcMessage.Reply;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * A node of the mainline DHT: answers queries, keeps a routing table, looks for the peers of topics
 * and announces this device there.
 *
 * <p>A state machine: datagrams and the time go in, {@link DhtEffect}s come out, and it wants to be
 * {@linkplain #tick called} at {@link #wakeAt}. Not thread-safe. Times are milliseconds of one
 * clock that never goes back.
 */
public final class DhtNode {
  /** A reply, and what it makes us ask, is at most so many times as long as its query. */
  static final int MAX_AMPLIFICATION = 4;

  /** Values in a reply. */
  static final int MAX_VALUES = 20;

  /** Of the values, so many go before nodes where there is not room for all. */
  static final int VALUES_FIRST = 10;

  static final int MAX_FOLLOWED = 256;
  static final int MAX_PROBES = 16;

  /** Searches at a time. */
  public static final int MAX_SEARCHES = 64;

  static final int MAX_REFRESHES = 2;
  public static final int MAX_ENTRY_POINTS = 32;

  /** No answer after that time: it will not come. */
  static final long TIMEOUT_MILLIS = 3_000;

  /** How often the table and the store are looked after. */
  static final long UPKEEP_MILLIS = 5_000;

  /** Announcements are renewed after that, less up to a tenth. */
  static final long RENEWAL_MILLIS = 15 * 60_000;

  /** Waits before the first lookups of a topic: others may announce just now. */
  private static final long[] FIRST_ROUNDS_MILLIS = {1_000, 5_000, 20_000, 60_000, 300_000};

  private static final long FIRST_ENTRY_MILLIS = 1_000;
  private static final long MAX_ENTRY_MILLIS = 60_000;
  private static final long FIRST_SLOW_MILLIS = 600;
  private static final long MIN_SLOW_MILLIS = 150;
  private static final long MAX_SLOW_MILLIS = 1_500;
  private static final int SAVED_TRIED = 16;
  private static final int PROBES_OF_UPKEEP = 4;

  /** Bytes of a ping of ours, and of the parts of a reply; checked by a test. */
  private static final int PING_BYTES = 61;

  private static final int REPLY_BYTES = 49;
  private static final int NODES_BYTES = 13;
  private static final int VALUES_BYTES = 10;
  private static final int TOKEN_BYTES = 7 + 2 + Tokens.TOKEN_BYTES;

  /** One of the two DHTs this node is in. */
  private static final class Side {
    private final AddressFamily family;
    private final AddressVotes votes = new AddressVotes();
    private final List<NodeContact> saved = new ArrayList<>();
    private RoutingTable table;
    private boolean entering;
    private boolean entered;
    private long nextEntryAt;
    private long entryWait = FIRST_ENTRY_MILLIS;

    Side(AddressFamily family, DhtId self) {
      this.family = family;
      this.table = new RoutingTable(self);
    }
  }

  private static final class Topic {
    private final DhtId id;
    private int port;
    private int round;
    private long nextAt;
    private int running;
    private int announcedAt;
    private int peers;
    private int answers;

    Topic(DhtId id, int port, long now) {
      this.id = id;
      this.port = port;
      this.nextAt = now;
    }
  }

  /** Why a lookup runs. */
  private sealed interface Why {
    record Entry(Side side) implements Why {}

    record Refresh() implements Why {}

    record Follow(Topic topic) implements Why {}

    /** Somebody asked once. */
    record Search(int port) implements Why {}
  }

  private record Running(Lookup lookup, Why why) {}

  /** What a query of ours is for. */
  private sealed interface Cause {
    record Step(Running running, Lookup.Candidate candidate) implements Cause {}

    record Probe(NodeContact contact) implements Cause {}

    record Announcement() implements Cause {}
  }

  private static final class Waiting {
    private final InetSocketAddress to;
    private final Cause cause;
    private final long sentAt;
    private final long slowAt;
    private boolean slow;

    Waiting(InetSocketAddress to, Cause cause, long sentAt, long slowAt) {
      this.to = to;
      this.cause = cause;
      this.sentAt = sentAt;
      this.slowAt = slowAt;
    }
  }

  private final DhtSettings settings;
  private final RandomGenerator random;
  private final Map<AddressFamily, Side> sides = new EnumMap<>(AddressFamily.class);
  private final List<InetSocketAddress> entryPoints = new ArrayList<>();
  private final Map<Integer, Waiting> waiting = new LinkedHashMap<>();
  private final Set<InetSocketAddress> probing = new HashSet<>();
  private final Set<Running> running = new LinkedHashSet<>();
  private final Map<DhtId, Topic> followed = new LinkedHashMap<>();
  private final Deque<LookupTrace> traces = new ArrayDeque<>();
  private final PeerStore store = new PeerStore();
  private final Tokens tokens;
  private final QueryLimits limits;
  private final Map<DhtCounter, Long> counters = new EnumMap<>(DhtCounter.class);
  private List<DhtEffect> effects = new ArrayList<>();
  private long upkeepAt;
  private int refreshing;
  private double meanMillis;
  private double deviationMillis;

  /**
   * @param random chooses ids, transactions and tokens: cryptographically secure in production
   * @param saved of an earlier run, null for none
   */
  public DhtNode(
      DhtSettings settings, RandomGenerator random, @Nullable DhtSnapshot saved, long now) {
    this.settings = settings;
    this.random = random;
    this.tokens = new Tokens(random, now);
    this.limits = new QueryLimits(now);
    this.upkeepAt = now + UPKEEP_MILLIS;
    for (DhtCounter counter : DhtCounter.values()) {
      counters.put(counter, 0L);
    }
    for (AddressFamily family : AddressFamily.values()) {
      if (settings.families().contains(family)) {
        DhtId id = saved == null ? null : saved.ids().get(family);
        var side = new Side(family, id == null ? DhtId.random(random) : id);
        side.nextEntryAt = now;
        if (saved != null) {
          saved.contacts().stream().filter(c -> c.family() == family).forEach(side.saved::add);
        }
        sides.put(family, side);
      }
    }
  }

  /**
   * Where to enter the network, besides what was saved; replaces earlier ones, the first {@link
   * #MAX_ENTRY_POINTS} count.
   */
  public List<DhtEffect> enterAt(List<InetSocketAddress> addresses, long now) {
    entryPoints.clear();
    addresses.stream().limit(MAX_ENTRY_POINTS).forEach(entryPoints::add);
    sides.values().forEach(side -> side.nextEntryAt = Math.min(side.nextEntryAt, now));
    return tick(now);
  }

  /**
   * Looks for the peers of a topic from now on, and announces this device.
   *
   * @param port to announce, 1 to 65535; 0 only looks
   * @return effects; nothing happens for more than {@link #MAX_FOLLOWED} topics
   */
  public List<DhtEffect> follow(DhtId topic, int port, long now) {
    if (followed.size() < MAX_FOLLOWED) {
      followed.putIfAbsent(topic, new Topic(topic, port, now));
    }
    return tick(now);
  }

  /** Neither looks for a topic nor renews its announcements any more. */
  public void unfollow(DhtId topic) {
    followed.remove(topic);
  }

  /**
   * This device is elsewhere now: what others said of its address is forgotten, the network is
   * entered again, and topics are looked for and announced at once.
   */
  public List<DhtEffect> moved(long now) {
    for (Side side : sides.values()) {
      side.votes.clear();
      side.entered = false;
      side.entryWait = FIRST_ENTRY_MILLIS;
      side.nextEntryAt = now;
    }
    for (Topic topic : followed.values()) {
      topic.round = 0;
      topic.nextAt = now;
    }
    return tick(now);
  }

  /** Looks for the peers of a followed topic at once. */
  public List<DhtEffect> hurry(DhtId topic, long now) {
    Topic known = followed.get(topic);
    if (known != null) {
      known.nextAt = now;
    }
    return tick(now);
  }

  /**
   * Looks once for the peers of a topic, and announces this device there unless {@code port} is 0.
   * Ends in a {@link DhtEffect.Finished} of each family, unless {@link #MAX_SEARCHES} run already.
   */
  public List<DhtEffect> search(DhtId topic, int port, long now) {
    long searching = running.stream().filter(one -> one.why instanceof Why.Search).count();
    for (Side side : sides.values()) {
      if (searching < (long) MAX_SEARCHES * sides.size()) {
        begin(side, topic, Lookup.Purpose.PEERS, new Why.Search(port), now);
      }
    }
    return drained();
  }

  /** When to call {@link #tick} next. */
  public long wakeAt() {
    long at = upkeepAt;
    for (Waiting one : waiting.values()) {
      at = Math.min(at, one.slow ? one.sentAt + TIMEOUT_MILLIS : one.slowAt);
    }
    for (Topic topic : followed.values()) {
      if (topic.running == 0) {
        at = Math.min(at, topic.nextAt);
      }
    }
    for (Side side : sides.values()) {
      if (isToEnter(side)) {
        at = Math.min(at, side.nextEntryAt);
      }
    }
    return at;
  }

  /** Time passed. */
  public List<DhtEffect> tick(long now) {
    expire(now);
    for (Side side : sides.values()) {
      if (isToEnter(side) && now >= side.nextEntryAt) {
        enter(side, now);
      }
    }
    for (Topic topic : List.copyOf(followed.values())) {
      if (topic.running == 0 && now >= topic.nextAt) {
        round(topic, now);
      }
    }
    if (now >= upkeepAt) {
      upkeepAt = now + UPKEEP_MILLIS;
      upkeep(now);
    }
    return drained();
  }

  /** A datagram came: {@code bytes[0, length)}. */
  public List<DhtEffect> receive(InetSocketAddress from, byte[] bytes, int length, long now) {
    count(DhtCounter.DATAGRAMS_RECEIVED, 1);
    count(DhtCounter.BYTES_RECEIVED, length);
    Side side = sides.get(AddressFamily.of(from));
    if (side == null
        || from.getPort() == 0
        || AddressScope.of(from.getAddress()) == AddressScope.NONE) {
      count(DhtCounter.UNUSABLE_SOURCE, 1);
      return drained();
    }
    switch (KrpcMessage.decode(bytes, length)) {
      case Query query -> {
        if (mayAsk(from, now)) {
          answer(side, from, query, length, now);
        }
      }
      case Reply reply -> replied(side, from, reply, now);
      case Failure failure -> refused(from, failure, now);
      case Malformed malformed -> {
        count(DhtCounter.MALFORMED, 1);
        if (malformed.transaction().length > 0 && mayAsk(from, now)) {
          send(
              from,
              new Failure(malformed.transaction(), malformed.code(), malformed.reason()).encode());
        }
      }
    }
    return drained();
  }

  // Queries of others.

  private boolean mayAsk(InetSocketAddress from, long now) {
    if (settings.readOnly()) {
      return false;
    }
    boolean allowed = limits.allows(from.getAddress(), now);
    if (!allowed) {
      count(DhtCounter.QUERIES_LIMITED, 1);
    }
    return allowed;
  }

  private void answer(Side side, InetSocketAddress from, Query query, int queryBytes, long now) {
    count(DhtCounter.ANSWERED, 1);
    int budget = Math.min(MAX_AMPLIFICATION * queryBytes, KrpcMessage.MAX_SENT_BYTES);
    var asker = new NodeContact(query.sender(), from);
    if (!query.readOnly()
        && probing.size() < MAX_PROBES
        && !probing.contains(from)
        && side.table.hasPlaceFor(asker, now)) {
      probe(side, asker, now);
      budget -= PING_BYTES;
    }
    var nodes = new ArrayList<NodeContact>();
    List<InetSocketAddress> peers = List.of();
    byte[] token = null;
    budget -= REPLY_BYTES + query.transaction().length + 2 + side.family.addressBytes() + 3 + 4;
    switch (query.ask()) {
      case Ask.Ping() -> {}
      case Ask.FindNode(DhtId target, Set<AddressFamily> want) ->
          addNodes(nodes, side, target, want, budget);
      case Ask.GetPeers(DhtId topic, Set<AddressFamily> want) -> {
        token = tokens.issue(from.getAddress(), now);
        budget -= TOKEN_BYTES;
        int valueBytes = side.family.addressBytes() + (side.family == AddressFamily.IPV4 ? 2 : 3);
        List<InetSocketAddress> found = store.sample(topic, side.family, MAX_VALUES, random, now);
        int room = Math.max(0, (budget - VALUES_BYTES) / valueBytes);
        int first = Math.min(Math.min(found.size(), VALUES_FIRST), room);
        int kept = first == 0 ? 0 : VALUES_BYTES + first * valueBytes;
        int left = addNodes(nodes, side, topic, want, budget - kept);
        int more = first == 0 ? 0 : left / valueBytes;
        peers = found.subList(0, Math.min(found.size(), first + more));
      }
      case Ask.AnnouncePeer announced -> {
        if (!tokens.accepts(announced.token(), from.getAddress(), now)) {
          count(DhtCounter.ANNOUNCES_BAD_TOKEN, 1);
          send(
              from, new Failure(query.transaction(), KrpcMessage.PROTOCOL_ERROR, "token").encode());
          return;
        }
        int port = announced.impliedPort() ? from.getPort() : announced.port();
        announced(side, announced.topic(), new InetSocketAddress(from.getAddress(), port), now);
      }
    }
    send(
        from,
        new Reply(query.transaction(), side.table.self(), nodes, peers, token, from).encode());
  }

  /** Adds the nodes nearest to {@code target} that fit; returns what is left of the budget. */
  private int addNodes(
      List<NodeContact> to, Side asked, DhtId target, Set<AddressFamily> want, int budget) {
    int left = budget;
    // The asker's own family first: it can use that whatever it has else.
    var families = new ArrayList<Side>();
    if (want.isEmpty() || want.contains(asked.family)) {
      families.add(asked);
    }
    sides.values().stream()
        .filter(side -> side != asked && want.contains(side.family))
        .forEach(families::add);
    for (Side side : families) {
      int room = Math.clamp((left - NODES_BYTES) / side.family.contactBytes(), 0, Lookup.NEAREST);
      List<NodeContact> some = side.table.closest(target, room);
      if (!some.isEmpty()) {
        to.addAll(some);
        left -= NODES_BYTES + some.size() * side.family.contactBytes();
      }
    }
    return left;
  }

  private void announced(Side side, DhtId topic, InetSocketAddress peer, long now) {
    boolean stored = store.announce(topic, peer, side.table.self(), now);
    count(stored ? DhtCounter.ANNOUNCES_STORED : DhtCounter.ANNOUNCES_LIMITED, 1);
    if (followed.containsKey(topic) && !isSelf(side, topic, peer)) {
      effects.add(new DhtEffect.Found(topic, peer));
    }
  }

  private boolean isSelf(Side side, DhtId topic, InetSocketAddress peer) {
    Topic own = followed.get(topic);
    return own != null
        && own.port == peer.getPort()
        && peer.getAddress().equals(side.votes.address());
  }

  // Queries of ours.

  private void ask(Side side, InetSocketAddress to, Ask ask, Cause cause, long now) {
    int transaction = random.nextInt();
    while (waiting.containsKey(transaction)) {
      transaction++;
    }
    waiting.put(transaction, new Waiting(to, cause, now, now + slowMillis()));
    count(DhtCounter.QUERIES, 1);
    byte[] bytes = ByteBuffer.allocate(4).putInt(transaction).array();
    send(to, new Query(bytes, side.table.self(), settings.readOnly(), ask).encode());
  }

  private void probe(Side side, NodeContact contact, long now) {
    probing.add(contact.address());
    ask(side, contact.address(), new Ask.Ping(), new Cause.Probe(contact), now);
  }

  /** Mean and four deviations of the time of answers (RFC 6298), within limits. */
  private long slowMillis() {
    return meanMillis == 0
        ? FIRST_SLOW_MILLIS
        : Math.clamp(
            Math.round(meanMillis + 4 * deviationMillis), MIN_SLOW_MILLIS, MAX_SLOW_MILLIS);
  }

  private void measured(long millis) {
    if (meanMillis == 0) {
      meanMillis = Math.max(1, millis);
      deviationMillis = millis / 2.0;
    } else {
      deviationMillis += (Math.abs(millis - meanMillis) - deviationMillis) / 4;
      meanMillis += (millis - meanMillis) / 8;
    }
  }

  private @Nullable Waiting claim(byte[] transaction, InetSocketAddress from) {
    Integer key = transaction.length == 4 ? ByteBuffer.wrap(transaction).getInt() : null;
    Waiting asked = key == null ? null : waiting.get(key);
    if (key == null || asked == null || !asked.to.equals(from)) {
      count(DhtCounter.UNMATCHED, 1);
      return null;
    }
    waiting.remove(key);
    return asked;
  }

  private void replied(Side side, InetSocketAddress from, Reply reply, long now) {
    Waiting asked = claim(reply.transaction(), from);
    if (asked == null) {
      return;
    }
    measured(now - asked.sentAt);
    if (reply.observed() != null) {
      side.votes.vote(from.getAddress(), reply.observed());
      proveId(side, now);
    }
    DhtId expected =
        switch (asked.cause) {
          case Cause.Step(Running lookup, Lookup.Candidate candidate) -> candidate.id();
          case Cause.Probe(NodeContact contact) -> contact.id();
          case Cause.Announcement() -> null;
        };
    boolean fits = expected == null || expected.equals(reply.sender());
    if (expected != null && !fits) {
      count(DhtCounter.UNMATCHED, 1);
      side.table.failed(new NodeContact(expected, from));
    }
    side.table.answered(new NodeContact(reply.sender(), from), now);
    switch (asked.cause) {
      case Cause.Step(Running lookup, Lookup.Candidate candidate) -> {
        if (!fits) {
          lookup.lookup.failed(candidate);
        } else {
          for (InetSocketAddress peer : lookup.lookup.answered(candidate, reply, now)) {
            if (!isSelf(side, lookup.lookup.target(), peer)) {
              effects.add(new DhtEffect.Found(lookup.lookup.target(), peer));
            }
          }
        }
        advance(lookup, now);
      }
      case Cause.Probe(NodeContact contact) -> probing.remove(contact.address());
      case Cause.Announcement() -> {}
    }
  }

  private void refused(InetSocketAddress from, Failure failure, long now) {
    Waiting asked = claim(failure.transaction(), from);
    if (asked != null) {
      count(DhtCounter.FAILURES, 1);
      unanswered(asked, now);
    }
  }

  private void unanswered(Waiting asked, long now) {
    Side side = sides.get(AddressFamily.of(asked.to));
    switch (asked.cause) {
      case Cause.Step(Running lookup, Lookup.Candidate candidate) -> {
        DhtId id = candidate.id();
        if (id != null && side != null) {
          side.table.failed(new NodeContact(id, asked.to));
        }
        lookup.lookup.failed(candidate);
        advance(lookup, now);
      }
      case Cause.Probe(NodeContact contact) -> {
        probing.remove(contact.address());
        if (side != null) {
          side.table.failed(contact);
        }
      }
      case Cause.Announcement() -> {}
    }
  }

  private void expire(long now) {
    var late = new ArrayList<Waiting>();
    for (Iterator<Waiting> all = waiting.values().iterator(); all.hasNext(); ) {
      Waiting asked = all.next();
      if (now >= asked.sentAt + TIMEOUT_MILLIS) {
        all.remove();
        count(DhtCounter.TIMEOUTS, 1);
        late.add(asked);
      } else if (!asked.slow && now >= asked.slowAt) {
        asked.slow = true;
        late.add(asked);
      }
    }
    for (Waiting asked : late) {
      if (now >= asked.sentAt + TIMEOUT_MILLIS) {
        unanswered(asked, now);
      } else if (asked.cause instanceof Cause.Step(Running lookup, Lookup.Candidate candidate)) {
        lookup.lookup.slow(candidate);
        advance(lookup, now);
      }
    }
  }

  // Lookups.

  private void begin(Side side, DhtId target, Lookup.Purpose purpose, Why why, long now) {
    count(DhtCounter.LOOKUPS, 1);
    var lookup =
        new Lookup(target, side.table.self(), side.family, purpose, settings.disjointPaths(), now);
    List<NodeContact> known = side.table.closest(target, Lookup.NEAREST);
    known.forEach(lookup::startFrom);
    if (known.size() < Lookup.NEAREST) {
      side.saved.stream()
          .sorted((a, b) -> target.compareDistance(a.id(), b.id()))
          .limit(SAVED_TRIED)
          .forEach(lookup::startFrom);
      entryPoints.stream()
          .filter(address -> AddressFamily.of(address) == side.family)
          .forEach(lookup::startFrom);
    }
    side.table.refreshed(target, now);
    var started = new Running(lookup, why);
    running.add(started);
    advance(started, now);
  }

  private void advance(Running lookup, long now) {
    if (!running.contains(lookup)) {
      return;
    }
    Side side = sides.get(lookup.lookup.family());
    if (side == null) {
      throw new IllegalStateException("a lookup of a family that is not there");
    }
    DhtId target = lookup.lookup.target();
    Lookup.Candidate next;
    while ((next = lookup.lookup.next(now)) != null) {
      Ask ask =
          switch (lookup.lookup.purpose()) {
            case NODES -> new Ask.FindNode(target, Set.of());
            case PEERS -> new Ask.GetPeers(target, Set.of());
          };
      ask(side, next.address(), ask, new Cause.Step(lookup, next), now);
    }
    if (lookup.lookup.isDone()) {
      running.remove(lookup);
      finish(side, lookup, now);
    }
  }

  private void finish(Side side, Running lookup, long now) {
    int port =
        switch (lookup.why) {
          case Why.Entry entry -> 0;
          case Why.Refresh() -> 0;
          case Why.Follow(Topic topic) -> followed.containsKey(topic.id) ? topic.port : 0;
          case Why.Search(int asked) -> asked;
        };
    int announced = port == 0 ? 0 : announce(side, lookup.lookup, port, now);
    LookupTrace trace = lookup.lookup.trace(now, announced);
    traces.addFirst(trace);
    if (traces.size() > settings.traces()) {
      traces.removeLast();
    }
    effects.add(new DhtEffect.Finished(trace));
    switch (lookup.why) {
      case Why.Entry(Side entered) -> entered(entered, trace, now);
      case Why.Refresh() -> {
        refreshing--;
        refresh(now);
      }
      case Why.Follow(Topic topic) -> looked(topic, trace, now);
      case Why.Search search -> {}
    }
  }

  private int announce(Side side, Lookup lookup, int port, long now) {
    int announced = 0;
    for (Lookup.Candidate node : lookup.nearest()) {
      byte[] token = node.token();
      if (token != null) {
        ask(
            side,
            node.address(),
            new Ask.AnnouncePeer(lookup.target(), port, false, token),
            new Cause.Announcement(),
            now);
        announced++;
      }
    }
    return announced;
  }

  private void round(Topic topic, long now) {
    topic.running = sides.size();
    topic.announcedAt = 0;
    topic.peers = 0;
    topic.answers = 0;
    for (Side side : sides.values()) {
      begin(side, topic.id, Lookup.Purpose.PEERS, new Why.Follow(topic), now);
    }
  }

  private void looked(Topic topic, LookupTrace trace, long now) {
    topic.running--;
    topic.announcedAt += trace.announced();
    topic.peers += trace.peers().size();
    topic.answers += trace.answers();
    if (topic.running > 0) {
      return;
    }
    if (topic.answers == 0) {
      // Nobody is there yet: again when the network is entered, or after the usual wait.
      topic.nextAt = now + MAX_ENTRY_MILLIS;
    } else if (topic.round < FIRST_ROUNDS_MILLIS.length) {
      topic.nextAt = now + jittered(FIRST_ROUNDS_MILLIS[topic.round++]);
    } else {
      topic.nextAt = now + jittered(RENEWAL_MILLIS);
    }
  }

  private long jittered(long millis) {
    return millis - random.nextLong(Math.max(1, millis / 10));
  }

  // The table.

  private boolean isToEnter(Side side) {
    boolean possible =
        side.table.size() > 0
            || !side.saved.isEmpty()
            || entryPoints.stream().anyMatch(a -> AddressFamily.of(a) == side.family);
    boolean few = side.table.size() < Lookup.NEAREST;
    return possible && !side.entering && (few || !side.entered);
  }

  private void enter(Side side, long now) {
    side.entering = true;
    begin(side, side.table.self(), Lookup.Purpose.NODES, new Why.Entry(side), now);
  }

  private void entered(Side side, LookupTrace trace, long now) {
    side.entering = false;
    side.nextEntryAt = now + jittered(side.entryWait);
    side.entryWait = Math.min(MAX_ENTRY_MILLIS, side.entryWait * 2);
    if (trace.answers() > 0 && !side.entered && trace.target().equals(side.table.self())) {
      side.entered = true;
      side.table.forgetRefreshes(now);
      refresh(now);
      for (Topic topic : followed.values()) {
        if (topic.running == 0 && topic.answers == 0) {
          topic.nextAt = now;
        }
      }
    }
  }

  /** Others agree where this node is: its id must be one of that address (BEP 42). */
  private void proveId(Side side, long now) {
    InetAddress external = side.votes.address();
    if (external != null && !side.table.self().isProvenFor(external)) {
      side.table = side.table.around(DhtId.provenFor(external, random), now);
      side.entered = false;
      side.nextEntryAt = now;
    }
  }

  private void upkeep(long now) {
    store.expire(now);
    for (Side side : sides.values()) {
      for (NodeContact contact : side.table.due(PROBES_OF_UPKEEP, now)) {
        if (!probing.contains(contact.address())) {
          probe(side, contact, now);
        }
      }
    }
    refresh(now);
  }

  private void refresh(long now) {
    for (Side side : sides.values()) {
      while (refreshing < MAX_REFRESHES) {
        int bucket = side.table.staleBucket(now);
        if (bucket < 0) {
          break;
        }
        refreshing++;
        DhtId target = side.table.self().withCommonBits(bucket, random);
        begin(side, target, Lookup.Purpose.NODES, new Why.Refresh(), now);
      }
    }
  }

  // Looking in.

  /** What to save for the next start. */
  public DhtSnapshot snapshot(long now) {
    var ids = new EnumMap<AddressFamily, DhtId>(AddressFamily.class);
    var contacts = new ArrayList<NodeContact>();
    for (Side side : sides.values()) {
      ids.put(side.family, side.table.self());
      var known = new ArrayList<NodeContact>();
      side.table.entries().stream()
          .filter(entry -> entry.standing(now) != RoutingTable.Standing.BAD)
          .map(RoutingTable.Entry::contact)
          .forEach(known::add);
      // Before anybody answered, what an earlier run knew is all there is.
      if (known.isEmpty()) {
        known.addAll(side.saved);
      }
      known.stream().limit(DhtSnapshot.MAX_CONTACTS).forEach(contacts::add);
    }
    return new DhtSnapshot(ids, contacts);
  }

  public DhtStatus status(long now) {
    var tables = new ArrayList<DhtStatus.Table>();
    for (Side side : sides.values()) {
      var rows = new ArrayList<DhtStatus.Row>();
      for (RoutingTable.Entry entry : side.table.entries()) {
        rows.add(
            new DhtStatus.Row(
                entry.contact(),
                side.table.self().commonBits(entry.contact().id()),
                entry.standing(now).name().toLowerCase(Locale.ROOT),
                entry.proven(),
                now - entry.answeredAt()));
      }
      tables.add(
          new DhtStatus.Table(
              side.family,
              side.table.self(),
              side.votes.address(),
              side.votes.port(),
              side.votes.count(),
              List.copyOf(rows)));
    }
    return new DhtStatus(
        settings.readOnly(),
        tables,
        store.stored().stream().map(s -> new DhtStatus.Stored(s.topic(), s.peers())).toList(),
        followed.values().stream()
            .map(
                t ->
                    new DhtStatus.Followed(
                        t.id,
                        t.port,
                        t.announcedAt,
                        t.peers,
                        t.running > 0 ? -1 : Math.max(0, t.nextAt - now)))
            .toList(),
        List.copyOf(traces),
        new EnumMap<>(counters));
  }

  /** Number of nodes of a family in the table, bad ones included. */
  public int tableSize(AddressFamily family) {
    Side side = sides.get(family);
    return side == null ? 0 : side.table.size();
  }

  /** The own id in the DHT of a family this node takes part in. */
  public DhtId id(AddressFamily family) {
    Side side = sides.get(family);
    if (side == null) {
      throw new IllegalArgumentException("this node is not in the DHT of " + family);
    }
    return side.table.self();
  }

  public long counter(DhtCounter counter) {
    return counters.getOrDefault(counter, 0L);
  }

  private void count(DhtCounter counter, long by) {
    counters.merge(counter, by, Long::sum);
  }

  private void send(InetSocketAddress to, byte[] datagram) {
    count(DhtCounter.DATAGRAMS_SENT, 1);
    count(DhtCounter.BYTES_SENT, datagram.length);
    effects.add(new DhtEffect.Send(to, datagram));
  }

  private List<DhtEffect> drained() {
    List<DhtEffect> out = effects;
    effects = new ArrayList<>();
    return out;
  }
}
