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
import io.pluresdb.crdt.store.Rows.JoinedPast;
import io.pluresdb.crdt.store.Rows.JoinedRow;
import io.pluresdb.crdt.store.Rows.VoidRow;
import io.pluresdb.crdt.store.SnapshotEntry.Place;
import io.pluresdb.crdt.store.Staging.DocumentKey;
import io.pluresdb.crdt.store.Staging.StagedDocument;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A verified snapshot being joined into the documents, from the least id to the greatest, in as
 * many commits as it takes.
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

  private final Storage storage;
  private final Committed base;
  private final SnapshotInbox inbox;
  private final KeyScope scope;
  private final DocumentHasher hasher;
  private final NavigableMap<ActorId, SignedHead> heads;

  // What the staged commit will have done.
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
    for (ActorId actor : heads.keySet()) {
      if (seq(actor) > base.seq(actor)) {
        base.undeclared.add(actor);
      }
    }
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

  private boolean seenHere(Dot dot) {
    return base.seq(dot.actor()) >= dot.seq();
  }

  private boolean seenThere(Dot dot) {
    return seq(dot.actor()) >= dot.seq();
  }

  private DocumentState join(DocumentState mine, DocumentState theirs) {
    return DocumentJoin.join(mine, this::seenHere, theirs, this::seenThere);
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
          byte[] others = inbox.document(id);
          stage(staging, snapshot, id, snapshot.get(Table.STATE, id), others, touched);
          staging.batch.put(
              Table.SNAPSHOT,
              SnapshotInbox.rowKey(new Place(SnapshotEntry.DOCUMENTS, id)),
              new byte[0]);
          staging.changes++;
        }
      }
    }
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
        var theirs =
            snapshot.scan(
                Table.SNAPSHOT,
                SnapshotInbox.rowKey(new Place(SnapshotEntry.DOCUMENTS, inbox.joined())),
                DOCUMENTS_END)) {
      boolean here = mine.next();
      boolean there = theirs.next();
      int rows = 0;
      int bytes = 0;
      while (here || there) {
        byte[] theirId = there ? id(theirs.key()) : null;
        int order = !here ? 1 : theirId == null ? -1 : Arrays.compareUnsigned(mine.key(), theirId);
        byte[] id = order > 0 && theirId != null ? theirId : mine.key();
        if (rows >= STEP_ROWS || bytes >= STEP_BYTES) {
          reached = id;
          break;
        }
        byte[] ours = order <= 0 ? mine.value() : null;
        byte[] others = order >= 0 ? theirs.value() : null;
        if (others != null) {
          staging.batch.delete(Table.SNAPSHOT, theirs.key());
          bytes += others.length;
        }
        if (others == null || others.length > 0) {
          stage(staging, snapshot, id, ours, others, touched);
        }
        rows++;
        bytes += ours == null ? 0 : ours.length;
        here = order <= 0 ? mine.next() : here;
        there = order >= 0 ? theirs.next() : there;
      }
    }
    if (!touched.isEmpty()) {
      staging.log.joined(new JoinedRow(touched));
    }
    if (reached == null) {
      end(staging, database);
    } else {
      stagedTo = reached;
      inbox.putJoined(staging.batch, reached);
    }
    staging.changes++;
  }

  private static byte[] id(byte[] rowKey) {
    return Arrays.copyOfRange(rowKey, 1, rowKey.length);
  }

  private void stage(
      Staging staging,
      Storage.Snapshot snapshot,
      byte[] id,
      byte @Nullable [] ours,
      byte @Nullable [] others,
      Collection<byte[]> touched) {
    if (!scope.contains(id)) {
      // A replica of some documents takes no others; their texts and lists go with the snapshot.
      return;
    }
    if (Arrays.equals(ours, others)) {
      // Also of its texts and lists: their sum is in the row.
      if (others != null && !DocumentState.read(others).sequenceSum().equals(Fingerprint.ZERO)) {
        drop(staging.batch, snapshot, id);
      }
      return;
    }
    DocumentState mine = ours == null ? new DocumentState() : DocumentState.read(ours);
    DocumentState theirs = others == null ? new DocumentState() : DocumentState.read(others);
    DocumentState joined = join(mine, theirs);
    joined.sequenceSum(joinSequences(staging.batch, snapshot, id, mine, theirs));
    boolean same = joined.isEmpty() ? ours == null : Arrays.equals(joined.toByteArray(), ours);
    if (!same) {
      staging.documents.put(new DocumentKey(id), new StagedDocument(joined, ours, mine.exists()));
      touched.add(id);
    }
  }

  private static byte[] sequenceKey(byte[] key) {
    return SnapshotInbox.rowKey(new Place(SnapshotEntry.SEQUENCES, key));
  }

  private static void drop(Storage.Batch batch, Storage.Snapshot snapshot, byte[] id) {
    byte[] from = sequenceKey(SequenceRows.prefixOf(id));
    try (var rows = snapshot.scan(Table.SNAPSHOT, from, SequenceRows.end(from))) {
      while (rows.next()) {
        batch.delete(Table.SNAPSHOT, rows.key());
      }
    }
  }

  /** Joins the rows of a document's texts and lists; what they add up to then. */
  private Fingerprint joinSequences(
      Storage.Batch batch,
      Storage.Snapshot snapshot,
      byte[] id,
      DocumentState mine,
      DocumentState theirs) {
    Fingerprint sum = mine.sequenceSum();
    if (theirs.sequenceSum().equals(sum)) {
      if (!sum.equals(Fingerprint.ZERO)) {
        drop(batch, snapshot, id);
      }
      return sum;
    }
    byte[] prefix = SequenceRows.prefixOf(id);
    var keys = new TreeMap<byte[], byte @Nullable []>(Arrays::compareUnsigned);
    byte[] from = sequenceKey(prefix);
    try (var rows = snapshot.scan(Table.SNAPSHOT, from, SequenceRows.end(from))) {
      while (rows.next()) {
        keys.put(Arrays.copyOfRange(rows.key(), 1, rows.key().length), rows.value());
        batch.delete(Table.SNAPSHOT, rows.key());
      }
    }
    try (var rows = snapshot.scan(Table.SEQUENCE, prefix, SequenceRows.end(prefix))) {
      while (rows.next()) {
        keys.putIfAbsent(rows.key(), null);
      }
    }
    for (var entry : keys.entrySet()) {
      byte[] key = entry.getKey();
      byte[] ours = snapshot.get(Table.SEQUENCE, key);
      byte[] row = SequenceJoin.join(key, ours, this::seenHere, entry.getValue(), this::seenThere);
      if (Arrays.equals(ours, row)) {
        continue;
      }
      if (ours != null) {
        sum = sum.minus(hasher.of(key, ours));
      }
      if (row != null) {
        sum = sum.plus(hasher.of(key, row));
        batch.put(Table.SEQUENCE, key, row);
      } else {
        batch.delete(Table.SEQUENCE, key);
      }
    }
    return sum;
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
    var past = JoinedPast.read(storage.get(Table.META, Rows.META_JOINED));
    var seqs = new TreeMap<ActorId, Long>(past.seqs());
    heads.forEach((actor, head) -> seqs.merge(actor, head.seq(), Math::max));
    staging.batch.put(
        Table.META,
        Rows.META_JOINED,
        new JoinedPast(Math.max(past.timestamp(), timestamp()), seqs).toByteArray());
    inbox.putEnd(staging.batch);
  }

  /** What was staged is committed; whether that was the end. */
  boolean committed() {
    inbox.setJoined(stagedTo);
    if (stagedEnd) {
      inbox.ended();
    }
    return stagedEnd;
  }

  /** What was staged is not committed. */
  void discarded() {
    stagedTo = inbox.joined();
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
