package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.doc.DocumentJoin;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.op.SignedHead;
import io.pluresdb.crdt.reconcile.DocumentHasher;
import io.pluresdb.crdt.reconcile.Fingerprint;
import io.pluresdb.crdt.reconcile.KeyScope;
import io.pluresdb.crdt.sequence.SequenceJoin;
import io.pluresdb.crdt.sequence.SequenceRows;
import io.pluresdb.crdt.store.Rows.ActorRow;
import io.pluresdb.crdt.store.Rows.FloorRow;
import io.pluresdb.crdt.store.Rows.JoinedRow;
import io.pluresdb.crdt.store.Rows.VoidRow;
import io.pluresdb.crdt.store.SnapshotEntry.Place;
import io.pluresdb.crdt.store.Staging.DocumentKey;
import io.pluresdb.crdt.store.Staging.StagedDocument;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * A verified snapshot being joined into the documents and into the {@link Base}, from the least id
 * to the greatest, in as many commits as it takes.
 *
 * <p>The frontier moves with the last of them. Until then no foreign change is applied, so that
 * what this replica has seen stays what the join reckons with; a local write joins the documents it
 * touches first, and depends on what the snapshot brings. A crash in between loses nothing: each
 * commit says how far it came.
 */
final class Joining {
  /** A step ends when it has looked at so many rows, on both sides. */
  static final int STEP_ROWS = 4_096;

  /** A step ends when it has looked at so many bytes of rows. */
  static final int STEP_BYTES = 1 << 20;

  private static final byte[] DOCUMENTS_END = {(byte) (SnapshotEntry.DOCUMENTS + 1)};

  /** No document id begins with it, being UTF-8. */
  private static final byte[] BEHIND_IDS = {(byte) 0xff};

  private final Storage storage;
  private final Committed base;
  private final SnapshotInbox inbox;
  private final KeyScope scope;
  private final DocumentHasher hasher;
  private final NavigableMap<ActorId, SignedHead> heads;

  /** Of the base, before the snapshot is joined into it. */
  private final Floor floor;

  /**
   * Whether changes here were let through that depend on some the snapshot brings, which were void:
   * what they removed of those is not to be joined.
   */
  private final boolean overtaken;

  /** Of the base, with what is joined so far. */
  private FloorRow floorRow;

  // What the staged commit will have done.
  private FloorRow stagedFloorRow;
  private byte[] stagedTo;
  private boolean stagedEnd;

  Joining(Storage storage, ReplicaIdentity identity, Committed base, SnapshotInbox inbox) {
    this.storage = storage;
    this.base = base;
    this.inbox = inbox;
    this.scope = identity.scope();
    this.hasher = new DocumentHasher(identity.database());
    this.heads = inbox.storedHeads();
    this.stagedTo = inbox.joined();
    this.floorRow = FloorRow.read(storage.get(Table.META, Rows.META_FLOOR));
    this.stagedFloorRow = floorRow;
    try (var snapshot = storage.snapshot()) {
      this.floor = new Floor(snapshot);
    }
    boolean voidBefore = false;
    for (ActorId actor : heads.keySet()) {
      if (seq(actor) > base.seq(actor)) {
        base.undeclared.add(actor);
        VoidRow known = base.voids.get(actor);
        voidBefore |= known != null && known.skipped() > base.seq(actor);
      }
    }
    this.overtaken = voidBefore;
  }

  /** Of each actor the last change that is in the base of a document that was joined. */
  long floorSeq(ActorId actor) {
    return Math.max(floor.seq(actor), seq(actor));
  }

  /** The newest change of an actor that the snapshot brings, 0 for none. */
  long seq(ActorId actor) {
    SignedHead head = heads.get(actor);
    return head == null ? 0 : head.seq();
  }

  /** The fingerprint of the documents that go with the frontier, while it has not moved. */
  Hash stateHash() {
    return inbox.before();
  }

  Iterable<ActorId> actors() {
    return heads.keySet();
  }

  /** The greatest hybrid time the snapshot brings. */
  long timestamp() {
    return heads.values().stream().mapToLong(SignedHead::timestamp).max().orElse(0);
  }

  /** Whether a change comes with the snapshot. */
  boolean brings(ActorId actor, long seq) {
    return base.seq(actor) < seq && seq <= seq(actor);
  }

  /** Whether anything of an actor comes with the snapshot. */
  boolean bringsSome(ActorId actor) {
    return base.seq(actor) < seq(actor);
  }

  /**
   * Whether the staged commit is the last and documents have to be made anew in it, because of
   * changes that were let through.
   */
  boolean endsOvertaken() {
    return stagedEnd && overtaken;
  }

  private boolean seenHere(Dot dot) {
    return base.seq(dot.actor()) >= dot.seq();
  }

  private boolean seenThere(Dot dot) {
    return seq(dot.actor()) >= dot.seq();
  }

  /** Whether a document has not been joined, so that nothing may be written to it. */
  boolean awaits(byte[] id) {
    if (Arrays.compareUnsigned(id, inbox.joined()) < 0) {
      return false;
    }
    byte[] row = inbox.document(id);
    return row == null || row.length > 0;
  }

  /**
   * Stages documents before their turn, and marks them, so that they are not joined a second time:
   * what is removed from then on would come back. Nothing else may be staged.
   */
  void stageFirst(Staging staging, Iterable<byte[]> ids) {
    var touched = new ArrayList<byte[]>();
    try (var snapshot = storage.snapshot()) {
      for (byte[] id : ids) {
        if (awaits(id)) {
          stage(staging, snapshot, id, inbox.document(id), touched);
          staging.batch.put(
              Table.SNAPSHOT,
              SnapshotInbox.rowKey(new Place(SnapshotEntry.DOCUMENTS, id)),
              new byte[0]);
          staging.changes++;
        }
      }
    }
    stageArrival(staging, touched);
  }

  private void stageArrival(Staging staging, List<byte[]> touched) {
    staging.keepsBase = true;
    staging.batch.put(Table.META, Rows.META_FLOOR, stagedFloorRow.toByteArray());
    if (!touched.isEmpty()) {
      staging.log.joined(new JoinedRow(touched));
    }
  }

  /** Stages the next documents; nothing else may be staged. */
  void stage(Staging staging, Hash database) {
    var touched = new ArrayList<byte[]>();
    byte[] reached = null;
    try (var snapshot = storage.snapshot();
        var mine = snapshot.scan(Table.STATE, inbox.joined(), null);
        var kept = new Base(snapshot, floor::seq).keptFrom(inbox.joined());
        var theirs =
            snapshot.scan(
                Table.SNAPSHOT,
                SnapshotInbox.rowKey(new Place(SnapshotEntry.DOCUMENTS, inbox.joined())),
                DOCUMENTS_END)) {
      byte[] here = mine.next() ? mine.key() : null;
      byte[] then = kept.next() ? id(kept.key()) : null;
      byte[] there = theirs.next() ? id(theirs.key()) : null;
      int rows = 0;
      int bytes = 0;
      byte[] id;
      while ((id = least(least(here, then), there)) != null) {
        if (rows >= STEP_ROWS || bytes >= STEP_BYTES) {
          reached = id;
          break;
        }
        rows++;
        byte[] others = null;
        if (Arrays.equals(id, there)) {
          others = theirs.value();
          staging.batch.delete(Table.SNAPSHOT, theirs.key());
          bytes += others.length;
          there = theirs.next() ? id(theirs.key()) : null;
        }
        if (Arrays.equals(id, here)) {
          bytes += mine.value().length;
          here = mine.next() ? mine.key() : null;
        }
        if (Arrays.equals(id, then)) {
          then = kept.next() ? id(kept.key()) : null;
        }
        if (others == null || others.length > 0) {
          stage(staging, snapshot, id, others, touched);
        }
      }
    }
    stageArrival(staging, touched);
    if (reached == null && overtaken && !touched.isEmpty()) {
      // The end is a commit of its own.
      reached = BEHIND_IDS;
    }
    if (reached == null) {
      end(staging, database);
    } else {
      stagedTo = reached;
      inbox.putJoined(staging.batch, reached);
    }
    staging.changes++;
  }

  private static byte @Nullable [] least(byte @Nullable [] one, byte @Nullable [] other) {
    if (one == null || other == null) {
      return one == null ? other : one;
    }
    return Arrays.compareUnsigned(one, other) <= 0 ? one : other;
  }

  private static byte[] id(byte[] rowKey) {
    return Arrays.copyOfRange(rowKey, 1, rowKey.length);
  }

  /** Stages the join of a document, and of what it was where the log begins. */
  private void stage(
      Staging staging,
      Storage.Snapshot snapshot,
      byte[] id,
      byte @Nullable [] others,
      Collection<byte[]> touched) {
    if (!scope.contains(id)) {
      // A replica of some documents takes no others; their texts and lists go with the snapshot.
      return;
    }
    var base = new Base(snapshot, floor::seq);
    byte[] ours = snapshot.get(Table.STATE, id);
    Base.Document then = base.document(id);
    NavigableMap<byte[], byte[]> theirRows = take(staging.batch, snapshot, id);
    NavigableMap<byte[], byte[]> myRows = base.stored(id);

    DocumentState mine = state(ours);
    DocumentState theirs = state(others);
    DocumentState joined = join(mine, this::seenHere, theirs);
    var rows = join(joined, myRows, this::seenHere, theirRows);
    byte[] row = joined.isEmpty() ? null : joined.toByteArray();
    if (!Arrays.equals(row, ours)) {
      staging.documents.put(new DocumentKey(id), new StagedDocument(joined, ours, mine.exists()));
      touched.add(id);
      write(staging.batch, myRows, rows);
    }

    DocumentState before = state(then.row());
    DocumentState after = join(before, floor::covers, theirs);
    var rowsAfter = join(after, then.sequences(), floor::covers, theirRows);
    byte[] rowAfter = after.isEmpty() ? null : after.toByteArray();
    base.put(
        staging.batch, id, new Base.Document(rowAfter, rowsAfter), new Base.Document(row, rows));
    stagedFloorRow = stagedFloorRow.with(hasher, id, then.row(), rowAfter);
  }

  private static DocumentState state(byte @Nullable [] row) {
    return row == null ? new DocumentState() : DocumentState.read(row);
  }

  private DocumentState join(DocumentState mine, Predicate<Dot> seen, DocumentState theirs) {
    return DocumentJoin.join(mine, seen, theirs, this::seenThere);
  }

  /** The snapshot's rows of the texts and lists of a document; they are thrown away. */
  private static NavigableMap<byte[], byte[]> take(
      Storage.Batch batch, Storage.Snapshot snapshot, byte[] id) {
    var taken = new TreeMap<byte[], byte[]>(Arrays::compareUnsigned);
    byte[] from =
        SnapshotInbox.rowKey(new Place(SnapshotEntry.SEQUENCES, SequenceRows.prefixOf(id)));
    try (var rows = snapshot.scan(Table.SNAPSHOT, from, SequenceRows.end(from))) {
      while (rows.next()) {
        taken.put(Arrays.copyOfRange(rows.key(), 1, rows.key().length), rows.value());
        batch.delete(Table.SNAPSHOT, rows.key());
      }
    }
    return taken;
  }

  /** Joins the rows of a document's texts and lists; its state takes their sum in. */
  private NavigableMap<byte[], byte[]> join(
      DocumentState joined,
      NavigableMap<byte[], byte[]> mine,
      Predicate<Dot> seen,
      NavigableMap<byte[], byte[]> theirs) {
    var rows = new TreeMap<byte[], byte[]>(Arrays::compareUnsigned);
    var keys = new TreeSet<byte[]>(Arrays::compareUnsigned);
    keys.addAll(mine.keySet());
    keys.addAll(theirs.keySet());
    Fingerprint sum = joined.sequenceSum();
    for (byte[] key : keys) {
      byte[] ours = mine.get(key);
      byte[] row = SequenceJoin.join(key, ours, seen, theirs.get(key), this::seenThere);
      if (row != null) {
        rows.put(key, row);
      }
      if (!Arrays.equals(ours, row)) {
        sum = ours == null ? sum : sum.minus(hasher.of(key, ours));
        sum = row == null ? sum : sum.plus(hasher.of(key, row));
      }
    }
    joined.sequenceSum(sum);
    return rows;
  }

  /** Writes the rows of texts and lists that are others than before. */
  private static void write(
      Storage.Batch batch,
      NavigableMap<byte[], byte[]> before,
      NavigableMap<byte[], byte[]> after) {
    after.forEach(
        (key, row) -> {
          if (!Arrays.equals(row, before.get(key))) {
            batch.put(Table.SEQUENCE, key, row);
          }
        });
    for (byte[] key : before.keySet()) {
      if (!after.containsKey(key)) {
        batch.delete(Table.SEQUENCE, key);
      }
    }
  }

  private void end(Staging staging, Hash database) {
    stagedEnd = true;
    for (var entry : heads.entrySet()) {
      ActorId actor = entry.getKey();
      SignedHead head = entry.getValue();
      if (head.seq() > base.seq(actor)) {
        Head place = head.head(database, actor);
        staging.actors.put(actor, new ActorRow(place, head.timestamp(), head.genesis()));
        VoidRow known = base.voids.get(actor);
        if (known != null && known.tail().seq() < head.seq()) {
          staging.voids.put(actor, known.endingAt(place, head.timestamp()));
        }
        staging.batch.put(Table.FLOOR, Rows.actorKey(actor), head.toByteArray());
      }
    }
    for (var entry : heads.entrySet()) {
      if (entry.getValue().seq() > floor.seq(entry.getKey())) {
        staging.batch.put(Table.BASE, Base.headKey(entry.getKey()), entry.getValue().toByteArray());
      }
    }
    inbox.putEnd(staging.batch);
  }

  /** What was staged is committed; whether that was the end. */
  boolean committed() {
    inbox.setJoined(stagedTo);
    floorRow = stagedFloorRow;
    if (stagedEnd) {
      inbox.ended();
    }
    return stagedEnd;
  }

  /** What was staged is not committed. */
  void discarded() {
    stagedTo = inbox.joined();
    stagedFloorRow = floorRow;
    stagedEnd = false;
  }

  /** The log's floor when the snapshot is joined: what it brought is not in our log. */
  LogFloor raised(LogFloor floor, Frontier before, Hash database) {
    var seqs = new TreeMap<ActorId, Head>(floor.frontier().heads());
    heads.forEach(
        (actor, head) -> {
          if (head.seq() > before.seq(actor)) {
            seqs.put(actor, head.head(database, actor));
          }
        });
    return new LogFloor(floor.arrivals(), Frontier.of(seqs));
  }
}
