package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.sequence.SequenceRows;
import io.pluresdb.crdt.store.Staging.DocumentKey;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * The documents as they were where the log begins, in one snapshot of a storage: the state that the
 * changes at or below the floor make. With the log above it, it makes the documents anew when some
 * changes turn out not to count, and it is what a peer joins that the log does not help.
 *
 * <p>Of a document that is the same now there is no row of its own. Nor is there one of a document
 * that did not exist then: nothing in its row comes from a change below the floor.
 *
 * <pre>
 * BASE  0 | actor         -> {@link io.pluresdb.crdt.op.SignedHead}: the floor
 *       1 | id            -> document row; empty for none
 *       2 | sequence key  -> row of a text or list of such a document, where it is another now; empty for none
 * </pre>
 */
final class Base {
  private static final int HEAD = 0;
  private static final int DOCUMENT = 1;
  private static final int SEQUENCE = 2;
  private static final byte[] NONE = {};
  private static final byte[] DOCUMENTS_END = {SEQUENCE};

  private static final byte[] HEADS_END = {DOCUMENT};

  /** A document, and the rows of its texts and lists. */
  record Document(byte @Nullable [] row, NavigableMap<byte[], byte[]> sequences) {}

  private final Storage.Snapshot snapshot;
  private final ToLongFunction<ActorId> floor;

  /**
   * @param floor of each actor the last change that is in the base
   */
  Base(Storage.Snapshot snapshot, ToLongFunction<ActorId> floor) {
    this.snapshot = snapshot;
    this.floor = floor;
  }

  static byte[] headKey(ActorId actor) {
    return key(HEAD, Rows.actorKey(actor));
  }

  /** The heads of the floor, ascending by actor; close it. */
  static Storage.Cursor heads(Storage.Snapshot snapshot) {
    return snapshot.scan(Table.BASE, NONE, HEADS_END);
  }

  /** The actor in a key of {@link #heads}. */
  static ActorId actor(byte[] key) {
    return ActorId.read(new ByteReader(key, 1, key.length));
  }

  private static byte[] documentKey(byte[] id) {
    return key(DOCUMENT, id);
  }

  private static byte[] sequenceKey(byte[] key) {
    return key(SEQUENCE, key);
  }

  private static byte[] key(int kind, byte[] rest) {
    byte[] key = new byte[1 + rest.length];
    key[0] = (byte) kind;
    System.arraycopy(rest, 0, key, 1, rest.length);
    return key;
  }

  private static byte[] rest(byte[] key) {
    return Arrays.copyOfRange(key, 1, key.length);
  }

  private static boolean isCovered(byte[] row, ToLongFunction<ActorId> floor) {
    return DocumentState.anyChange(row, (actor, seq) -> floor.applyAsLong(actor) >= seq);
  }

  private static byte @Nullable [] orNone(byte[] row) {
    return row.length == 0 ? null : row;
  }

  /**
   * The document row at the floor, or null.
   *
   * @param now the row that is stored now, or null
   */
  byte @Nullable [] row(byte[] id, byte @Nullable [] now) {
    byte[] kept = snapshot.get(Table.BASE, documentKey(id));
    if (kept != null) {
      return orNone(kept);
    }
    return now != null && isCovered(now, floor) ? now : null;
  }

  /** The document at the floor. */
  Document document(byte[] id) {
    byte[] now = snapshot.get(Table.STATE, id);
    byte[] row = row(id, now);
    return new Document(row, row == null ? empty() : sequences(id));
  }

  private static NavigableMap<byte[], byte[]> empty() {
    return new TreeMap<>(Arrays::compareUnsigned);
  }

  /** The rows of texts and lists at the floor, of a document that was there. */
  private NavigableMap<byte[], byte[]> sequences(byte[] id) {
    NavigableMap<byte[], byte[]> rows = stored(id);
    overlay(
        Table.BASE,
        sequenceKey(SequenceRows.prefixOf(id)),
        (key, row) -> {
          if (row.length == 0) {
            rows.remove(rest(key));
          } else {
            rows.put(rest(key), row);
          }
        });
    return rows;
  }

  /** The rows of texts and lists of a document as they are stored now. */
  NavigableMap<byte[], byte[]> stored(byte[] id) {
    NavigableMap<byte[], byte[]> rows = empty();
    overlay(Table.SEQUENCE, SequenceRows.prefixOf(id), rows::put);
    return rows;
  }

  /** Looks at rows. */
  interface Visitor {
    /** Returns false to stop. */
    boolean visit(byte[] key, byte[] row);
  }

  /** Visits the heads of {@code [from, to)}; whether it came to the end of them. */
  boolean heads(byte[] from, byte @Nullable [] to, Visitor visitor) {
    byte[] end = to == null ? HEADS_END : key(HEAD, to);
    try (var rows = snapshot.scan(Table.BASE, key(HEAD, from), end)) {
      while (rows.next()) {
        if (!visitor.visit(rest(rows.key()), rows.value())) {
          return false;
        }
      }
    }
    return true;
  }

  /** Visits the documents that there were, of ids {@code [from, to)}, as {@link #heads}. */
  boolean documents(byte[] from, byte @Nullable [] to, Visitor visitor) {
    byte[] end = to == null ? DOCUMENTS_END : documentKey(to);
    try (var now = snapshot.scan(Table.STATE, from, to);
        var kept = snapshot.scan(Table.BASE, documentKey(from), end)) {
      return merge(now, kept, (id, row) -> isCovered(row, floor) ? row : null, visitor);
    }
  }

  /** Visits the rows of texts and lists that there were, as {@link #heads}. */
  boolean sequences(byte[] from, byte @Nullable [] to, Visitor visitor) {
    byte[] end = to == null ? null : sequenceKey(to);
    var there = new SequencesThere();
    try (var now = snapshot.scan(Table.SEQUENCE, from, to);
        var kept = snapshot.scan(Table.BASE, sequenceKey(from), end)) {
      return merge(now, kept, (key, row) -> there.test(key) ? row : null, visitor);
    }
  }

  /** Whether a document that rows of texts and lists belong to was there; asked in order. */
  private final class SequencesThere {
    private byte[] id = NONE;
    private boolean there;

    boolean test(byte[] key) {
      byte[] document = SequenceRows.document(key);
      if (!Arrays.equals(id, document)) {
        id = document;
        there = row(id, snapshot.get(Table.STATE, id)) != null;
      }
      return there;
    }
  }

  private interface Then {
    /** What a row was that has none of its own, or null. */
    byte @Nullable [] row(byte[] key, byte[] now);
  }

  /** Visits rows that are stored now, and those of their own in their place. */
  private static boolean merge(
      Storage.Cursor now, Storage.Cursor kept, Then then, Visitor visitor) {
    boolean here = now.next();
    boolean own = kept.next();
    while (here || own) {
      byte[] key = own ? rest(kept.key()) : now.key();
      int order = !here ? 1 : !own ? -1 : Arrays.compareUnsigned(now.key(), key);
      byte[] row;
      if (order < 0) {
        key = now.key();
        row = then.row(key, now.value());
      } else {
        row = orNone(kept.value());
      }
      if (row != null && !visitor.visit(key, row)) {
        return false;
      }
      here = order <= 0 ? now.next() : here;
      own = order >= 0 ? kept.next() : own;
    }
    return true;
  }

  private interface Row {
    void is(byte[] key, byte[] row);
  }

  private void overlay(Table table, byte[] prefix, Row visitor) {
    try (var rows = snapshot.scan(table, prefix, SequenceRows.end(prefix))) {
      while (rows.next()) {
        visitor.is(rows.key(), rows.value());
      }
    }
  }

  /** The ids of documents with a row of their own, from one on; close it. */
  Storage.Cursor keptFrom(byte[] id) {
    return snapshot.scan(Table.BASE, documentKey(id), DOCUMENTS_END);
  }

  /** The id in a key of {@link #keptFrom}. */
  static byte[] id(byte[] key) {
    return rest(key);
  }

  /**
   * Writes what a document is at the floor from now on.
   *
   * @param now what will be stored of the document with the same batch
   */
  void put(Storage.Batch batch, byte[] id, Document base, Document now) {
    byte[] row = base.row;
    // Of a row that does not name a change it could not be told later what it is.
    boolean kept =
        row != null
            && (!Arrays.equals(row, now.row)
                || !DocumentState.anyChange(row, (actor, seq) -> true));
    byte[] key = documentKey(id);
    boolean wasKept = snapshot.get(Table.BASE, key) != null;
    if (kept && row != null) {
      batch.put(Table.BASE, key, row);
    } else if (wasKept) {
      batch.delete(Table.BASE, key);
    }
    if (wasKept) {
      byte[] prefix = sequenceKey(SequenceRows.prefixOf(id));
      overlay(Table.BASE, prefix, (at, old) -> batch.delete(Table.BASE, at));
    }
    if (kept) {
      base.sequences.forEach(
          (at, then) -> {
            if (!Arrays.equals(then, now.sequences.get(at))) {
              batch.put(Table.BASE, sequenceKey(at), then);
            }
          });
      now.sequences.forEach(
          (at, later) -> {
            if (!base.sequences.containsKey(at)) {
              batch.put(Table.BASE, sequenceKey(at), NONE);
            }
          });
    }
  }

  /** Keeps what was at the floor when one commit changes it. */
  static final class Keeper {
    private final Storage storage;
    private final Storage.Batch batch;
    private final ToLongFunction<ActorId> floor;

    // Whether a document was there.
    private final Map<DocumentKey, Boolean> known = new HashMap<>();

    Keeper(Storage storage, Storage.Batch batch, ToLongFunction<ActorId> floor) {
      this.storage = storage;
      this.batch = batch;
      this.floor = floor;
    }

    /**
     * A document changes; to be said before its texts and lists.
     *
     * @param before its stored row, or null
     */
    void document(DocumentKey id, byte @Nullable [] before) {
      if (before != null && isCovered(before, floor)) {
        known.put(id, true);
        byte[] key = documentKey(id.bytes);
        if (storage.get(Table.BASE, key) == null) {
          batch.put(Table.BASE, key, before);
        }
      }
    }

    /**
     * A row of a text or list changes.
     *
     * @param before what is stored, or null
     */
    void sequence(DocumentKey id, byte[] rowKey, byte @Nullable [] before) {
      // Also where nothing that is left of the document is that old.
      if (known.computeIfAbsent(id, i -> hasRow(storage.get(Table.BASE, documentKey(i.bytes))))) {
        byte[] key = sequenceKey(rowKey);
        if (storage.get(Table.BASE, key) == null) {
          batch.put(Table.BASE, key, before == null ? NONE : before);
        }
      }
    }

    private static boolean hasRow(byte @Nullable [] kept) {
      return kept != null;
    }
  }
}
