package io.pluresdb.transport.dht;

import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
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
 */
final class Lookup {
  static final int NEAREST = RoutingTable.BUCKET;
  static final int PARALLEL = 4;
  static final int MAX_QUERIES = 128;
  static final int MAX_CANDIDATES = 256;
  static final int MAX_PER_SUBNET = 2;

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
    private @Nullable DhtId id;
    private boolean proven;
    private State state = State.NEW;
    private long askedAt;
    private long answeredAt;
    private int peers;
    private byte @Nullable [] token;

    private Candidate(InetSocketAddress address, @Nullable DhtId id, int depth) {
      this.address = address;
      this.depth = depth;
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
  private final long startedAt;

  /** With known ids, nearest first. */
  private final List<Candidate> candidates = new ArrayList<>();

  /** Without. */
  private final List<Candidate> nameless = new ArrayList<>();

  private final Set<InetSocketAddress> seen = new HashSet<>();
  private final Set<InetSocketAddress> peers = new HashSet<>();
  private int asked;
  private int waitedFor;
  private int firstPeerDepth;
  private long firstPeerAt = -1;

  Lookup(DhtId target, DhtId self, AddressFamily family, Purpose purpose, long now) {
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
    offer(contact, 1);
  }

  /** Adds an address to start from. */
  void startFrom(InetSocketAddress address) {
    if (seen.add(address)) {
      nameless.add(new Candidate(address, null, 1));
    }
  }

  private void offer(NodeContact contact, int depth) {
    if (contact.id().equals(self) || contact.family() != family || !seen.add(contact.address())) {
      return;
    }
    var candidate = new Candidate(contact.address(), contact.id(), depth);
    place(candidate, contact.id());
  }

  /** Puts a candidate in its place, unless its id or its network are there often enough. */
  private void place(Candidate candidate, DhtId id) {
    boolean stranger = AddressScope.of(candidate.address.getAddress()) == AddressScope.GLOBAL;
    long subnet = AddressScope.subnet(candidate.address.getAddress());
    int ofSubnet = 0;
    int at = candidates.size();
    for (int i = 0; i < candidates.size(); i++) {
      Candidate other = candidates.get(i);
      DhtId otherId = other.id;
      if (otherId == null || other.state == State.FAILED) {
        continue;
      }
      if (otherId.equals(id)) {
        return;
      }
      if (stranger
          && other.proven == candidate.proven
          && AddressScope.subnet(other.address.getAddress()) == subnet
          && ++ofSubnet >= MAX_PER_SUBNET) {
        return;
      }
      if (at == candidates.size() && target.compareDistance(id, otherId) < 0) {
        at = i;
      }
    }
    if (at < MAX_CANDIDATES) {
      candidates.add(at, candidate);
      if (candidates.size() > MAX_CANDIDATES) {
        candidates.removeLast();
      }
    }
  }

  /** The next node to ask, null when none is to be asked now. */
  @Nullable Candidate next(long now) {
    if (waitedFor >= PARALLEL || asked >= MAX_QUERIES) {
      return null;
    }
    Candidate next = null;
    for (Candidate candidate : nameless) {
      if (candidate.state == State.NEW) {
        next = candidate;
        break;
      }
    }
    if (next == null) {
      next = nearestUnasked(false);
    }
    if (next == null) {
      next = nearestUnasked(true);
    }
    if (next != null) {
      next.state = State.ASKED;
      next.askedAt = now;
      asked++;
      waitedFor++;
    }
    return next;
  }

  private @Nullable Candidate nearestUnasked(boolean provenOnly) {
    int counted = 0;
    for (Candidate candidate : candidates) {
      if (candidate.state == State.FAILED
          || candidate.state == State.SLOW
          || (provenOnly && !candidate.proven)) {
        continue;
      }
      if (candidate.state == State.NEW) {
        return candidate;
      }
      if (++counted >= NEAREST) {
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
    return asked >= MAX_QUERIES
        || (nameless.stream().noneMatch(c -> c.state == State.NEW)
            && nearestUnasked(false) == null
            && nearestUnasked(true) == null);
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
      place(candidate, reply.sender());
    }
    int taken = 0;
    for (NodeContact contact : reply.nodes()) {
      if (contact.family() == family
          && AddressScope.mayTell(candidate.address.getAddress(), contact.address())
          && taken++ < NEAREST) {
        offer(contact, candidate.depth + 1);
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

  /** The nearest that answered, then the nearest proven that answered and are not among them. */
  List<Candidate> nearest() {
    var nearest = new ArrayList<Candidate>();
    for (Candidate candidate : candidates) {
      if (candidate.state == State.ANSWERED && nearest.size() < NEAREST) {
        nearest.add(candidate);
      }
    }
    int proven = 0;
    for (Candidate candidate : candidates) {
      if (candidate.state == State.ANSWERED && candidate.proven && proven++ < NEAREST) {
        if (!nearest.contains(candidate)) {
          nearest.add(candidate);
        }
      }
    }
    return nearest;
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
