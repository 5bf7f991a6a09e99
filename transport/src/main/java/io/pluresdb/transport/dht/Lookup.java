package io.pluresdb.transport.dht;

import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * An iterative search for the nodes nearest to a target, of one family.
 *
 * <p>Asks the nearest nodes known, {@link #PARALLEL} at a time, until the {@link #NEAREST} nearest
 * have all answered, and so have the nearest among those whose ids are proven for their addresses:
 * whoever makes up ids around a topic crowds out unproven nodes only. Strangers of one network
 * count {@link #MAX_PER_SUBNET} times. A slow node does not hold the search up, but its answer
 * still counts.
 *
 * <p>On the way there go several disjoint paths (as in S/Kademlia, Baumgart and Mies 2007): the
 * nodes it starts from are dealt out among them, each node is asked on behalf of one path only, and
 * whom it names is known to that path only. The paths take turns, and each goes on until the {@link
 * #PATH_WIDTH} nearest, and the nearest proven, of its own have answered. So a liar, however near
 * he claims his friends are, misleads one path, and cannot use up the questions of the others.
 */
final class Lookup {
  static final int NEAREST = RoutingTable.BUCKET;

  /** Nodes of its own, and proven ones of its own, that a path ends at. */
  static final int PATH_WIDTH = 4;

  static final int PARALLEL = 6;
  static final int MAX_QUERIES = 128;

  /** Candidates remembered for a path; the nearest stay. */
  static final int MAX_OF_PATH = 84;

  static final int MAX_PER_SUBNET = 2;

  /** Instead of a path: all of them together. */
  private static final int ALL = -1;

  /** What a lookup is for. */
  enum Purpose {
    /** The table: nodes near an id. */
    NODES,
    /** The peers of a topic, and the nodes to announce at. */
    PEERS
  }

  /** What became of a candidate. */
  enum State {
    NEW,
    ASKED,
    SLOW,
    ANSWERED,
    FAILED
  }

  /** A node that may be asked. */
  static final class Candidate {
    private final InetSocketAddress address;
    private final int depth;

    /** The paths it is known to, a bit each. */
    private int paths;

    /** The path it was asked for. */
    private int path;

    private @Nullable DhtId id;
    private boolean proven;
    private State state = State.NEW;
    private long askedAt;
    private long answeredAt;
    private int peers;
    private byte @Nullable [] token;

    private Candidate(InetSocketAddress address, @Nullable DhtId id, int depth, int path) {
      this.address = address;
      this.depth = depth;
      this.paths = 1 << path;
      name(id);
    }

    private void name(@Nullable DhtId known) {
      id = known;
      proven = known != null && known.isProvenFor(address.getAddress());
    }

    InetSocketAddress address() {
      return address;
    }

    /** Null for an entry point nobody told the id of. */
    @Nullable DhtId id() {
      return id;
    }

    byte @Nullable [] token() {
      return token;
    }
  }

  private final DhtId target;
  private final DhtId self;
  private final AddressFamily family;
  private final Purpose purpose;
  private final int disjointPaths;
  private final long startedAt;

  /** With known ids, nearest first. */
  private final List<Candidate> candidates = new ArrayList<>();

  /** Without. */
  private final List<Candidate> nameless = new ArrayList<>();

  /** By id and address: a liar who gives an address a wrong id keeps nobody from the right one. */
  private final Map<NodeContact, Candidate> seen = new HashMap<>();

  private final Set<InetSocketAddress> peers = new HashSet<>();
  private int started;
  private int turn;
  private int asked;
  private int waitedFor;
  private int firstPeerDepth;
  private long firstPeerAt = -1;

  /**
   * @param disjointPaths 1 to {@link DhtSettings#MAX_DISJOINT_PATHS}
   */
  Lookup(
      DhtId target,
      DhtId self,
      AddressFamily family,
      Purpose purpose,
      int disjointPaths,
      long now) {
    this.disjointPaths = disjointPaths;
    this.target = target;
    this.self = self;
    this.family = family;
    this.purpose = purpose;
    this.startedAt = now;
  }

  DhtId target() {
    return target;
  }

  AddressFamily family() {
    return family;
  }

  Purpose purpose() {
    return purpose;
  }

  /** Adds a node to start from. */
  void startFrom(NodeContact contact) {
    offer(contact, 1, started++ % disjointPaths);
  }

  /** Adds an address to start from. */
  void startFrom(InetSocketAddress address) {
    if (nameless.stream().noneMatch(known -> known.address.equals(address))) {
      nameless.add(new Candidate(address, null, 1, started++ % disjointPaths));
    }
  }

  private void offer(NodeContact contact, int depth, int path) {
    if (contact.id().equals(self) || contact.family() != family) {
      return;
    }
    Candidate known = seen.get(contact);
    if (known != null) {
      known.paths |= 1 << path;
      return;
    }
    var candidate = new Candidate(contact.address(), contact.id(), depth, path);
    seen.put(contact, candidate);
    place(candidate, contact.id());
  }

  /**
   * Puts a candidate in its place, unless its path has it, enough of its network, or enough that
   * are nearer. What only other paths heard of does not matter, before it answered.
   */
  private void place(Candidate candidate, DhtId id) {
    boolean stranger = AddressScope.of(candidate.address.getAddress()) == AddressScope.GLOBAL;
    long subnet = AddressScope.subnet(candidate.address.getAddress());
    int ofSubnet = 0;
    int ofPath = 0;
    int furthest = -1;
    int at = candidates.size();
    for (int i = 0; i < candidates.size(); i++) {
      Candidate other = candidates.get(i);
      DhtId otherId = other.id;
      if (otherId == null) {
        continue;
      }
      if (at == candidates.size() && target.compareDistance(id, otherId) < 0) {
        at = i;
      }
      boolean shared = (other.paths & candidate.paths) != 0;
      if (shared) {
        ofPath++;
        furthest = other.state == State.NEW ? i : furthest;
      }
      if (other.state == State.FAILED || (!shared && other.state != State.ANSWERED)) {
        continue;
      }
      if (shared && otherId.equals(id)) {
        return;
      }
      if (stranger
          && other.proven == candidate.proven
          && AddressScope.subnet(other.address.getAddress()) == subnet
          && ++ofSubnet >= MAX_PER_SUBNET) {
        return;
      }
    }
    if (ofPath >= MAX_OF_PATH) {
      if (furthest < at) {
        return;
      }
      Candidate left = candidates.get(furthest);
      left.paths &= ~candidate.paths;
      if (left.paths == 0) {
        candidates.remove(furthest);
      }
    }
    candidates.add(at, candidate);
  }

  /** The next node to ask, null when none is to be asked now. */
  @Nullable Candidate next(long now) {
    if (waitedFor >= PARALLEL || asked >= MAX_QUERIES) {
      return null;
    }
    Candidate next = toAsk();
    if (next != null) {
      next.state = State.ASKED;
      next.askedAt = now;
      asked++;
      waitedFor++;
    }
    return next;
  }

  private @Nullable Candidate toAsk() {
    for (Candidate candidate : nameless) {
      if (candidate.state == State.NEW) {
        candidate.path = Integer.numberOfTrailingZeros(candidate.paths);
        return candidate;
      }
    }
    for (int i = 0; i < disjointPaths; i++) {
      int path = turn++ % disjointPaths;
      Candidate own = nearestUnasked(path, false);
      if (own == null) {
        own = nearestUnasked(path, true);
      }
      if (own != null) {
        own.path = path;
        return own;
      }
    }
    Candidate left = nearestUnasked(ALL, false);
    if (left == null) {
      left = nearestUnasked(ALL, true);
    }
    if (left != null) {
      left.path = Integer.numberOfTrailingZeros(left.paths);
    }
    return left;
  }

  /** The nearest one to ask for a path, or for all; null when enough nearer ones were asked. */
  private @Nullable Candidate nearestUnasked(int path, boolean provenOnly) {
    int enough = path == ALL ? NEAREST : PATH_WIDTH;
    int counted = 0;
    for (Candidate candidate : candidates) {
      if (candidate.state == State.FAILED
          || candidate.state == State.SLOW
          || (path != ALL && (candidate.paths & 1 << path) == 0)
          || (provenOnly && !candidate.proven)) {
        continue;
      }
      if (candidate.state == State.NEW) {
        return candidate;
      }
      if ((path == ALL || candidate.path == path) && ++counted >= enough) {
        return null;
      }
    }
    return null;
  }

  /** Whether nobody is waited for and nobody is left to ask. */
  boolean isDone() {
    if (waitedFor > 0) {
      return false;
    }
    if (asked >= MAX_QUERIES) {
      return true;
    }
    boolean left = nameless.stream().anyMatch(c -> c.state == State.NEW);
    for (int path = ALL; path < disjointPaths; path++) {
      left |= nearestUnasked(path, false) != null || nearestUnasked(path, true) != null;
    }
    return !left;
  }

  /** No answer in the usual time: others go on. */
  void slow(Candidate candidate) {
    if (candidate.state == State.ASKED) {
      candidate.state = State.SLOW;
      waitedFor--;
    }
  }

  void failed(Candidate candidate) {
    if (candidate.state == State.ASKED) {
      waitedFor--;
    }
    candidate.state = State.FAILED;
  }

  /** Takes an answer; returns the peers in it that are new. */
  List<InetSocketAddress> answered(Candidate candidate, KrpcMessage.Reply reply, long now) {
    if (candidate.state == State.ASKED) {
      waitedFor--;
    }
    candidate.state = State.ANSWERED;
    candidate.answeredAt = now;
    candidate.token = reply.token();
    if (candidate.id == null) {
      candidate.name(reply.sender());
      nameless.remove(candidate);
      seen.put(new NodeContact(reply.sender(), candidate.address), candidate);
      place(candidate, reply.sender());
    }
    int taken = 0;
    for (NodeContact contact : reply.nodes()) {
      if (contact.family() == family
          && AddressScope.mayTell(candidate.address.getAddress(), contact.address())
          && taken++ < NEAREST) {
        offer(contact, candidate.depth + 1, candidate.path);
      }
    }
    var fresh = new ArrayList<InetSocketAddress>();
    if (purpose == Purpose.PEERS) {
      for (InetSocketAddress peer : reply.peers()) {
        if (AddressScope.mayTell(candidate.address.getAddress(), peer)) {
          candidate.peers++;
          if (peers.add(peer)) {
            fresh.add(peer);
          }
        }
      }
      if (!fresh.isEmpty() && firstPeerAt < 0) {
        firstPeerAt = now;
        firstPeerDepth = candidate.depth;
      }
    }
    return fresh;
  }

  /**
   * The nearest that answered, the nearest proven that answered, and those that each path ended at;
   * without repetition.
   */
  List<Candidate> nearest() {
    var nearest = new LinkedHashSet<Candidate>();
    addNearest(nearest, ALL, false);
    addNearest(nearest, ALL, true);
    for (int path = 0; path < disjointPaths; path++) {
      addNearest(nearest, path, true);
    }
    return List.copyOf(nearest);
  }

  private void addNearest(Set<Candidate> to, int path, boolean provenOnly) {
    candidates.stream()
        .filter(c -> c.state == State.ANSWERED && (c.proven || !provenOnly))
        .filter(c -> path == ALL || c.path == path)
        .limit(path == ALL ? NEAREST : PATH_WIDTH)
        .forEach(to::add);
  }

  LookupTrace trace(long now, int announced) {
    var steps = new ArrayList<LookupTrace.Step>();
    var all = new ArrayList<>(nameless);
    all.addAll(candidates);
    int hops = 0;
    for (Candidate candidate : all) {
      DhtId id = candidate.id;
      if (candidate.state != State.NEW) {
        boolean answered = candidate.state == State.ANSWERED;
        steps.add(
            new LookupTrace.Step(
                candidate.address,
                id == null ? "" : id.hex(),
                id == null ? 0 : target.commonBits(id),
                candidate.depth,
                candidate.askedAt - startedAt,
                answered ? candidate.answeredAt - candidate.askedAt : -1,
                candidate.peers));
      }
    }
    for (Candidate candidate : nearest()) {
      hops = Math.max(hops, candidate.depth);
    }
    return new LookupTrace(
        target,
        family,
        purpose == Purpose.PEERS,
        startedAt,
        now - startedAt,
        asked,
        hops,
        (int) all.stream().filter(c -> c.state == State.ANSWERED).count(),
        List.copyOf(peers),
        firstPeerAt < 0 ? -1 : firstPeerAt - startedAt,
        firstPeerDepth,
        announced,
        List.copyOf(steps));
  }
}
