package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.doc.Content;
import io.pluresdb.crdt.doc.SequenceEdits;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.CrdtOperation.OnSequence;
import io.pluresdb.crdt.reconcile.DocumentHasher;
import io.pluresdb.crdt.reconcile.Fingerprint;
import io.pluresdb.crdt.sequence.Sequence;
import io.pluresdb.crdt.sequence.SequenceRows;
import io.pluresdb.crdt.store.Staging.DocumentKey;
import io.pluresdb.crdt.store.Staging.StagedDocument;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The texts and lists the replica loop has in memory, with what is staged in them: most recently
 * used ones stay open.
 */
final class OpenSequences implements Rebuild.Sequences {
  /** Most sequences that stay open between commits. */
  static final int MAX_OPEN = 64;

  /** Most memory they take together, as {@link Sequence#weight} counts; one may exceed it. */
  static final long MAX_WEIGHT = 4_000_000;

  private static final class Open {
    final byte[] id;
    final byte[] prefix;
    final Sequence sequence;

    /** Whether it was begun anew: its stored rows go, and its document's sum began anew too. */
    boolean anew;

    Open(byte[] id, byte[] prefix, Sequence sequence) {
      this.id = id;
      this.prefix = prefix;
      this.sequence = sequence;
    }
  }

  private final Storage storage;
  private final Map<DocumentKey, Open> open = new LinkedHashMap<>(16, 0.75f, true);
  private final Set<Open> staged = new LinkedHashSet<>();
  private final Set<Open> inTransaction = new LinkedHashSet<>();

  // Those of the transaction that were not staged before it.
  private final Set<Open> fresh = new LinkedHashSet<>();
  private final DocumentHasher hasher;
  private boolean transaction;

  OpenSequences(Storage storage, Hash database) {
    this.storage = storage;
    this.hasher = new DocumentHasher(database);
  }

  /** The sequence as staged so far, or as stored. */
  Sequence get(byte[] id, byte[] register) {
    return open(id, register).sequence;
  }

  private Open open(byte[] id, byte[] register) {
    byte[] prefix = SequenceRows.prefix(id, register);
    var key = new DocumentKey(prefix);
    Open known = open.get(key);
    if (known == null) {
      try (var snapshot = storage.snapshot()) {
        known = new Open(id, prefix, read(snapshot, prefix, register));
      }
      open.put(key, known);
    }
    return known;
  }

  private static Sequence read(Storage.Snapshot snapshot, byte[] prefix, byte[] register) {
    var rows = new ArrayList<Sequence.Row>();
    try (var cursor = snapshot.scan(Table.SEQUENCE, prefix, SequenceRows.end(prefix))) {
      while (cursor.next()) {
        rows.add(new Sequence.Row(cursor.key(), cursor.value()));
      }
    }
    return Sequence.read(register, prefix, rows);
  }

  /** The content of a document's sequences in a snapshot, for readers on any thread. */
  static Content.Source in(Storage.Snapshot snapshot, byte[] id) {
    return register -> read(snapshot, SequenceRows.prefix(id, register), register).content();
  }

  /** The sequences of a document as the replica loop sees them. */
  SequenceEdits of(byte[] id) {
    return new SequenceEdits() {
      @Override
      public Content of(byte[] register) {
        return get(id, register).content();
      }

      @Override
      public List<CrdtOperation> become(byte[] register, List<Dot> observed, byte[] json) {
        return get(id, register).become(register, observed, json);
      }

      @Override
      public List<CrdtOperation> clear(byte[] register) {
        return get(id, register).clear(register);
      }
    };
  }

  @Override
  public int count(byte[] id, OnSequence operation, ActorId actor) {
    return get(id, operation.register()).count(actor);
  }

  /** Stages an operation. */
  @Override
  public void apply(byte[] id, OnSequence operation, Dot dot, long timestamp) {
    Open target = open(id, operation.register());
    if (transaction && inTransaction.add(target)) {
      target.sequence.mark();
    }
    if (staged.add(target) && transaction) {
      fresh.add(target);
    }
    target.sequence.applyRest(operation, dot, timestamp);
  }

  /**
   * Begins all sequences of a document anew; its state must be new as well, with a sum of nothing.
   *
   * @param rows what to begin with, by key
   */
  void beginAnew(byte[] id, NavigableMap<byte[], byte[]> rows) {
    byte[] document = SequenceRows.prefixOf(id);
    Map<DocumentKey, List<Sequence.Row>> begun = byRegister(rows);
    try (var snapshot = storage.snapshot();
        var stored = snapshot.scan(Table.SEQUENCE, document, SequenceRows.end(document))) {
      while (stored.next()) {
        begun.computeIfAbsent(prefix(stored.key()), p -> new ArrayList<>());
      }
    }
    open.forEach(
        (prefix, known) -> {
          if (Arrays.equals(known.id, id)) {
            begun.computeIfAbsent(prefix, p -> new ArrayList<>());
          }
        });
    begun.forEach(
        (prefix, of) -> {
          staged.remove(open.remove(prefix));
          Sequence sequence = Sequence.read(SequenceRows.register(prefix.bytes), prefix.bytes, of);
          sequence.everythingChanged();
          var fresh = new Open(id, prefix.bytes, sequence);
          fresh.anew = true;
          open.put(prefix, fresh);
          staged.add(fresh);
        });
  }

  /** Rows of one document by the sequences they belong to, each named by its prefix. */
  static Map<DocumentKey, List<Sequence.Row>> byRegister(NavigableMap<byte[], byte[]> rows) {
    var sequences = new LinkedHashMap<DocumentKey, List<Sequence.Row>>();
    rows.forEach(
        (key, row) ->
            sequences
                .computeIfAbsent(prefix(key), p -> new ArrayList<>())
                .add(new Sequence.Row(key, row)));
    return sequences;
  }

  private static DocumentKey prefix(byte[] key) {
    return new DocumentKey(Arrays.copyOf(key, SequenceRows.prefixLength(key)));
  }

  /** From here on, what is applied can be taken back. */
  void begin() {
    transaction = true;
  }

  /** Ends what {@link #begin} began. */
  void end(boolean keep) {
    for (Open touched : inTransaction) {
      if (keep) {
        touched.sequence.keep();
      } else {
        touched.sequence.rollBack();
      }
    }
    if (!keep) {
      staged.removeAll(fresh);
    }
    inTransaction.clear();
    fresh.clear();
    transaction = false;
  }

  /**
   * Writes the rows that changed since the last commit, and takes them into account in the
   * documents they belong to.
   *
   * @param keeper keeps what the rows were where the log begins; null when nothing left the log
   */
  void write(
      Storage.Batch batch,
      Map<DocumentKey, StagedDocument> documents,
      Base.@Nullable Keeper keeper) {
    for (Open changed : staged) {
      var id = new DocumentKey(changed.id);
      StagedDocument document = documents.get(id);
      if (document == null) {
        throw new IllegalStateException("a sequence changed in a document that is not staged");
      }
      boolean anew = changed.anew;
      if (anew) {
        deleteRows(batch, changed.prefix, id, keeper);
        changed.anew = false;
      }
      changed.sequence.flush(
          changed.prefix,
          (key, row) -> {
            byte[] before = storage.get(Table.SEQUENCE, key);
            if (keeper != null && (before == null || !anew)) {
              keeper.sequence(id, key, before);
            }
            Fingerprint sum = document.state().sequenceSum();
            if (before != null && !anew) {
              sum = sum.minus(hasher.of(key, before));
            }
            if (row != null) {
              sum = sum.plus(hasher.of(key, row));
              batch.put(Table.SEQUENCE, key, row);
            } else if (before != null) {
              batch.delete(Table.SEQUENCE, key);
            }
            document.state().sequenceSum(sum);
          });
    }
  }

  private void deleteRows(
      Storage.Batch batch, byte[] prefix, DocumentKey id, Base.@Nullable Keeper keeper) {
    try (var snapshot = storage.snapshot();
        var rows = snapshot.scan(Table.SEQUENCE, prefix, SequenceRows.end(prefix))) {
      while (rows.next()) {
        if (keeper != null) {
          keeper.sequence(id, rows.key(), rows.value());
        }
        batch.delete(Table.SEQUENCE, rows.key());
      }
    }
  }

  /** What was staged is committed: closes the least recently used beyond the limits. */
  void committed() {
    staged.clear();
    long weight = 0;
    for (Open each : open.values()) {
      weight += each.sequence.weight();
    }
    var eldest = open.values().iterator();
    while (open.size() > 1 && (open.size() > MAX_OPEN || weight > MAX_WEIGHT)) {
      weight -= eldest.next().sequence.weight();
      eldest.remove();
    }
  }

  /** Rows were changed by somebody else: reads all again. Nothing may be staged. */
  void reread() {
    open.clear();
  }

  /** What was staged is not committed: forgets it. */
  void discard() {
    open.values().removeAll(staged);
    staged.clear();
  }
}
