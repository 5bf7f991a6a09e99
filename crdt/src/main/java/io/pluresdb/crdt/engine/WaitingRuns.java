package io.pluresdb.crdt.engine;

import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.store.RunOutcome;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Foreign changes that arrived before what they depend on, or from too far in the future: bounded,
 * in memory only, since whoever sent them still has them.
 *
 * <p>Nothing in here has been verified. Each run belongs to the peer that sent it: it goes when the
 * peer goes or after {@link #MAX_WAIT_TICKS}, and when there is no room, the peer that takes most
 * of it gives way. So a peer that sends what can never be applied takes room from nobody but
 * itself, and what it sends in another's name does not stand in for the real thing.
 */
final class WaitingRuns {
  static final int MAX_RUNS = 1_024;
  static final int MAX_BYTES = 16 << 20;

  /**
   * Ticks of the engine, about seconds, that a run waits before it is dropped; who sent it will
   * send it again if it is missing. Not wall-clock time: that may step.
   */
  static final long MAX_WAIT_TICKS = 600;

  /**
   * A run that waits.
   *
   * @param peer who sent it
   * @param reason what it waits for
   */
  record Held(ChangeRun run, Object peer, long sinceTick, RunOutcome reason) {
    boolean isSame(ChangeRun other, Object sender) {
      return peer.equals(sender)
          && run.actor().equals(other.actor())
          && run.fromSeq() == other.fromSeq()
          && run.toSeq() == other.toSeq()
          && Arrays.equals(run.signature(), other.signature());
    }
  }

  private static final class Share {
    int runs;
    int bytes;
  }

  private final List<Held> held = new ArrayList<>();
  private final Map<Object, Share> shares = new HashMap<>();
  private int bytes;

  /** Changes that wait. */
  int changes() {
    int changes = 0;
    for (Held one : held) {
      changes += one.run.changes().size();
    }
    return changes;
  }

  /** How many ticks the oldest has waited; 0 when none waits. */
  long oldestTicks(long tick) {
    long oldest = tick;
    for (Held one : held) {
      oldest = Math.min(oldest, one.sinceTick);
    }
    return tick - oldest;
  }

  /** Whether something that this peer sent waits. */
  boolean holdsOf(Object peer) {
    return shares.containsKey(peer);
  }

  /**
   * Takes a run in.
   *
   * @return what had to go for it, in full; the run itself when it is not taken in
   */
  List<Held> add(Held fresh) {
    for (Held known : held) {
      if (known.isSame(fresh.run, fresh.peer)) {
        return List.of();
      }
    }
    var dropped = new ArrayList<Held>();
    int size = fresh.run.encodedBytes();
    while (held.size() >= MAX_RUNS || bytes + size > MAX_BYTES) {
      Object greedy = greediest(fresh.peer, size);
      if (greedy.equals(fresh.peer)) {
        dropped.add(fresh);
        return dropped;
      }
      dropped.add(removeNewestOf(greedy));
    }
    put(fresh);
    return dropped;
  }

  /** The peer whose part of the bounds would be largest if {@code peer} got {@code size} more. */
  private Object greediest(Object peer, int size) {
    Share own = shares.get(peer);
    Object greedy = peer;
    double most =
        part(own == null ? 1 : own.runs + 1, own == null ? size : (long) own.bytes + size);
    // In order of age: a hash map's order would differ between virtual machines.
    for (Held one : held) {
      Share share = Objects.requireNonNull(shares.get(one.peer));
      double part = one.peer.equals(peer) ? 0 : part(share.runs, share.bytes);
      if (part > most) {
        most = part;
        greedy = one.peer;
      }
    }
    return greedy;
  }

  private static double part(int runs, long bytes) {
    return Math.max((double) runs / MAX_RUNS, (double) bytes / MAX_BYTES);
  }

  private Held removeNewestOf(Object peer) {
    for (int i = held.size() - 1; i >= 0; i--) {
      if (held.get(i).peer.equals(peer)) {
        return remove(i);
      }
    }
    throw new IllegalStateException("a peer without runs has no share");
  }

  private void put(Held fresh) {
    held.add(fresh);
    Share share = shares.computeIfAbsent(fresh.peer, p -> new Share());
    share.runs++;
    share.bytes += fresh.run.encodedBytes();
    bytes += fresh.run.encodedBytes();
  }

  private Held remove(int index) {
    Held gone = held.remove(index);
    int size = gone.run.encodedBytes();
    bytes -= size;
    Share share = Objects.requireNonNull(shares.get(gone.peer));
    share.runs--;
    share.bytes -= size;
    if (share.runs == 0) {
      shares.remove(gone.peer);
    }
    return gone;
  }

  /** Takes everything out, oldest first; what still has to wait is put back by {@link #keep}. */
  List<Held> take() {
    var all = List.copyOf(held);
    held.clear();
    shares.clear();
    bytes = 0;
    return all;
  }

  /** Puts back what {@link #take} took out: there is room for it. */
  void keep(Held one) {
    put(one);
  }

  /** Drops what a peer that is gone sent. */
  void forget(Object peer) {
    for (int i = held.size() - 1; i >= 0; i--) {
      if (held.get(i).peer.equals(peer)) {
        remove(i);
      }
    }
  }

  /** Drops and returns what has waited too long. */
  List<Held> expire(long tick) {
    var expired = new ArrayList<Held>();
    for (int i = held.size() - 1; i >= 0; i--) {
      if (tick - held.get(i).sinceTick >= MAX_WAIT_TICKS) {
        expired.add(remove(i));
      }
    }
    return expired;
  }
}
