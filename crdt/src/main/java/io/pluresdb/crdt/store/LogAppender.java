package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.DocumentEdit;
import io.pluresdb.crdt.store.Rows.ArrivalRow;
import io.pluresdb.crdt.store.Rows.JoinedRow;
import io.pluresdb.crdt.store.Rows.SegmentRow;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Appends changes to the log and to the arrival log of one batch.
 *
 * <p>Consecutive changes of one actor share a row, a segment, until they are signed or reach {@link
 * #SEGMENT_BYTES}: a row costs RocksDB more than the bytes in it. A row of the arrival log stands
 * for whole segments of one actor, of as many bytes together, and says which documents they touch:
 * who looks for one document reads little else.
 */
final class LogAppender {
  /**
   * A segment, and the segments of one row of the arrival log together, end before they exceed
   * this, unless a single change does.
   */
  static final int SEGMENT_BYTES = 64 << 10;

  private static final byte[] HEAD_ROOM = new byte[SegmentRow.HEAD_BYTES];

  private final Storage.Batch batch;
  private long arrivals;

  // The open segment: it has changes when count is not 0. Room for its head is left before them.
  private final ByteWriter segment;
  private @Nullable ActorId actor;
  private Hash previous = Hash.ZERO;
  private long fromSeq;
  private int count;

  // The open arrival row.
  private @Nullable ActorId arrivalActor;
  private long arrivalFromSeq;
  private int arrivalCount;
  private final TouchedIds touched = new TouchedIds();
  private int arrivalBytes;

  /**
   * Appends behind so many arrivals.
   *
   * @param scratch for this one alone until it is closed; it is kept from one to the next because a
   *     segment's worth of growing and copying for every commit adds up
   */
  LogAppender(Storage.Batch batch, long arrivals, ByteWriter scratch) {
    this.batch = batch;
    this.arrivals = arrivals;
    this.segment = scratch;
  }

  /** Length of the arrival log. */
  long arrivals() {
    return arrivals;
  }

  /**
   * Appends a change; the last one before another actor's, and the last of all, must be signed.
   *
   * @param previous hash of the actor's change before
   * @param edits what the change does
   * @return its place in the arrival log
   */
  long append(ActorId author, long seq, Hash previous, Change change, List<DocumentEdit> edits) {
    boolean fits =
        author.equals(arrivalActor)
            && arrivalFromSeq + arrivalCount == seq
            && arrivalBytes + change.encodedBytes() <= SEGMENT_BYTES;
    if (!fits) {
      if (count > 0) {
        endSegment(null);
      }
      endArrival();
    }
    if (count == 0) {
      actor = author;
      fromSeq = seq;
      this.previous = previous;
      segment.clear().bytes(HEAD_ROOM);
    }
    change.write(segment);
    count++;
    arrive(author, seq);
    arrivalBytes += change.encodedBytes();
    edits.forEach(edit -> touched.add(edit.id()));
    return arrivals;
  }

  /** Ends the stretch with the signature of its last change. */
  void sign(byte[] signature) {
    endSegment(signature);
  }

  /** Ends a stretch whose last change a membership entry answers for, not a signature. */
  void vouch() {
    endSegment(null);
  }

  private void endSegment(byte @Nullable [] signature) {
    ActorId author = actor;
    if (author == null || count == 0) {
      throw new IllegalStateException("there is no change to end a segment with");
    }
    var head = new ByteWriter(SegmentRow.HEAD_BYTES);
    SegmentRow.writeHead(head, signature != null, arrivals - count + 1, previous, count);
    if (signature != null) {
      segment.bytes(signature);
    }
    int from = SegmentRow.HEAD_BYTES - head.size();
    System.arraycopy(head.array(), 0, segment.array(), from, head.size());
    byte[] row = Arrays.copyOfRange(segment.array(), from, segment.size());
    batch.put(Table.LOG, Rows.logKey(author, fromSeq), row);
    count = 0;
  }

  private void arrive(ActorId author, long seq) {
    arrivals++;
    if (arrivalCount == 0) {
      arrivalActor = author;
      arrivalFromSeq = seq;
    }
    arrivalCount++;
  }

  /** Lets documents arrive that changed by no change of their own; after all changes. */
  void joined(JoinedRow row) {
    endArrival();
    arrivals++;
    batch.put(Table.ARRIVAL, Rows.arrivalKey(arrivals), row.toByteArray());
  }

  private void endArrival() {
    ActorId author = arrivalActor;
    if (author != null) {
      var row = new ArrivalRow(author, arrivalFromSeq, arrivalCount);
      batch.put(
          Table.ARRIVAL, Rows.arrivalKey(arrivals - arrivalCount + 1), row.toByteArray(touched));
      arrivalActor = null;
      arrivalCount = 0;
      arrivalBytes = 0;
      touched.clear();
    }
  }

  /** Writes what is open; every change must be signed by now. */
  void close() {
    if (count > 0) {
      throw new IllegalStateException("the last change of a commit must be signed");
    }
    endArrival();
  }
}
