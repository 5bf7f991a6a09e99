package io.pluresdb.crdt.store;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.reconcile.Fingerprint;
import io.pluresdb.crdt.store.Staging.DocumentKey;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.LinkedHashSet;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One commit of a replica, as whoever derives something from its documents reads it: how long the
 * arrival log was, what had been touched since, and the documents as they were, all of the same
 * moment. Usable from one thread at a time; close it.
 */
public final class CommitView implements AutoCloseable {
  private final Storage.Snapshot snapshot;
  private final long arrivals;

  private CommitView(Storage.Snapshot snapshot, long arrivals) {
    this.snapshot = snapshot;
    this.arrivals = arrivals;
  }

  /** The newest commit. */
  public static CommitView of(Storage storage) {
    Storage.Snapshot snapshot = storage.snapshot();
    try {
      return new CommitView(snapshot, arrivals(snapshot.get(Table.META, Rows.META_REPLICA)));
    } catch (RuntimeException e) {
      snapshot.close();
      throw e;
    }
  }

  private static long arrivals(byte @Nullable [] row) {
    if (row == null) {
      return 0;
    }
    var in = new ByteReader(row);
    Rows.requireVersion("replica row", 1, in.u8());
    in.varint();
    Fingerprint.read(in);
    return in.varint();
  }

  /** Length of the arrival log. */
  public long arrivals() {
    return arrivals;
  }

  /** To read rows of the same commit. */
  public Storage.Snapshot snapshot() {
    return snapshot;
  }

  /**
   * Documents that were touched after a place in the arrival log.
   *
   * @param ids each once
   * @param next everything up to here was looked at
   * @param truncated changes after that place are not in the log any more: any document may have
   *     changed
   */
  public record Since(List<byte[]> ids, long next, boolean truncated) {}

  /** What was touched after {@code cursor}, by at most {@code limit} changes. */
  public Since touched(long cursor, int limit) {
    ChangeLog.Followed followed = ChangeLog.touched(snapshot, cursor, limit);
    if (cursor < followed.floor() || cursor > arrivals) {
      return new Since(List.of(), arrivals, true);
    }
    var ids = new LinkedHashSet<DocumentKey>();
    followed.touched().forEach(t -> t.ids().forEach(id -> ids.add(new DocumentKey(id))));
    long next =
        followed.touched().size() < limit ? arrivals : followed.touched().getLast().arrival();
    return new Since(ids.stream().map(id -> id.bytes).toList(), next, false);
  }

  /** The row of a document, or null; see {@link io.pluresdb.crdt.doc.RowFields}. */
  public byte @Nullable [] row(byte[] id) {
    return snapshot.get(Table.STATE, id);
  }

  /** The document, or null when it does not exist. */
  public @Nullable NodeRecord document(byte[] id) {
    byte[] row = row(id);
    return row == null ? null : document(id, row);
  }

  /** The document whose row is {@code row}, or null when it does not exist. */
  public @Nullable NodeRecord document(byte[] id, byte[] row) {
    return DocumentReader.read(snapshot, id, row);
  }

  @Override
  public void close() {
    snapshot.close();
  }
}
