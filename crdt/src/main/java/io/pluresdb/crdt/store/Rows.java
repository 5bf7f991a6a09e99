package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.op.ChangeRun.Genesis;
import io.pluresdb.crdt.reconcile.DocumentHasher;
import io.pluresdb.crdt.reconcile.Fingerprint;
import io.pluresdb.crdt.reconcile.Summary;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Keys and values of the tables.
 *
 * <pre>
 * LOG      actor 16 | first seq u64 -> {@link SegmentRow}
 * ARRIVAL  first arrival u64        -> {@link ArrivalRow} or {@link JoinedRow}
 * FRONTIER actor 16                 -> seq varint | head hash 32 | timestamp u64 | device key 32 | nonce 16
 * VOID     actor 16                 -> {@link VoidRow}
 * STATE    id                       -> {@link io.pluresdb.crdt.doc.DocumentState}
 * MEMBERS  entry hash 32            -> {@link io.pluresdb.crdt.auth.MembershipEntry}
 * BUCKET   first id, empty first    -> documents varint | {@link Fingerprint} 32
 * FLOOR    actor 16                 -> {@link io.pluresdb.crdt.op.SignedHead}
 * BASE                                 as {@link Base} says
 * SNAPSHOT                             as {@link SnapshotInbox} says
 * META     "replica"                -> version u8 | documents varint | state sum 32 | arrivals varint | clock u64
 *          "format"                 -> u8
 *          "instance"               -> 16 random bytes
 *          "scope"                  -> {@link io.pluresdb.crdt.reconcile.KeyScope}; no row: all documents
 *          "actor"                  -> nonce 16 of the own actor; absent after a fence
 *          "relaxed"                -> u8 1 while unsynced changes may have been published
 *          "behind"                 -> u8 1 while others may have cut what this storage lacks
 *          "floor"                  -> {@link FloorRow}
 * </pre>
 */
final class Rows {
  /** The format this version writes; a greater one is refused. */
  static final int FORMAT = 1;

  static final byte[] META_REPLICA = ascii("replica");
  static final byte[] META_FORMAT = ascii("format");
  static final byte[] META_INSTANCE = ascii("instance");
  static final byte[] META_ACTOR = ascii("actor");
  static final byte[] META_SCOPE = ascii("scope");
  static final byte[] META_RELAXED = ascii("relaxed");
  static final byte[] META_BEHIND = ascii("behind");
  static final byte[] META_FLOOR = ascii("floor");

  private Rows() {}

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }

  static byte[] actorKey(ActorId actor) {
    var out = new ByteWriter(ActorId.BYTES);
    actor.write(out);
    return out.array();
  }

  static byte[] logKey(ActorId actor, long seq) {
    var out = new ByteWriter(ActorId.BYTES + 8);
    actor.write(out);
    return out.i64(seq).array();
  }

  static byte[] arrivalKey(long arrival) {
    return new ByteWriter(8).i64(arrival).array();
  }

  static long arrival(byte[] key) {
    return new ByteReader(key).i64();
  }

  /** The seq in a key of the log. */
  static long seq(byte[] logKey) {
    var in = new ByteReader(logKey);
    in.bytes(ActorId.BYTES);
    return in.i64();
  }

  /**
   * Consecutive changes of one actor that arrived one after another: a row of the log.
   *
   * <pre>
   * segment := signed u8 | arrival u64 | previous hash 32 | count varint | change * | signature 64 if signed
   * </pre>
   *
   * @param arrival place of the first change in the arrival log; the others follow it
   * @param previous hash of the change before the first, zero when there is none
   * @param changes one or more
   * @param signature over the hash of the last change; null when the stretch goes on in the row
   *     after this one
   */
  record SegmentRow(
      long arrival, Hash previous, List<Change> changes, byte @Nullable [] signature) {
    /** Bytes before the changes, at most. */
    static final int HEAD_BYTES = 1 + 8 + Hash.BYTES + 9;

    static void writeHead(ByteWriter out, boolean signed, long arrival, Hash previous, int count) {
      out.u8(signed ? 1 : 0).i64(arrival).bytes(previous.bytes()).varint(count);
    }

    byte[] toByteArray() {
      var out = new ByteWriter(LogAppender.SEGMENT_BYTES);
      writeHead(out, signature != null, arrival, previous, changes.size());
      changes.forEach(change -> change.write(out));
      if (signature != null) {
        out.bytes(signature);
      }
      return out.toByteArray();
    }

    static SegmentRow read(byte[] value) {
      var in = new ByteReader(value);
      int signed = in.u8();
      if (signed > 1) {
        throw new CodecException("signed must be 0 or 1, but is " + signed);
      }
      long arrival = in.i64();
      var previous = new Hash(in.bytes(Hash.BYTES));
      int count = in.count("changes of a segment", ChangeRun.MAX_CHANGES);
      if (count == 0) {
        throw new CodecException("a segment must hold a change");
      }
      var changes = new ArrayList<Change>(Math.min(count, 1_024));
      for (int i = 0; i < count; i++) {
        changes.add(Change.read(in));
      }
      byte[] signature = signed == 1 ? in.bytes(Signer.SIGNATURE_BYTES) : null;
      in.end();
      return new SegmentRow(arrival, previous, changes, signature);
    }

    /** What ties the changes of a row to others, without reading what they do. */
    static List<Change.Reach> reaches(byte[] value) {
      var in = new ByteReader(value);
      in.skip(1 + 8 + Hash.BYTES);
      int count = in.count("changes of a segment", ChangeRun.MAX_CHANGES);
      var reaches = new ArrayList<Change.Reach>(Math.min(count, 1_024));
      for (int i = 0; i < count; i++) {
        reaches.add(Change.readReach(in));
      }
      return reaches;
    }

    /** The place in the arrival log of the change at {@code index}, or 0 when it is not here. */
    static long arrivalOf(byte[] value, long index) {
      var in = new ByteReader(value);
      in.u8();
      long arrival = in.i64();
      in.bytes(Hash.BYTES);
      return index < in.varint() ? arrival + index : 0;
    }
  }

  /**
   * Whole segments of one actor that arrived one after another.
   *
   * <pre>
   * row := actor 16 | fromSeq varint | count varint | {@link TouchedIds}
   * </pre>
   */
  record ArrivalRow(ActorId actor, long fromSeq, int count) {
    long lastSeq() {
      return fromSeq + count - 1;
    }

    byte[] toByteArray(TouchedIds touched) {
      var out = new ByteWriter(ActorId.BYTES + 16 + touched.encodedBytes());
      actor.write(out);
      out.varint(fromSeq).varint(count);
      touched.write(out);
      return out.toByteArray();
    }

    static ArrivalRow read(byte[] value) {
      var in = new ByteReader(value);
      var row = new ArrivalRow(ActorId.read(in), in.varint(), in.count("count", Integer.MAX_VALUE));
      TouchedIds.skip(in);
      in.end();
      return row;
    }

    /** Whether the changes of a row may touch a document; false is certain. */
    static boolean mayTouch(byte[] value, TouchedIds.Wanted wanted) {
      if (JoinedRow.is(value)) {
        return false;
      }
      var in = new ByteReader(value);
      in.skip(ActorId.BYTES);
      in.varint();
      in.varint();
      return TouchedIds.mayContain(in, wanted);
    }
  }

  /**
   * Documents that changed by joining a peer's state, or because other changes count; takes one
   * arrival, so that whoever follows the arrival log hears of them.
   *
   * <pre>
   * joined := 16 zero bytes | count varint | (idLength varint | id) *
   * </pre>
   */
  record JoinedRow(List<byte[]> ids) {
    static boolean is(byte[] value) {
      return new ByteReader(value).i64() == 0 && new ByteReader(value, 8, value.length).i64() == 0;
    }

    byte[] toByteArray() {
      var out = new ByteWriter(32 + 32 * ids.size());
      out.i64(0).i64(0).varint(ids.size());
      ids.forEach(out::block);
      return out.toByteArray();
    }

    static JoinedRow read(byte[] value) {
      var in = new ByteReader(value, ActorId.BYTES, value.length);
      int count = in.count("documents", value.length);
      var ids = new ArrayList<byte[]>(count);
      for (int i = 0; i < count; i++) {
        ids.add(in.block("id bytes", ChangeBody.MAX_ID_BYTES));
      }
      in.end();
      return new JoinedRow(ids);
    }
  }

  /**
   * What a replica remembers of an actor.
   *
   * @param head the newest change that counts; seq 0 when none does
   */
  record ActorRow(Head head, long timestamp, Genesis genesis) {
    byte[] toByteArray() {
      var out = new ByteWriter(100);
      out.varint(head.seq()).bytes(head.hash().bytes()).i64(timestamp);
      genesis.write(out);
      return out.toByteArray();
    }

    static ActorRow read(byte[] value) {
      var in = new ByteReader(value);
      var head = new Head(in.varint(), new Hash(in.bytes(Hash.BYTES)));
      var row = new ActorRow(head, in.i64(), Genesis.read(in));
      in.end();
      return row;
    }
  }

  /**
   * What a replica has of an actor beyond what counts.
   *
   * <pre>
   * void := seq varint | hash 32 | timestamp u64 | skipped varint | adopted from varint | to varint | own varint
   * </pre>
   *
   * @param tail the newest change in the log, at or beyond the head that counts
   * @param timestamp of that change
   * @param skipped the newest change that others' changes depend on without it being applied here
   * @param adoptedFrom the first change this device wrote again as its own, 0 for none
   * @param adoptedTo the last of them, without a gap
   * @param own the newest change this replica itself made, when it gave the actor up
   */
  record VoidRow(
      Head tail, long timestamp, long skipped, long adoptedFrom, long adoptedTo, long own) {
    /** What follows from a row of which everything counts. */
    static VoidRow of(ActorRow row) {
      return new VoidRow(row.head(), row.timestamp(), 0, 0, 0, 0);
    }

    VoidRow skipping(long seq) {
      return new VoidRow(tail, timestamp, Math.max(skipped, seq), adoptedFrom, adoptedTo, own);
    }

    VoidRow adopted(long seq) {
      long from = adoptedFrom == 0 ? seq : Math.min(adoptedFrom, seq);
      return new VoidRow(tail, timestamp, skipped, from, Math.max(adoptedTo, seq), own);
    }

    VoidRow givenUpAt(long seq) {
      return new VoidRow(tail, timestamp, skipped, adoptedFrom, adoptedTo, Math.max(own, seq));
    }

    VoidRow endingAt(Head to, long at) {
      return new VoidRow(to, at, skipped, adoptedFrom, adoptedTo, own);
    }

    byte[] toByteArray() {
      var out = new ByteWriter(64);
      out.varint(tail.seq()).bytes(tail.hash().bytes()).i64(timestamp);
      return out.varint(skipped).varint(adoptedFrom).varint(adoptedTo).varint(own).toByteArray();
    }

    static VoidRow read(byte[] value) {
      var in = new ByteReader(value);
      var tail = new Head(in.varint(), new Hash(in.bytes(Hash.BYTES)));
      long timestamp = in.i64();
      var row = new VoidRow(tail, timestamp, in.varint(), in.varint(), in.varint(), in.varint());
      in.end();
      return row;
    }
  }

  /** The singleton that changes with every commit. */
  static byte[] replicaRow(long documents, Fingerprint sum, long arrivals, long clock) {
    var out = new ByteWriter(64).u8(1).varint(documents);
    sum.write(out);
    return out.varint(arrivals).i64(clock).toByteArray();
  }

  /**
   * Where the log begins.
   *
   * <pre>
   * row := arrivals varint | documents varint | sum 32
   * </pre>
   *
   * @param arrivals up to here they are not in the arrival log
   * @param documents how many there are in the {@link Base}
   * @param sum the fingerprint of its documents
   */
  record FloorRow(long arrivals, long documents, Fingerprint sum) {
    static final FloorRow NONE = new FloorRow(0, 0, Fingerprint.ZERO);

    FloorRow at(long reached) {
      return new FloorRow(reached, documents, sum);
    }

    /** What it is when a document of the base becomes another. */
    FloorRow with(
        DocumentHasher hasher, byte[] id, byte @Nullable [] before, byte @Nullable [] after) {
      long count = documents;
      Fingerprint total = sum;
      if (before != null) {
        count -= DocumentState.read(before).exists() ? 1 : 0;
        total = total.minus(hasher.of(id, before));
      }
      if (after != null) {
        count += DocumentState.read(after).exists() ? 1 : 0;
        total = total.plus(hasher.of(id, after));
      }
      return new FloorRow(arrivals, count, total);
    }

    byte[] toByteArray() {
      var out = new ByteWriter(64).varint(arrivals).varint(documents);
      sum.write(out);
      return out.toByteArray();
    }

    static FloorRow read(byte @Nullable [] value) {
      if (value == null) {
        return NONE;
      }
      var in = new ByteReader(value);
      var row = new FloorRow(in.varint(), in.varint(), Fingerprint.read(in));
      in.end();
      return row;
    }
  }

  static byte[] bucketRow(Summary bucket) {
    var out = new ByteWriter(40).varint(bucket.count());
    bucket.sum().write(out);
    return out.toByteArray();
  }

  static Summary bucket(byte[] row) {
    var in = new ByteReader(row);
    var bucket = new Summary(in.varint(), Fingerprint.read(in));
    in.end();
    return bucket;
  }

  static void requireVersion(String what, int expected, int found) {
    if (found != expected) {
      throw new CodecException(what + " version must be " + expected + ", but is " + found);
    }
  }
}
