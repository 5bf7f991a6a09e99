package io.pluresdb.crdt.store;

import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.DocumentEdit;
import io.pluresdb.crdt.store.ChangeLog.Arrived;
import io.pluresdb.crdt.store.Committed.Own;
import io.pluresdb.crdt.store.Rows.ActorRow;
import io.pluresdb.crdt.store.Rows.VoidRow;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.Objects;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** Everything staged since the last commit, on top of it. */
final class Staging implements AutoCloseable {
  /** A document id as a map key. */
  static final class DocumentKey {
    final byte[] bytes;
    private final int hash;

    DocumentKey(byte[] bytes) {
      this.bytes = bytes;
      this.hash = Arrays.hashCode(bytes);
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof DocumentKey key && Arrays.equals(bytes, key.bytes);
    }

    @Override
    public int hashCode() {
      return hash;
    }
  }

  /** A document. */
  static final class StagedDocument {
    private final byte @Nullable [] before;
    private final boolean existed;

    /** What it is written as; null once its state was asked for, which counts from then on. */
    private byte @Nullable [] row;

    private @Nullable DocumentState state;

    /**
     * A document that may change.
     *
     * @param before its stored row, or null
     * @param existed whether it existed when that row was written
     */
    StagedDocument(DocumentState state, byte @Nullable [] before, boolean existed) {
      this.state = state;
      this.before = before;
      this.existed = existed;
    }

    /** A document of which nothing was known, and which exists now, as {@code row} says. */
    StagedDocument(byte[] row) {
      this.row = row;
      this.before = null;
      this.existed = false;
    }

    byte @Nullable [] before() {
      return before;
    }

    boolean existed() {
      return existed;
    }

    /** As it is now, to be changed. */
    DocumentState state() {
      DocumentState known = state;
      if (known == null) {
        known = DocumentState.read(Objects.requireNonNull(row));
        state = known;
        row = null;
      }
      return known;
    }

    /** What is to be stored of it, or null for nothing. */
    byte @Nullable [] row(ByteWriter scratch) {
      if (row != null) {
        return row;
      }
      DocumentState now = state();
      if (now.isEmpty()) {
        return null;
      }
      now.write(scratch.clear());
      return scratch.toByteArray();
    }

    boolean exists() {
      return row != null || state().exists();
    }

    /** Whether this commit makes its row. */
    boolean appears() {
      return before == null && (row != null || !state().isEmpty());
    }

    /** Whether nothing is known of it, not even that it was deleted. */
    boolean isUnknown() {
      return before == null && row == null && state().registers().isEmpty();
    }

    StagedDocument copy() {
      DocumentState copy = row == null ? state().copy() : DocumentState.read(row);
      return new StagedDocument(copy, before, existed);
    }
  }

  private final Storage storage;
  private final Committed base;

  final Storage.Batch batch;
  final LogAppender log;
  final Map<ActorId, ActorRow> actors = new LinkedHashMap<>();
  final Map<ActorId, VoidRow> voids = new LinkedHashMap<>();
  final Map<DocumentKey, StagedDocument> documents = new LinkedHashMap<>();

  /** The changes staged so far; kept only while there are void ones, for rebuilding documents. */
  final List<Arrived> recent = new ArrayList<>();

  TreeSet<ActorId> undeclared;
  @Nullable Own own;
  Membership membership;

  /** Whether what was staged has said what the documents' base is. */
  boolean keepsBase;

  boolean synced;
  boolean relaxed;
  int changes;

  // The open stretch of local changes.
  private @Nullable Hash unsigned;
  private int groupChanges;
  private int groupBytes;

  Staging(Storage storage, Committed base) {
    this.storage = storage;
    this.base = base;
    batch = storage.newBatch();
    log = new LogAppender(batch, base.arrivals, base.segment());
    undeclared = new TreeSet<>(base.undeclared);
    own = base.own;
    membership = base.membership;
  }

  /** Length of the arrival log before anything was staged. */
  long committedArrivals() {
    return base.arrivals;
  }

  boolean isEmpty() {
    return changes == 0 && membership == base.membership;
  }

  @Nullable ActorRow actor(ActorId id) {
    ActorRow row = actors.get(id);
    return row != null ? row : base.actors.get(id);
  }

  /** What is known of the actor beyond what counts, or null when that is nothing. */
  @Nullable VoidRow voidRow(ActorId id) {
    VoidRow row = voids.get(id);
    return row != null ? row : base.voids.get(id);
  }

  boolean hasVoids() {
    return !voids.isEmpty() || !base.voids.isEmpty();
  }

  /** Actors of which something is here or known, in ascending order. */
  NavigableSet<ActorId> allActors() {
    var all = new TreeSet<>(base.actors.keySet());
    all.addAll(actors.keySet());
    return all;
  }

  long seq(ActorId id) {
    ActorRow row = actor(id);
    return row == null ? 0 : row.head().seq();
  }

  /** The document as staged so far, or as stored. */
  StagedDocument document(DocumentKey id) {
    StagedDocument staged = documents.get(id);
    if (staged != null) {
      return staged;
    }
    if (base.joining != null && base.joining.awaits(id.bytes)) {
      throw new IllegalStateException("a document is written before it was joined");
    }
    return ReadAhead.read(storage, id);
  }

  /** As {@link #document(DocumentKey)}, taken from {@code ahead} where that still holds. */
  StagedDocument document(DocumentKey id, @Nullable ReadAhead ahead) {
    if (ahead != null && isAsRead(id, ahead)) {
      StagedDocument read = ahead.document(id);
      if (read != null) {
        return read;
      }
    }
    return document(id);
  }

  /** Whether nobody touched the document since {@code ahead} read it. */
  boolean isAsRead(DocumentKey id, ReadAhead ahead) {
    return base.joining == null
        && !documents.containsKey(id)
        && base.recent.isUntouched(id, ahead.since);
  }

  /** The document, staged: what changes in it is committed. */
  StagedDocument documentForChange(DocumentKey id) {
    StagedDocument document = document(id);
    documents.putIfAbsent(id, document);
    return document;
  }

  /** Appends a local change whose signature follows by {@link #sign}. */
  long appendOwn(
      ActorId actor, long seq, Hash previous, Change change, List<DocumentEdit> edits, Hash hash) {
    long arrival = append(actor, seq, previous, change, edits);
    unsigned = hash;
    groupChanges++;
    groupBytes += change.body().length;
    changes++;
    return arrival;
  }

  /** Appends a change to the log. */
  long append(ActorId actor, long seq, Hash previous, Change change, List<DocumentEdit> edits) {
    long arrival = log.append(actor, seq, previous, change, edits);
    if (hasVoids()) {
      recent.add(new Arrived(arrival, actor, seq, change));
    }
    return arrival;
  }

  /** Whether the open stretch has reached its limit. */
  boolean isGroupFull() {
    return groupChanges >= Replica.MAX_GROUP_CHANGES || groupBytes >= Replica.MAX_GROUP_BYTES;
  }

  /** Ends the stretch of local changes with a signature. */
  void sign(Signer signer) {
    if (unsigned != null) {
      log.sign(signer.sign(unsigned.bytes()));
      unsigned = null;
      groupChanges = 0;
      groupBytes = 0;
    }
  }

  @Override
  public void close() {
    batch.close();
  }
}
