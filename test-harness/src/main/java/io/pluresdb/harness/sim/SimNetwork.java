package io.pluresdb.harness.sim;

import io.pluresdb.crdt.engine.PeerLink;
import io.pluresdb.crdt.engine.ReplicaEngine;
import io.pluresdb.crdt.sync.SyncMessage;
import java.util.ArrayDeque;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/** The ways between devices: what is under way, and what is wrong with each. */
final class SimNetwork {
  /** Messages under way in one direction after which a link is not writable. */
  static final int MAX_UNDER_WAY = 16;

  /** Messages of any kind under way in one direction that show that nothing bounds them. */
  static final int MAX_QUEUED = 64;

  /** Bytes under way in one direction after which a link is not writable. */
  static final int MAX_BYTES_UNDER_WAY = 64 << 10;

  /** Two devices that keep a connection. */
  static final class Pair {
    final int a;
    final int b;
    @Nullable Connection connection;
    boolean attemptScheduled;

    /** Two copies of one device do not connect to each other. */
    boolean same;

    long backoffMillis;
    long slowUntil;
    long lossUntil;
    int lossPercent;
    long repeatUntil;
    int repeatPercent;
    long reorderUntil;
    int reorderPercent;
    long corruptUntil;
    int corruptPercent;
    // Nothing arrives at b (from a), or at a (from b), before these.
    long blockedToA;
    long blockedToB;

    final RandomGenerator connecting;
    private final RandomGenerator chancesOfA;
    private final RandomGenerator chancesOfB;

    Pair(
        int a,
        int b,
        RandomGenerator connecting,
        RandomGenerator chancesOfA,
        RandomGenerator chancesOfB) {
      this.a = a;
      this.b = b;
      this.connecting = connecting;
      this.chancesOfA = chancesOfA;
      this.chancesOfB = chancesOfB;
    }

    /** Chances of what {@code sender} sends. */
    RandomGenerator chances(int sender) {
      return sender == a ? chancesOfA : chancesOfB;
    }

    long blockedTo(int node) {
      return node == a ? blockedToA : blockedToB;
    }

    void block(int to, long until) {
      if (to == a) {
        blockedToA = Math.max(blockedToA, until);
      } else {
        blockedToB = Math.max(blockedToB, until);
      }
    }

    void heal() {
      slowUntil = lossUntil = repeatUntil = reorderUntil = corruptUntil = 0;
      blockedToA = blockedToB = 0;
    }
  }

  /** One connection: two ends, and whether it has ended. */
  static final class Connection {
    final Pair pair;
    final End atA;
    final End atB;
    boolean dead;
    boolean breakScheduled;

    Connection(Pair pair, SimCluster cluster, SimNode a, SimNode b) {
      this.pair = pair;
      atA = new End(this, cluster, a);
      atB = new End(this, cluster, b);
    }

    End other(End end) {
      return end == atA ? atB : atA;
    }
  }

  /** One device's end of a connection. */
  static final class End implements PeerLink {
    final Connection connection;
    final SimNode owner;
    final int life;
    long reached;
    private final SimCluster cluster;

    /** What was sent from here and has not arrived. */
    final ArrayDeque<byte[]> underWay = new ArrayDeque<>();

    int bytesUnderWay;

    /** Whether this end takes nothing in any more. */
    boolean refusesToRead;

    long lastArrival;
    ReplicaEngine.@Nullable Peer peer;

    End(Connection connection, SimCluster cluster, SimNode owner) {
      this.connection = connection;
      this.cluster = cluster;
      this.owner = owner;
      this.life = owner.lives;
    }

    RandomGenerator chances() {
      return connection.pair.chances(owner.index);
    }

    /** The end at the other device. */
    End far() {
      return connection.other(this);
    }

    boolean hasRoom() {
      return underWay.size() < MAX_UNDER_WAY && bytesUnderWay < MAX_BYTES_UNDER_WAY;
    }

    @Override
    public void send(SyncMessage message) {
      cluster.send(this, message);
    }

    @Override
    public void reached(long arrival, boolean whole) {
      cluster.reached(this, arrival);
    }

    @Override
    public boolean isWritable() {
      return cluster.isWritable(this);
    }

    @Override
    public void flush() {}

    @Override
    public byte[] deviceKey() {
      return far().owner.signer.publicKey();
    }

    @Override
    public void dismiss() {
      cluster.dismiss(this);
    }

    @Override
    public void close(String reason) {
      cluster.close(this, reason);
    }
  }

  private SimNetwork() {}
}
