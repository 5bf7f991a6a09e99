package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.op.SignedHead;
import io.pluresdb.crdt.store.Rows.FloorRow;
import io.pluresdb.crdt.store.SnapshotEntry.Place;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The {@link Base} of a replica as of one commit, for another replica to join: its rows in
 * ascending order of {@link Place}, part by part, as often as they are asked for. Keeps no place of
 * its own. What came after it is in the log, and follows as changes: of these some may turn out not
 * to count.
 *
 * <p>Two replicas with the same floor have the same snapshot, byte for byte; so the hash of the
 * floor, as a frontier, names it, and a transfer can go on with another replica. Holds a storage
 * snapshot: close it.
 */
public final class SnapshotSource implements AutoCloseable {
  /** A part ends before it exceeds this, unless a single piece does. */
  public static final int PART_BYTES = 512 << 10;

  /** Most bytes of rows that are read to compare a range. */
  public static final int MAX_COMPARED_BYTES = 4 << 20;

  private final Storage.Snapshot snapshot;
  private final Base base;
  private final Frontier frontier;
  private final long documents;
  private final Hash stateHash;

  private SnapshotSource(Storage.Snapshot snapshot, Hash database) {
    this.snapshot = snapshot;
    var heads = new TreeMap<ActorId, Head>();
    try (var rows = Base.heads(snapshot)) {
      while (rows.next()) {
        ActorId actor = Base.actor(rows.key());
        heads.put(actor, SignedHead.read(rows.value()).head(database, actor));
      }
    }
    frontier = Frontier.of(heads);
    base = new Base(snapshot, frontier::seq);
    FloorRow row = FloorRow.read(snapshot.get(Table.META, Rows.META_FLOOR));
    documents = row.documents();
    stateHash = row.sum().hash();
  }

  /** Fixes the newest commit of a replica that {@link Replica#canGiveSnapshot}. */
  public static SnapshotSource open(Replica replica) {
    if (!replica.canGiveSnapshot()) {
      throw new IllegalStateException("this replica has no snapshot to give");
    }
    Storage.Snapshot snapshot = replica.storage().snapshot();
    try {
      return new SnapshotSource(snapshot, replica.identity().database());
    } catch (RuntimeException e) {
      snapshot.close();
      throw e;
    }
  }

  /** Where the log began at that commit; its hash names the snapshot. */
  public Frontier frontier() {
    return frontier;
  }

  public long documents() {
    return documents;
  }

  /** Fingerprint of all documents. */
  public Hash stateHash() {
    return stateHash;
  }

  /**
   * Rows of a snapshot.
   *
   * @param entries ascending
   * @param next where the rows after them begin; null when there are none in the range
   * @param nextOffset bytes of that row that are in {@code entries} already
   */
  public record Part(List<SnapshotEntry> entries, @Nullable Place next, int nextOffset) {}

  /**
   * The rows of {@code [from, to)}, as many as fit into a part.
   *
   * @param offset bytes of the row at {@code from} to leave out, for one that comes in pieces
   * @param to null for no end
   */
  public Part part(Place from, int offset, @Nullable Place to) {
    var entries = new ArrayList<SnapshotEntry>();
    var next =
        new Object() {
          @Nullable Place place;
          int offset;
          int bytes;
        };
    each(
        from,
        to,
        (place, row) -> {
          int start = place.equals(from) ? Math.min(offset, row.length) : 0;
          do {
            int length = Math.min(SnapshotEntry.PIECE_BYTES, row.length - start);
            byte[] piece = Arrays.copyOfRange(row, start, start + length);
            var entry = new SnapshotEntry(place, row.length, start, piece);
            if (!entries.isEmpty() && next.bytes + entry.encodedBytes() > PART_BYTES) {
              next.place = place;
              next.offset = start;
              return false;
            }
            next.bytes += entry.encodedBytes();
            entries.add(entry);
            start += length;
          } while (start < row.length);
          return true;
        });
    return new Part(entries, next.place, next.offset);
  }

  /**
   * Whether the rows of {@code [from, to)} add up to {@code hash}; false also when they are too
   * many to look at.
   */
  public boolean matches(Place from, Place to, Hash hash) {
    var digest = new SnapshotDigest();
    boolean whole =
        each(
            from,
            to,
            (place, row) -> {
              digest.add(place, row);
              return digest.bytes() <= MAX_COMPARED_BYTES;
            });
    return whole && digest.hash().equals(hash);
  }

  private interface Visitor {
    /** Returns false to stop. */
    boolean visit(Place place, byte[] row);
  }

  /** Visits the rows of {@code [from, to)}; whether it came to the end of them. */
  private boolean each(Place from, @Nullable Place to, Visitor visitor) {
    return each(SnapshotEntry.HEADS, base::heads, from, to, visitor)
        && each(SnapshotEntry.DOCUMENTS, base::documents, from, to, visitor)
        && each(SnapshotEntry.SEQUENCES, base::sequences, from, to, visitor);
  }

  private interface Section {
    /** Visits rows of a section as {@link Base} does. */
    boolean each(byte[] from, byte @Nullable [] to, Base.Visitor visitor);
  }

  private static boolean each(
      int number, Section section, Place from, @Nullable Place to, Visitor visitor) {
    if (from.section() > number || (to != null && to.section() < number)) {
      return true;
    }
    byte[] start = from.section() == number ? from.key() : new byte[0];
    byte[] end = to != null && to.section() == number ? to.key() : null;
    return section.each(start, end, (key, row) -> visitor.visit(new Place(number, key), row));
  }

  @Override
  public void close() {
    snapshot.close();
  }
}
