package io.pluresdb.harness.dht;

import io.pluresdb.transport.dht.AddressFamily;
import io.pluresdb.transport.dht.AddressScope;
import io.pluresdb.transport.dht.DhtCounter;
import io.pluresdb.transport.dht.DhtEffect;
import io.pluresdb.transport.dht.DhtId;
import io.pluresdb.transport.dht.DhtNode;
import io.pluresdb.transport.dht.DhtSettings;
import io.pluresdb.transport.dht.DhtSnapshot;
import io.pluresdb.transport.dht.KrpcMessage;
import io.pluresdb.transport.dht.KrpcMessage.Ask;
import io.pluresdb.transport.dht.LookupTrace;
import io.pluresdb.transport.dht.NodeContact;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/**
 * Nodes at random global addresses that come and go. Everything follows from the seed.
 *
 * <p>A datagram takes 5 to 300 ms by the pair, most less than 60, and a fifth of jitter; some are
 * lost. A node that goes says nothing. A node that comes knows three others.
 */
public final class DhtSimulation {
  private static final int ENTRY_POINTS = 3;
  private static final int ANNOUNCERS_PER_THOUSAND = 50;
  private static final int PORT = 34_570;

  private static final int DECOY_PORT = PORT + 1;
  private static final int DECOYS = 8;
  private static final int LEAST_DECOY_BITS = 40;

  /** An announcer that followed its topic so long has announced. */
  private static final long ANNOUNCED_AFTER_MILLIS = 60_000;

  private static final class Peer {
    private final DhtNode node;
    private final InetSocketAddress address;
    private final List<Search> searches = new ArrayList<>();
    private int place;
    private boolean alive = true;
    private long wakesAt = Long.MAX_VALUE;
    private Honesty honesty = Honesty.HONEST;

    Peer(DhtNode node, InetSocketAddress address) {
      this.node = node;
      this.address = address;
    }

    boolean isLiar() {
      return honesty != Honesty.HONEST;
    }

    InetSocketAddress decoy() {
      return new InetSocketAddress(address.getAddress(), DECOY_PORT);
    }
  }

  private enum Honesty {
    HONEST,
    /** Names decoys nearer than anybody, and nearer ones each time; they do the same. */
    MISLEADS,
    /** Knows nobody but other sybils. */
    SYBIL
  }

  private record Topic(DhtId id, Peer announcer, long since) {}

  private static final class Search {
    private final Topic topic;
    private final boolean fresh;
    private boolean found;

    Search(Topic topic, boolean fresh) {
      this.topic = topic;
      this.fresh = fresh;
    }
  }

  private record Event(
      long at,
      long order,
      Peer to,
      @Nullable InetSocketAddress from,
      int port,
      byte @Nullable [] datagram) {}

  /**
   * A search that has ended.
   *
   * @param fresh whether the node had just come, knowing its entry points only
   * @param found whether it found the device that had announced
   */
  public record Outcome(boolean fresh, boolean found, LookupTrace trace) {}

  private final SplittableRandom random;
  private final long seed;
  private final double loss;
  private final int disjointPaths;
  private final PriorityQueue<Event> events =
      new PriorityQueue<>(Comparator.comparingLong(Event::at).thenComparingLong(Event::order));
  private final List<Peer> alive = new ArrayList<>();
  private final Map<InetSocketAddress, Peer> byAddress = new HashMap<>();
  private final List<Topic> topics = new ArrayList<>();
  private final List<Peer> liars = new ArrayList<>();
  private final List<Outcome> outcomes = new ArrayList<>();
  private long order;
  private long now;
  private long datagrams;
  private long bytes;
  private long trace;

  /**
   * @param loss share of datagrams that are lost, 0 to 1
   */
  public DhtSimulation(long seed, double loss) {
    this(seed, loss, DhtSettings.DISJOINT_PATHS);
  }

  /**
   * @param disjointPaths of every lookup
   */
  public DhtSimulation(long seed, double loss, int disjointPaths) {
    this.disjointPaths = disjointPaths;
    this.seed = seed;
    this.random = new SplittableRandom(seed);
    this.loss = loss;
  }

  /** Lets {@code count} nodes come, evenly within {@code millis}. */
  public void arrive(int count, long millis) {
    for (int i = 0; i < count; i++) {
      come();
      run(millis / count);
    }
  }

  /** Lets some of the nodes announce a topic each. */
  public void announce() {
    int announcers = Math.max(10, alive.size() * ANNOUNCERS_PER_THOUSAND / 1_000);
    while (topics.size() < announcers) {
      newTopic();
    }
  }

  private void newTopic() {
    Peer announcer = anyHonest();
    var topic = new Topic(DhtId.random(random), announcer, now);
    topics.add(topic);
    act(announcer, announcer.node.follow(topic.id, PORT, now));
  }

  /**
   * Replaces nodes, one after another at random times, and searches meanwhile: every other time
   * from a node that just came.
   *
   * @param replaced nodes that go in {@code millis}, as many come
   * @param searches how many
   */
  public void churn(int replaced, int searches, long millis) {
    long end = now + millis;
    double goes = (double) now + gap(millis, replaced);
    double looks = (double) now + gap(millis, searches);
    boolean fresh = false;
    while (now < end) {
      double next = Math.min((double) end, Math.min(goes, looks));
      run(Math.max(0, Math.round(next) - now));
      if (now >= end) {
        break;
      }
      if (goes <= looks) {
        go(anyHonest());
        come();
        goes += gap(millis, replaced);
      } else {
        search(fresh);
        fresh = !fresh;
        looks += gap(millis, searches);
      }
    }
    run(20_000);
  }

  private double gap(long millis, int count) {
    return count == 0 ? Double.MAX_VALUE : -Math.log(1 - random.nextDouble()) * millis / count;
  }

  private void search(boolean fresh) {
    topics.removeIf(topic -> !topic.announcer.alive || topic.announcer.isLiar());
    announce();
    List<Topic> announced =
        topics.stream().filter(topic -> now - topic.since >= ANNOUNCED_AFTER_MILLIS).toList();
    if (announced.isEmpty()) {
      return;
    }
    Topic topic = announced.get(random.nextInt(announced.size()));
    Peer seeker = anyHonest();
    if (fresh) {
      // It takes the place of another, so that there are as many as before.
      go(seeker == topic.announcer ? anyHonest(topic.announcer) : seeker);
      seeker = come();
    } else if (seeker == topic.announcer) {
      seeker = anyHonest(topic.announcer);
    }
    seeker.searches.add(new Search(topic, fresh));
    act(seeker, seeker.node.search(topic.id, 0, now));
  }

  private Peer any() {
    return alive.get(random.nextInt(alive.size()));
  }

  private Peer anyHonest() {
    Peer one = any();
    while (one.isLiar()) {
      one = any();
    }
    return one;
  }

  private Peer anyHonest(Peer but) {
    Peer other = anyHonest();
    while (other == but) {
      other = anyHonest();
    }
    return other;
  }

  /**
   * Lets nodes lie from now on, which all know by their right ids: they mislead every lookup to
   * decoys of theirs, whose made-up ids are nearer than any honest node's, and nearer each time.
   *
   * @param share of the nodes, 0 to less than 1
   */
  public void corrupt(double share) {
    for (Peer peer : alive) {
      if (random.nextDouble() < share) {
        peer.honesty = Honesty.MISLEADS;
        liars.add(peer);
        byAddress.put(peer.decoy(), peer);
      }
    }
  }

  /**
   * Lets sybils come, evenly within {@code millis}, which have proven ids nearer to the oldest
   * topic than chance would place a node, answer, and say that nobody is there.
   */
  public void besiege(int sybils, long millis) {
    DhtId topic = topics.getFirst().id;
    int bits = Integer.SIZE - Integer.numberOfLeadingZeros(alive.size()) + 2;
    for (int i = 0; i < sybils; i++) {
      InetSocketAddress address = freeAddress();
      DhtId id = DhtId.provenFor(address.getAddress(), random);
      while (topic.commonBits(id) < bits) {
        address = freeAddress();
        id = DhtId.provenFor(address.getAddress(), random);
      }
      var known = new DhtSnapshot(Map.of(AddressFamily.IPV4, id), List.of());
      Peer sybil = come(address, known);
      sybil.honesty = Honesty.SYBIL;
      liars.add(sybil);
      run(millis / sybils);
    }
  }

  /** Lets honest nodes search for the oldest topic. */
  public void searchBesieged(int searches) {
    Topic topic = topics.getFirst();
    for (int i = 0; i < searches; i++) {
      Peer seeker = anyHonest(topic.announcer);
      seeker.searches.add(new Search(topic, false));
      act(seeker, seeker.node.search(topic.id, 0, now));
      run(10_000);
    }
  }

  private Peer come() {
    return come(freeAddress(), null);
  }

  private Peer come(InetSocketAddress address, @Nullable DhtSnapshot saved) {
    var settings = new DhtSettings(EnumSet.of(AddressFamily.IPV4), false, disjointPaths, 0);
    var peer = new Peer(new DhtNode(settings, random, saved, now), address);
    var entryPoints = new ArrayList<InetSocketAddress>();
    for (int i = 0; i < ENTRY_POINTS && !alive.isEmpty(); i++) {
      entryPoints.add(any().address);
    }
    peer.place = alive.size();
    alive.add(peer);
    byAddress.put(address, peer);
    act(peer, peer.node.enterAt(entryPoints, now));
    return peer;
  }

  private void go(Peer peer) {
    peer.alive = false;
    byAddress.remove(peer.address);
    Peer last = alive.removeLast();
    if (last != peer) {
      alive.set(peer.place, last);
      last.place = peer.place;
    }
  }

  private InetSocketAddress freeAddress() {
    while (true) {
      byte[] ip = new byte[4];
      random.nextBytes(ip);
      try {
        var address = new InetSocketAddress(InetAddress.getByAddress(ip), PORT);
        if (AddressScope.of(address.getAddress()) == AddressScope.GLOBAL
            && !byAddress.containsKey(address)) {
          return address;
        }
      } catch (UnknownHostException e) {
        throw new IllegalStateException("four bytes are no address", e);
      }
    }
  }

  /** Runs what happens within the next {@code millis}. */
  public void run(long millis) {
    long end = now + millis;
    Event event;
    while ((event = events.peek()) != null && event.at <= end) {
      events.remove();
      now = event.at;
      Peer to = event.to;
      byte[] datagram = event.datagram;
      InetSocketAddress from = event.from;
      if (!to.alive) {
        continue;
      }
      if (datagram != null && from != null) {
        if (to.isLiar() && lies(to, event.port, from, datagram)) {
          continue;
        }
        act(to, to.node.receive(from, datagram, datagram.length, now));
      } else if (event.at == to.wakesAt) {
        to.wakesAt = Long.MAX_VALUE;
        act(to, to.node.tick(now));
      }
    }
    now = end;
  }

  /** Whether a query was answered with a lie. */
  private boolean lies(Peer liar, int port, InetSocketAddress asker, byte[] datagram) {
    boolean decoy = port == DECOY_PORT;
    if (!(KrpcMessage.decode(datagram, datagram.length) instanceof KrpcMessage.Query query)) {
      return decoy;
    }
    DhtId target =
        switch (query.ask()) {
          case Ask.FindNode(DhtId id, var ignored) -> id;
          case Ask.GetPeers(DhtId id, var ignored) -> id;
          case Ask.Ping() -> null;
          case Ask.AnnouncePeer announce -> null;
        };
    if (target == null) {
      return decoy;
    }
    var named = new ArrayList<NodeContact>();
    for (int i = 0; i < DECOYS; i++) {
      Peer friend = liars.get(random.nextInt(liars.size()));
      named.add(
          liar.honesty == Honesty.SYBIL
              ? new NodeContact(friend.node.id(AddressFamily.IPV4), friend.address)
              : new NodeContact(decoyId(target, friend), friend.decoy()));
    }
    DhtId id = decoy ? decoyId(target, liar) : liar.node.id(AddressFamily.IPV4);
    send(
        liar,
        port,
        asker,
        new KrpcMessage.Reply(query.transaction(), id, named, List.of(), new byte[8], null)
            .encode());
    return true;
  }

  /** A decoy is always as near to a target as it was before. */
  private DhtId decoyId(DhtId target, Peer liar) {
    var own = new SplittableRandom(mix(seed ^ liar.address.hashCode()));
    int bits = LEAST_DECOY_BITS + own.nextInt(DhtId.BITS - LEAST_DECOY_BITS);
    return target.withCommonBits(bits, own);
  }

  private void act(Peer peer, List<DhtEffect> effects) {
    for (DhtEffect effect : effects) {
      switch (effect) {
        case DhtEffect.Send(InetSocketAddress to, byte[] datagram) ->
            send(peer, PORT, to, datagram);
        case DhtEffect.Found(DhtId topic, InetSocketAddress found) -> {
          for (Search search : peer.searches) {
            search.found |=
                search.topic.id.equals(topic) && search.topic.announcer.address.equals(found);
          }
        }
        case DhtEffect.Finished(LookupTrace ended) -> finished(peer, ended);
      }
    }
    long wakeAt = Math.max(now + 1, peer.node.wakeAt());
    if (wakeAt < peer.wakesAt) {
      peer.wakesAt = wakeAt;
      events.add(new Event(wakeAt, order++, peer, null, PORT, null));
    }
  }

  private void finished(Peer peer, LookupTrace ended) {
    for (Search search : List.copyOf(peer.searches)) {
      if (ended.forPeers() && ended.target().equals(search.topic.id)) {
        peer.searches.remove(search);
        // An announcer that went meanwhile has to be found all the same: it was announced.
        outcomes.add(new Outcome(search.fresh, search.found, ended));
      }
    }
  }

  private void send(Peer from, int fromPort, InetSocketAddress to, byte[] datagram) {
    datagrams++;
    bytes += datagram.length;
    trace = mix(trace ^ now * 0x9E3779B97F4A7C15L ^ datagram.length);
    Peer receiver = byAddress.get(to);
    if (receiver != null && random.nextDouble() >= loss) {
      long pair = mix(seed ^ (long) from.address.hashCode() * to.hashCode());
      double uniform = (pair >>> 11) / (double) (1L << 53);
      double base = 5 + 295 * uniform * uniform * uniform;
      long at = now + Math.round(base * (1 + random.nextDouble() * 0.2));
      var sender =
          fromPort == PORT
              ? from.address
              : new InetSocketAddress(from.address.getAddress(), fromPort);
      events.add(new Event(at, order++, receiver, sender, to.getPort(), datagram));
    }
  }

  private static long mix(long value) {
    long z = (value ^ value >>> 30) * 0xBF58476D1CE4E5B9L;
    z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
    return z ^ z >>> 31;
  }

  /** Every search that ended since the last call. */
  public List<Outcome> takeOutcomes() {
    var taken = List.copyOf(outcomes);
    outcomes.clear();
    return taken;
  }

  public int alive() {
    return alive.size();
  }

  /** Datagrams sent so far. */
  public long datagrams() {
    return datagrams;
  }

  /** Bytes sent so far, without headers. */
  public long bytes() {
    return bytes;
  }

  /** Nodes in a routing table, on average. */
  public double meanTable() {
    return alive.stream()
        .mapToInt(peer -> peer.node.tableSize(AddressFamily.IPV4))
        .average()
        .orElse(0);
  }

  /** A counter of all nodes that are there. */
  public long counter(DhtCounter counter) {
    return alive.stream().mapToLong(peer -> peer.node.counter(counter)).sum();
  }

  /** Equal for runs that sent the same. */
  public long trace() {
    return trace;
  }
}
