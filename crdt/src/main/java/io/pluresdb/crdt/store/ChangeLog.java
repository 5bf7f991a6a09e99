package io.pluresdb.crdt.store;

import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.MembershipEntry.Fork.Branch;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.op.DocumentEdit;
import io.pluresdb.crdt.op.SignedHead;
import io.pluresdb.crdt.store.Rows.ActorRow;
import io.pluresdb.crdt.store.Rows.ArrivalRow;
import io.pluresdb.crdt.store.Rows.JoinedRow;
import io.pluresdb.crdt.store.Rows.SegmentRow;
import io.pluresdb.crdt.store.Staging.DocumentKey;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * The changes of a replica in the order in which they arrived, which is a causal order: whoever has
 * what lies below its {@link #floor} and follows it with a cursor never meets a change before what
 * it depends on.
 *
 * <p>Reads only; usable from any thread.
 */
public final class ChangeLog {
  /**
   * Stands for the signature of a change that is the last that counts, in the middle of a stretch:
   * whoever knows that it is the last has its hash from a membership entry.
   */
  static final byte[] VOUCHED = new byte[Signer.SIGNATURE_BYTES];

  private final Storage storage;
  private volatile LogFloor floor;
  private volatile Frontier counting = Frontier.EMPTY;

  ChangeLog(Storage storage, LogFloor floor) {
    this.storage = storage;
    this.floor = floor;
  }

  /** Takes note of each actor's newest change that counts; later ones are void, and not sent. */
  void counts(Frontier frontier) {
    counting = frontier;
  }

  /** Where this log begins: changes at or below it may be missing. */
  public LogFloor floor() {
    return floor;
  }

  void raise(LogFloor higher) {
    floor = higher;
  }

  /**
   * Changes from a cursor on.
   *
   * @param runs in causal order; each ends at a signed change
   * @param cursor arrival up to which everything was looked at; hand it to the next call
   * @param bytes encoded size of the runs, within a few
   */
  public record Batch(List<ChangeRun> runs, long cursor, int bytes) {}

  /**
   * Reads what arrived after {@code after} and is not known to the reader, who has reached the
   * {@link #floor}.
   *
   * @param after arrival that was looked at last, 0 for none
   * @param end last arrival to look at, inclusive
   * @param known the greatest seq of an actor that the reader has; skipped up to there
   * @param targetBytes the batch ends before it exceeds this, unless a single signed stretch does
   */
  public Batch read(long after, long end, ToLongFunction<ActorId> known, int targetBytes) {
    // What is not in the log any more, the reader has.
    long cursor = Math.max(after, Math.min(end, floor.arrivals()));
    if (cursor >= end) {
      return new Batch(List.of(), cursor, 0);
    }
    try (var snapshot = storage.snapshot()) {
      var builder = new BatchBuilder(snapshot, counting, known, targetBytes);
      long first = rowAt(snapshot, cursor + 1);
      try (var rows =
          snapshot.scan(Table.ARRIVAL, Rows.arrivalKey(first), Rows.arrivalKey(end + 1))) {
        while (!builder.full && rows.next()) {
          long arrival = Rows.arrival(rows.key());
          if (JoinedRow.is(rows.value())) {
            builder.pass(arrival);
            continue;
          }
          ArrivalRow row = ArrivalRow.read(rows.value());
          long skip = Math.max(0, cursor + 1 - arrival);
          builder.row(row, skip, arrival);
        }
      }
      return builder.batch(cursor);
    }
  }

  /** The first arrival of the row that holds {@code arrival}. */
  private static long rowAt(Storage.Snapshot snapshot, long arrival) {
    try (var rows =
        snapshot.scanBackwards(Table.ARRIVAL, Rows.arrivalKey(0), Rows.arrivalKey(arrival + 1))) {
      return rows.next() ? Rows.arrival(rows.key()) : arrival;
    }
  }

  /** The arrival of a change, or 0 when it is not here. */
  public long arrivalOf(ActorId actor, long seq) {
    try (var snapshot = storage.snapshot();
        var rows = segmentsBackwards(snapshot, actor, seq)) {
      return rows.next() ? SegmentRow.arrivalOf(rows.value(), seq - Rows.seq(rows.key())) : 0;
    }
  }

  /** Up to where the log is no longer kept, with what came by joining. */
  Floor storedFloor() {
    try (var snapshot = storage.snapshot()) {
      return new Floor(snapshot);
    }
  }

  /** The hash and the hybrid time of a change. */
  record Place(Hash hash, long timestamp) {}

  /**
   * Where a change stands in its chain.
   *
   * @throws StorageException.Failed when it is not here
   */
  Place place(Hash database, ActorId actor, long seq) {
    Head lowest = floor.frontier().heads().get(actor);
    byte[] row = storage.get(Table.FLOOR, Rows.actorKey(actor));
    if (lowest != null && lowest.seq() == seq && row != null) {
      return new Place(lowest.hash(), SignedHead.read(row).timestamp());
    }
    try (var snapshot = storage.snapshot();
        var rows = segmentsBackwards(snapshot, actor, seq)) {
      if (!rows.next()) {
        throw missing(actor, seq);
      }
      long at = Rows.seq(rows.key());
      SegmentRow segment = SegmentRow.read(rows.value());
      Hash hash = segment.previous();
      for (Change change : segment.changes()) {
        hash = change.hash(database, actor, at, hash);
        if (at++ == seq) {
          return new Place(hash, change.timestamp());
        }
      }
      throw missing(actor, seq);
    }
  }

  /**
   * The stored changes of an actor behind {@code common}, void ones too, up to the first that is
   * signed; null when the log does not hold them, or more than a proof may.
   */
  public @Nullable Branch branch(ActorId actor, long common, long newest) {
    var links = new ArrayList<Change.Link>();
    if (floor.frontier().seq(actor) > common) {
      return null;
    }
    try (var snapshot = storage.snapshot();
        var log = new Segments(snapshot, actor, common + 1, newest)) {
      while (links.size() < MembershipEntry.MAX_LINKS && log.next()) {
        links.add(log.change().link());
        byte[] signature = log.signature();
        if (signature != null) {
          return new Branch(links, signature);
        }
      }
    }
    return null;
  }

  /** Hands over the stored changes {@code [from, to]} of an actor, void ones too. */
  void changes(ActorId actor, long from, long to, Consumer<Arrived> consumer) {
    try (var snapshot = storage.snapshot();
        var log = new Segments(snapshot, actor, from, to)) {
      while (log.next()) {
        consumer.accept(new Arrived(log.arrival(), actor, log.seq(), log.change()));
      }
    }
  }

  /** The hash of a change, or null when it is neither here nor where the log begins. */
  @Nullable Hash hashOf(Hash database, ActorId actor, long seq) {
    Head lowest = floor.frontier().heads().get(actor);
    if (lowest != null && lowest.seq() == seq) {
      return lowest.hash();
    }
    try (var snapshot = storage.snapshot();
        var rows = segmentsBackwards(snapshot, actor, seq)) {
      if (!rows.next()) {
        return null;
      }
      long from = Rows.seq(rows.key());
      SegmentRow segment = SegmentRow.read(rows.value());
      if (seq - from >= segment.changes().size()) {
        return null;
      }
      Hash hash = segment.previous();
      for (long s = from; s <= seq; s++) {
        hash = segment.changes().get((int) (s - from)).hash(database, actor, s, hash);
      }
      return hash;
    }
  }

  /** The segment that holds a change, if any does, and those before it, newest first. */
  static Storage.Cursor segmentsBackwards(Storage.Snapshot snapshot, ActorId actor, long seq) {
    return snapshot.scanBackwards(Table.LOG, Rows.logKey(actor, 0), Rows.logKey(actor, seq + 1));
  }

  /** A change and its place. */
  public record Arrived(long arrival, ActorId actor, long seq, Change change) {}

  /** The changes after {@code cursor}, at most {@code limit}, in order of arrival. */
  public List<Arrived> arrived(long cursor, int limit) {
    var changes = new ArrayList<Arrived>();
    try (var snapshot = storage.snapshot()) {
      long first = rowAt(snapshot, cursor + 1);
      try (var rows = snapshot.scan(Table.ARRIVAL, Rows.arrivalKey(first), null)) {
        while (changes.size() < limit && rows.next()) {
          long arrival = Rows.arrival(rows.key());
          if (JoinedRow.is(rows.value())) {
            continue;
          }
          ArrivalRow row = ArrivalRow.read(rows.value());
          long skip = Math.max(0, cursor + 1 - arrival);
          if (skip >= row.count()) {
            continue;
          }
          try (var log = new Segments(snapshot, row.actor(), row.fromSeq() + skip, row.lastSeq())) {
            while (changes.size() < limit && log.next()) {
              changes.add(
                  new Arrived(
                      arrival + log.seq() - row.fromSeq(), row.actor(), log.seq(), log.change()));
            }
          }
        }
      }
    }
    return changes;
  }

  /**
   * Hands over every change that may touch one of the documents and that the log still holds, in
   * order of arrival.
   */
  void touching(Collection<byte[]> ids, Consumer<Arrived> consumer) {
    var wanted = ids.stream().map(TouchedIds.Wanted::of).toList();
    try (var snapshot = storage.snapshot();
        var rows = snapshot.scan(Table.ARRIVAL, Rows.arrivalKey(0), null)) {
      while (rows.next()) {
        byte[] value = rows.value();
        if (JoinedRow.is(value)
            || wanted.stream().noneMatch(id -> ArrivalRow.mayTouch(value, id))) {
          continue;
        }
        ArrivalRow row = ArrivalRow.read(value);
        try (var log = new Segments(snapshot, row.actor(), row.fromSeq(), row.lastSeq())) {
          while (log.next()) {
            if (log.change().omitted() == null) {
              consumer.accept(new Arrived(log.arrival(), row.actor(), log.seq(), log.change()));
            }
          }
        }
      }
    }
  }

  /**
   * Documents that were touched.
   *
   * @param arrival when
   * @param ids each once, in the order of the change
   */
  public record Touched(long arrival, List<byte[]> ids) {}

  /**
   * What was touched after a place.
   *
   * @param floor arrivals up to here are told of no more
   */
  public record Followed(List<Touched> touched, long floor) {}

  /**
   * What changes and joined snapshots touched after {@code cursor}, in order of arrival, by at most
   * {@code limit} of them. Nothing is told of what lies below the floor.
   */
  public Followed touched(long cursor, int limit) {
    try (var snapshot = storage.snapshot()) {
      return touched(snapshot, cursor, limit);
    }
  }

  /** As {@link #touched(long, int)}, of what a snapshot holds. */
  static Followed touched(Storage.Snapshot snapshot, long cursor, int limit) {
    var touched = new ArrayList<Touched>();
    byte[] stored = snapshot.get(Table.META, Rows.META_FLOOR);
    long lowest = Rows.FloorRow.read(stored).arrivals();
    long first = rowAt(snapshot, cursor + 1);
    try (var rows = snapshot.scan(Table.ARRIVAL, Rows.arrivalKey(first), null)) {
      while (touched.size() < limit && rows.next()) {
        long arrival = Rows.arrival(rows.key());
        if (JoinedRow.is(rows.value())) {
          if (arrival > cursor) {
            touched.add(new Touched(arrival, JoinedRow.read(rows.value()).ids()));
          }
          continue;
        }
        ArrivalRow row = ArrivalRow.read(rows.value());
        long skip = Math.max(0, cursor + 1 - arrival);
        if (skip >= row.count()) {
          continue;
        }
        try (var log = new Segments(snapshot, row.actor(), row.fromSeq() + skip, row.lastSeq())) {
          while (touched.size() < limit && log.next()) {
            if (log.change().omitted() != null) {
              touched.add(new Touched(arrival + log.seq() - row.fromSeq(), List.of()));
              continue;
            }
            var ids = new LinkedHashSet<DocumentKey>();
            Change change = log.change();
            List<DocumentEdit> edits =
                change.omitted() == null
                    ? ChangeBody.decode(row.actor(), change.body())
                    : List.of();
            for (DocumentEdit edit : edits) {
              ids.add(new DocumentKey(edit.id()));
            }
            touched.add(
                new Touched(
                    arrival + log.seq() - row.fromSeq(),
                    ids.stream().map(id -> id.bytes).toList()));
          }
        }
      }
    }
    return new Followed(touched, lowest);
  }

  static StorageException missing(ActorId actor, long seq) {
    return new StorageException.Failed(
        "the log lacks change " + seq + " of actor " + actor + ", which arrived",
        new IllegalStateException("log and arrival disagree"));
  }

  /** Consecutive changes of one actor, one after another, out of the segments that hold them. */
  static final class Segments implements AutoCloseable {
    private final Storage.Snapshot snapshot;
    private final ActorId actor;
    private final long last;
    private long seq;
    private long segmentFrom;
    private SegmentRow segment;
    private Storage.@Nullable Cursor following;

    /** Before the change {@code first}; ends behind {@code last}, inclusive. */
    Segments(Storage.Snapshot snapshot, ActorId actor, long first, long last) {
      this.snapshot = snapshot;
      this.actor = actor;
      this.last = last;
      this.seq = first - 1;
      try (var rows = segmentsBackwards(snapshot, actor, first)) {
        if (!rows.next()) {
          throw missing(actor, first);
        }
        segmentFrom = Rows.seq(rows.key());
        segment = SegmentRow.read(rows.value());
      }
    }

    /** Moves to the next change; false behind the last. */
    boolean next() {
      if (seq == last) {
        return false;
      }
      seq++;
      if (seq >= segmentFrom + segment.changes().size()) {
        nextSegment();
      }
      return true;
    }

    private void nextSegment() {
      Storage.Cursor rows = following;
      if (rows == null) {
        rows = snapshot.scan(Table.LOG, Rows.logKey(actor, seq), Rows.logKey(actor, last + 1));
        following = rows;
      }
      if (!rows.next() || Rows.seq(rows.key()) != seq) {
        throw missing(actor, seq);
      }
      segmentFrom = seq;
      segment = SegmentRow.read(rows.value());
    }

    long seq() {
      return seq;
    }

    Change change() {
      return segment.changes().get((int) (seq - segmentFrom));
    }

    long arrival() {
      return segment.arrival() + seq - segmentFrom;
    }

    /** The signature of this very change, or null. */
    byte @Nullable [] signature() {
      boolean isLast = seq - segmentFrom == segment.changes().size() - 1;
      return isLast ? segment.signature() : null;
    }

    @Override
    public void close() {
      if (following != null) {
        following.close();
      }
    }
  }

  /** Gathers rows into runs and cuts at the last signed change that fits. */
  private static final class BatchBuilder {
    private final Storage.Snapshot snapshot;
    private final Frontier counting;
    private final ToLongFunction<ActorId> known;
    private final int targetBytes;
    private final List<ChangeRun> runs = new ArrayList<>();
    private int bytes;
    private long lookedAt;
    boolean full;

    // The run being built. Everything up to `signedCount` is covered by `signature`.
    private @Nullable ActorId actor;
    private long fromSeq;
    private List<Change> changes = new ArrayList<>();
    private int changesBytes;
    private int signedCount;
    private int signedBytes;
    private long signedArrival;
    private byte @Nullable [] signature;

    BatchBuilder(
        Storage.Snapshot snapshot,
        Frontier counting,
        ToLongFunction<ActorId> known,
        int targetBytes) {
      this.snapshot = snapshot;
      this.counting = counting;
      this.known = known;
      this.targetBytes = targetBytes;
    }

    void row(ArrivalRow row, long skip, long arrival) {
      long first = Math.max(row.fromSeq() + skip, known.applyAsLong(row.actor()) + 1);
      long head = counting.seq(row.actor());
      long last = Math.min(row.lastSeq(), head);
      if (first > last) {
        pass(arrival + row.count() - 1);
        return;
      }
      if (actor != null && (!actor.equals(row.actor()) || fromSeq + changes.size() != first)) {
        closeRun();
      }
      if (actor == null) {
        actor = row.actor();
        fromSeq = first;
      }
      try (var log = new Segments(snapshot, row.actor(), first, last)) {
        while (!full && log.next()) {
          byte[] own = log.signature();
          add(
              log.change(),
              arrival + log.seq() - row.fromSeq(),
              own == null && log.seq() == head ? VOUCHED : own);
        }
      }
    }

    /** Nothing up to {@code arrival} is for the reader. */
    void pass(long arrival) {
      if (changes.isEmpty() || signedCount == changes.size()) {
        lookedAt = arrival;
        signedArrival = arrival;
      }
    }

    private void add(Change change, long arrival, byte @Nullable [] changeSignature) {
      changes.add(change);
      changesBytes += change.encodedBytes();
      boolean fits = bytes + changesBytes <= targetBytes && changes.size() <= ChangeRun.MAX_CHANGES;
      boolean somethingToSend = signedCount > 0 || !runs.isEmpty();
      if (!fits && somethingToSend) {
        full = true;
        return;
      }
      if (changeSignature != null) {
        signedCount = changes.size();
        signedBytes = changesBytes;
        signedArrival = arrival;
        signature = changeSignature;
        full = !fits;
      }
    }

    private void closeRun() {
      ActorId author = actor;
      byte[] covering = signature;
      if (author != null && covering != null && signedCount > 0) {
        ChangeRun.Genesis genesis = null;
        if (fromSeq == 1) {
          byte[] row = snapshot.get(Table.FRONTIER, Rows.actorKey(author));
          if (row == null) {
            throw missing(author, 1);
          }
          genesis = ActorRow.read(row).genesis();
        }
        runs.add(
            new ChangeRun(
                author, fromSeq, genesis, List.copyOf(changes.subList(0, signedCount)), covering));
        bytes += signedBytes;
        lookedAt = signedArrival;
      }
      actor = null;
      changes = new ArrayList<>();
      changesBytes = 0;
      signedCount = 0;
      signedBytes = 0;
      signature = null;
    }

    Batch batch(long cursor) {
      closeRun();
      return new Batch(runs, Math.max(cursor, lookedAt), bytes);
    }
  }
}
