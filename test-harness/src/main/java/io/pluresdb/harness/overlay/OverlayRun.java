package io.pluresdb.harness.overlay;

import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.overlay.HyParView;
import io.pluresdb.crdt.overlay.PeerId;
import io.pluresdb.crdt.store.ReplicaIdentity;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/**
 * One overlay in virtual time: devices come, write, fail and leave, and what reaches whom is
 * counted. Everything follows from the seed.
 */
public final class OverlayRun {
  /** How devices notice that one is gone, in milliseconds from then. */
  public record Detection(long fromMillis, long toMillis) {
    /** The process ended: its system closes the connections. */
    public static final Detection KILLED = new Detection(10, 200);

    /** The device lost power or network: a session that hears nothing ends after 45 s. */
    public static final Detection VANISHED = new Detection(30_000, 45_000);
  }

  /** Which machines a device is made of. */
  public enum Peers {
    /** The product's engine, sessions and storage. */
    ENGINES,
    /** The product's views and tree over a model of the sessions. */
    MODEL
  }

  /** What is switched off, for controls and comparisons. */
  public enum Without {
    NOTHING,
    /** Every link pushes. */
    TREE,
    /** Nothing that was announced is asked for. */
    REPAIR,
    /** No session compares frontiers. */
    BACKSTOP,
    REPAIR_AND_BACKSTOP
  }

  /**
   * What became of the changes that were published in a stretch of time.
   *
   * @param reliability share of the living devices that have a change, the mean over all changes;
   *     also those that came after it; times are of those that were there
   * @param complete share of the changes that all of those have
   * @param lastHop steps from the writer to the device that got it last, mean and greatest
   * @param medianMillis from writing to the device in the middle
   * @param lastMillis to the last device, the mean over all changes
   * @param worstMillis to the last device, the slowest change
   */
  public record Delivery(
      int changes,
      double reliability,
      double complete,
      double lastHop,
      int worstHop,
      double medianMillis,
      double lastMillis,
      long worstMillis) {}

  /**
   * The graph of neighbours.
   *
   * @param largestComponent share of the living devices in it, links taken where both sides agree
   * @param symmetric share of the neighbours that say the same of each other
   * @param degrees how many devices have 0, 1, 2, ... neighbours
   */
  public record Graph(
      int living, double largestComponent, double symmetric, int[] degrees, double meanReserve) {
    public int least() {
      int degree = 0;
      while (degree < degrees.length - 1 && degrees[degree] == 0) {
        degree++;
      }
      return degree;
    }

    public int greatest() {
      return degrees.length - 1;
    }
  }

  private static final int RENDEZVOUS = 3;

  private final OverlayNetwork network;
  private final SplittableRandom random;
  private final Peers peers;
  private final Without without;
  private final int capacity;
  private final ModelPeer.Changes changes = new ModelPeer.Changes();
  private final EnginePeer.Published published = new EnginePeer.Published();
  private final List<Integer> writerNodes = new ArrayList<>();
  private final List<Long> publishedAt = new ArrayList<>();
  private final List<Integer> sizeAt = new ArrayList<>();
  private final List<byte[]> hops = new ArrayList<>(); // change -> device -> hops + 1
  private final List<int[]> arrivals = new ArrayList<>(); // change -> device -> ms + 1
  private final List<Signer> signers = new ArrayList<>();
  private final List<MembershipEntry> members = new ArrayList<>();
  private final int most;

  /**
   * An overlay without devices.
   *
   * @param most how many devices there will be at most, those that come later included
   * @param neighbours how many each has: {@link HyParView#capacity}
   */
  public OverlayRun(long seed, int most, int neighbours, Peers peers, Without without) {
    this.random = new SplittableRandom(seed ^ 0x5DEECE66DL);
    this.network = new OverlayNetwork(seed, this::delivered);
    this.peers = peers;
    this.without = without;
    this.capacity = neighbours;
    this.most = most;
    if (peers == Peers.ENGINES) {
      enlist(new SplittableRandom(seed ^ 77));
    }
  }

  private static final Hash DATABASE = ReplicaIdentity.databaseHash("overlay");

  private void enlist(SplittableRandom keys) {
    for (int i = 0; i < most; i++) {
      byte[] secret = new byte[32];
      keys.nextBytes(secret);
      signers.add(new Signer(secret));
    }
    Signer founder = signers.getFirst();
    for (int i = 0; i < most; i++) {
      members.add(
          MembershipEntry.Admit.sign(
              DATABASE,
              signers.get(i).publicKey(),
              i == 0 ? Role.ADMIN : Role.WRITE,
              "d" + i,
              0,
              new byte[MembershipEntry.INVITE_BYTES],
              List.of(),
              founder));
    }
  }

  /** Lets {@code count} devices come within {@code millis}; each knows three that are there. */
  public void arrive(int count, long millis) {
    for (int i = 0; i < count; i++) {
      int first = network.size() + i;
      network.schedule(millis * i / Math.max(1, count), () -> add(first));
    }
    network.run(millis);
  }

  private void add(int expected) {
    int index = network.size();
    if (index > expected || index >= most) {
      return;
    }
    List<Integer> there = index == 0 ? List.of() : sampleLiving(RENDEZVOUS);
    PeerId id =
        peers == Peers.ENGINES
            ? PeerId.of(signers.get(index).publicKey())
            : new PeerId(OverlayNetwork.mix(index + 1), 0, 0, index);
    network.add(id, peer(index, id));
    there.forEach(other -> network.peer(index).learn(other));
  }

  private OverlayPeer peer(int index, PeerId id) {
    if (peers == Peers.MODEL) {
      var switches =
          new ModelPeer.Switches(
              without != Without.TREE,
              without != Without.REPAIR && without != Without.REPAIR_AND_BACKSTOP,
              without != Without.BACKSTOP && without != Without.REPAIR_AND_BACKSTOP);
      return new ModelPeer(network, index, id, changes, capacity, switches);
    }
    var identity =
        new ReplicaIdentity(DATABASE, signers.getFirst().publicKey(), signers.get(index));
    return new EnginePeer(network, index, identity, members, published, without != Without.TREE);
  }

  private List<Integer> sampleLiving(int count) {
    List<Integer> living = network.living();
    var taken = new ArrayList<Integer>();
    while (taken.size() < Math.min(count, living.size())) {
      int one = living.get(random.nextInt(living.size()));
      if (!taken.contains(one)) {
        taken.add(one);
      }
    }
    return taken;
  }

  /** Lets time pass. */
  public void run(long millis) {
    network.run(millis);
  }

  private void delivered(int from, int to, OverlayPeer.Message message) {
    boolean fresh = false;
    for (int change : message.changes()) {
      if (hops.get(change)[to] == 0) {
        fresh = true;
        hops.get(change)[to] = (byte) Math.min(127, hops.get(change)[from] + 1);
        arrivals.get(change)[to] = (int) (network.now() - publishedAt.get(change)) + 1;
      }
    }
    if (message.kind() == Kind.CHANGES && !fresh) {
      network.traffic().countDuplicate();
    }
  }

  /**
   * Publishes {@code count} changes, one every {@code everyMillis}, by {@code writers} living
   * devices in random order.
   *
   * @return the number of the first of them
   */
  public int publish(int count, long everyMillis, int writers) {
    int first = changes.all.size();
    List<Integer> authors = sampleLiving(writers);
    for (int i = 0; i < count; i++) {
      network.schedule(i * everyMillis, () -> write(authors.get(random.nextInt(authors.size()))));
    }
    network.run(count * everyMillis);
    return first;
  }

  private void write(int author) {
    int node = network.isAlive(author) ? author : sampleLiving(1).getFirst();
    int writer = writerNodes.indexOf(node);
    if (writer < 0) {
      writer = writerNodes.size();
      writerNodes.add(node);
      changes.byWriter.add(new ArrayList<>());
    }
    int change = changes.all.size();
    changes.byWriter.get(writer).add(change);
    changes.all.add(new int[] {writer, changes.byWriter.get(writer).size()});
    publishedAt.add(network.now());
    sizeAt.add(network.size());
    hops.add(new byte[most]);
    arrivals.add(new int[most]);
    hops.getLast()[node] = 1;
    arrivals.getLast()[node] = 1;
    network.peer(node).write(change);
  }

  /** Ends that share of the devices at once. */
  public void fail(double share, Detection detection) {
    List<Integer> victims = sampleLiving((int) Math.round(share * network.living().size()));
    victims.forEach(victim -> network.kill(victim, detection.fromMillis(), detection.toMillis()));
  }

  /**
   * Every second for {@code seconds}, {@code perSecond} random devices go and as many new ones
   * come, while one change a second is published.
   *
   * @return the number of the first change
   */
  public int churn(int seconds, double perSecond, Detection detection, int writers) {
    int first = changes.all.size();
    double due = 0;
    for (int second = 0; second < seconds; second++) {
      due += perSecond;
      while (due >= 1) {
        due--;
        network.kill(sampleLiving(1).getFirst(), detection.fromMillis(), detection.toMillis());
        add(network.size());
      }
      publish(1, 1_000, writers);
    }
    return first;
  }

  /** Loses that share of the messages inside sessions. */
  public void lose(int percent) {
    network.lose(percent);
  }

  /** Cuts the first {@code share} of the devices off from the rest; 0 heals it. */
  public void split(double share) {
    network.split((int) Math.round(share * network.size()));
  }

  /** What became of the changes from number {@code first} to before {@code end}. */
  public Delivery delivery(int first, int end) {
    double reliability = 0;
    int complete = 0;
    double lastHop = 0;
    int worstHop = 0;
    double median = 0;
    double last = 0;
    long worst = 0;
    for (int change = first; change < end; change++) {
      var times = new ArrayList<Integer>();
      int reached = 0;
      int expected = 0;
      int hop = 0;
      for (int node : network.living()) {
        expected++;
        if (network.peer(node).has(change)) {
          reached++;
          if (node < sizeAt.get(change)) {
            times.add(arrivals.get(change)[node] - 1);
            hop = Math.max(hop, hops.get(change)[node] - 1);
          }
        }
      }
      times.sort(null);
      reliability += reached / (double) expected;
      complete += reached == expected ? 1 : 0;
      lastHop += hop;
      worstHop = Math.max(worstHop, hop);
      median += times.get(times.size() / 2);
      last += times.getLast();
      worst = Math.max(worst, times.getLast());
    }
    int count = end - first;
    return new Delivery(
        count,
        reliability / count,
        complete / (double) count,
        lastHop / count,
        worstHop,
        median / count,
        last / count,
        worst);
  }

  public int published() {
    return changes.all.size();
  }

  /** What was sent so far. */
  public Traffic traffic() {
    return network.traffic().copy();
  }

  /** The graph of neighbours now. */
  public Graph graph() {
    List<Integer> living = network.living();
    var neighbours = new ArrayList<Set<Integer>>();
    int greatest = 0;
    double reserve = 0;
    for (int i = 0; i < network.size(); i++) {
      var known = new HashSet<Integer>();
      if (network.isAlive(i)) {
        network.peer(i).neighbours().forEach(id -> known.add(network.index(id)));
        reserve += network.peer(i).reserve().size();
        greatest = Math.max(greatest, known.size());
      }
      neighbours.add(known);
    }
    int[] degrees = new int[greatest + 1];
    long claims = 0;
    long agreed = 0;
    for (int node : living) {
      degrees[neighbours.get(node).size()]++;
      for (int other : neighbours.get(node)) {
        claims++;
        agreed += network.isAlive(other) && neighbours.get(other).contains(node) ? 1 : 0;
      }
    }
    return new Graph(
        living.size(),
        largest(living, neighbours) / (double) living.size(),
        claims == 0 ? 1 : agreed / (double) claims,
        degrees,
        reserve / living.size());
  }

  /** Every pair of devices of which the first holds the second for a neighbour. */
  public Set<Long> edges() {
    var edges = new HashSet<Long>();
    for (int node : network.living()) {
      for (PeerId neighbour : network.peer(node).neighbours()) {
        edges.add((long) node << 32 | network.index(neighbour));
      }
    }
    return edges;
  }

  private int largest(List<Integer> living, List<Set<Integer>> neighbours) {
    int[] component = new int[network.size()];
    Arrays.fill(component, -1);
    int largest = 0;
    for (int start : living) {
      if (component[start] >= 0) {
        continue;
      }
      int size = 0;
      var queue = new ArrayDeque<Integer>();
      queue.add(start);
      component[start] = start;
      Integer node;
      while ((node = queue.poll()) != null) {
        size++;
        for (int other : neighbours.get(node)) {
          if (network.isAlive(other)
              && component[other] < 0
              && neighbours.get(other).contains(node)) {
            component[other] = start;
            queue.add(other);
          }
        }
      }
      largest = Math.max(largest, size);
    }
    return largest;
  }

  /**
   * Runs until the living devices are one graph and no neighbour is dead.
   *
   * @return the seconds it took, or null when it did not happen within {@code maxSeconds}
   */
  public @Nullable Integer heal(int maxSeconds) {
    for (int second = 0; second <= maxSeconds; second++) {
      Graph graph = graph();
      if (graph.largestComponent() == 1 && graph.symmetric() > 0.99) {
        return second;
      }
      network.run(1_000);
    }
    return null;
  }

  /** A hash over every event so far: equal exactly when two runs went alike. */
  public long trace() {
    return network.trace();
  }

  /** Whether all living devices are in the same state; engines only. */
  public boolean isConverged() {
    var states = new HashSet<Hash>();
    for (int node : network.living()) {
      if (network.peer(node) instanceof EnginePeer peer) {
        states.add(peer.stateHash());
      }
    }
    return states.size() == 1;
  }
}
