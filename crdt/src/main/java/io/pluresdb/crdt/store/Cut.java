package io.pluresdb.crdt.store;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.store.Rows.SegmentRow;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;

/** Which changes belong to a {@link Moment}, in one snapshot. */
abstract sealed class Cut implements AutoCloseable {
  private Cut() {}

  /** Whether a change that is in the log belongs to the moment. */
  abstract boolean covers(ActorId actor, long seq, long timestamp);

  @Override
  public void close() {}

  /**
   * The cut of a moment.
   *
   * @throws CoreException when the moment lies before {@code floor} or names a change that is not
   *     here
   */
  static Cut of(Storage.Snapshot snapshot, Moment moment, Floor floor) {
    return switch (moment) {
      case Moment.Time time -> {
        if (time.last() < floor.timestamp()) {
          throw Floor.tooOld(floor.timestamp());
        }
        yield new ByTime(time.last());
      }
      case Moment.Seen(var seqs) -> {
        floor
            .seqs()
            .forEach(
                (actor, seq) -> {
                  if (seqs.getOrDefault(actor, 0L) < seq) {
                    throw Floor.tooOld(floor.timestamp());
                  }
                });
        yield new BySeq(seqs);
      }
      case Moment.Version(var actor, var seq) -> {
        if (floor.covers(actor, seq)) {
          throw Floor.tooOld(floor.timestamp());
        }
        yield new Past(snapshot, actor, seq);
      }
    };
  }

  private static final class ByTime extends Cut {
    private final long last;

    ByTime(long last) {
      this.last = last;
    }

    @Override
    boolean covers(ActorId actor, long seq, long timestamp) {
      return timestamp <= last;
    }
  }

  private static final class BySeq extends Cut {
    private final NavigableMap<ActorId, Long> seqs;

    BySeq(NavigableMap<ActorId, Long> seqs) {
      this.seqs = seqs;
    }

    @Override
    boolean covers(ActorId actor, long seq, long timestamp) {
      return seqs.getOrDefault(actor, 0L) >= seq;
    }
  }

  /**
   * The causal past of a change. Each change names what its author had newly seen of others, so the
   * last mention of an actor, going back along the author's chain, says how far it had been seen. A
   * change that is not older than a link of the chain cannot be in that link's past, so the walk
   * ends there.
   */
  private static final class Past extends Cut {
    private final ActorId author;
    private final long seq;
    private final Storage.Cursor chain;
    private final Map<ActorId, Long> seen = new HashMap<>();
    private final long timestamp;
    private List<Change.Reach> segment = List.of();
    private int next;
    private long reached;
    private boolean ended;

    Past(Storage.Snapshot snapshot, ActorId author, long seq) {
      this.author = author;
      this.seq = seq;
      chain = ChangeLog.segmentsBackwards(snapshot, author, seq);
      if (!chain.next()) {
        chain.close();
        throw unknown(author, seq);
      }
      segment = SegmentRow.reaches(chain.value());
      next = (int) Math.min(seq - Rows.seq(chain.key()), segment.size());
      if (next == segment.size()) {
        chain.close();
        throw unknown(author, seq);
      }
      timestamp = segment.get(next).timestamp();
      reached = Long.MAX_VALUE;
    }

    private static CoreException unknown(ActorId actor, long seq) {
      return new CoreException(
          CoreException.Kind.VERSION_NOT_FOUND, "there is no change " + actor + "." + seq);
    }

    @Override
    boolean covers(ActorId actor, long otherSeq, long otherTimestamp) {
      if (actor.equals(author)) {
        return otherSeq <= seq;
      }
      if (otherTimestamp >= timestamp) {
        return false;
      }
      Long known;
      while ((known = seen.get(actor)) == null && reached > otherTimestamp && !ended) {
        step();
      }
      return known != null && otherSeq <= known;
    }

    /** Goes one change back along the chain. */
    private void step() {
      if (next < 0) {
        ended = !chain.next();
        if (ended) {
          return;
        }
        segment = SegmentRow.reaches(chain.value());
        next = segment.size() - 1;
      }
      Change.Reach reach = segment.get(next--);
      reached = reach.timestamp();
      for (Change.Dependency dependency : reach.deps()) {
        seen.putIfAbsent(dependency.actor(), dependency.seq());
      }
    }

    @Override
    public void close() {
      chain.close();
    }
  }
}
