package io.pluresdb.crdt.sync;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.store.SnapshotEntry;
import io.pluresdb.crdt.store.SnapshotEntry.Place;
import io.pluresdb.crdt.store.SnapshotInbox.Ask;
import io.pluresdb.crdt.store.SnapshotSource;
import java.util.ArrayList;
import org.jspecify.annotations.Nullable;

/**
 * How a replica whose missing changes are in nobody's log gets the state instead.
 *
 * <p>Whoever has it offers it; whoever lacks it asks for range after range, one at a time, and is
 * answered range by range: neither side sends more than it was asked for, and the one that asks can
 * go on at any place, later, and with another peer that has the same snapshot.
 *
 * <pre>
 * 44 Offer   := id 32 | stateHash 32 | documents varint
 * 45 Request := id 32 | from place | offset varint | limit
 * limit      := 0 | 1 to place | 2 to place, hash 32
 * 46 Part    := id 32 | from place | offset varint | next | count varint | entry *
 * next       := 0 | 1 place, offset varint
 * 47 Same    := id 32 | from place
 * 48 Gone    := id 32
 * </pre>
 */
public sealed interface SnapshotMessage {
  int OFFER = 44;
  int REQUEST = 45;
  int PART = 46;
  int SAME = 47;
  int GONE = 48;

  /** Most rows in one part. */
  int MAX_ENTRIES = 65_536;

  /** The hash of the frontier that the snapshot is of, which names it. */
  Hash id();

  /**
   * The receiver lacks what is not in the sender's log any more.
   *
   * @param stateHash fingerprint of all documents
   * @param documents how many exist
   */
  record Offer(Hash id, Hash stateHash, long documents) implements SnapshotMessage {}

  /** Asks for rows. */
  record Request(Hash id, Ask ask) implements SnapshotMessage {}

  /**
   * Rows, as many as fit.
   *
   * @param from as in the request
   * @param offset as in the request
   */
  record Part(Hash id, Place from, int offset, SnapshotSource.Part part)
      implements SnapshotMessage {}

  /** The rows that were asked for are those the asker has. */
  record Same(Hash id, Place from) implements SnapshotMessage {}

  /** The snapshot is not there any more. */
  record Gone(Hash id) implements SnapshotMessage {}

  default void write(ByteWriter out) {
    switch (this) {
      case Offer(var id, var stateHash, var documents) ->
          out.u8(OFFER).bytes(id.bytes()).bytes(stateHash.bytes()).varint(documents);
      case Request(var id, var ask) -> {
        out.u8(REQUEST).bytes(id.bytes());
        write(ask, out);
      }
      case Part(var id, var from, var offset, var part) -> {
        from.write(out.u8(PART).bytes(id.bytes()));
        Place next = part.next();
        out.varint(offset).u8(next == null ? 0 : 1);
        if (next != null) {
          next.write(out);
          out.varint(part.nextOffset());
        }
        out.varint(part.entries().size());
        part.entries().forEach(entry -> entry.write(out));
      }
      case Same(var id, var from) -> from.write(out.u8(SAME).bytes(id.bytes()));
      case Gone(var id) -> out.u8(GONE).bytes(id.bytes());
    }
  }

  private static void write(Ask ask, ByteWriter out) {
    ask.from().write(out);
    Place to = ask.to();
    Hash hash = ask.hash();
    out.varint(ask.offset()).u8(to == null ? 0 : hash == null ? 1 : 2);
    if (to != null) {
      to.write(out);
    }
    if (hash != null) {
      out.bytes(hash.bytes());
    }
  }

  /** Reads what follows {@code tag}. */
  static SnapshotMessage read(int tag, ByteReader in) {
    var id = new Hash(in.bytes(Hash.BYTES));
    return switch (tag) {
      case OFFER -> new Offer(id, new Hash(in.bytes(Hash.BYTES)), in.varint());
      case REQUEST -> new Request(id, ask(in));
      case PART -> part(id, in);
      case SAME -> new Same(id, Place.read(in));
      case GONE -> new Gone(id);
      default -> throw new CodecException("unknown message " + tag);
    };
  }

  private static Ask ask(ByteReader in) {
    Place from = Place.read(in);
    int offset = offset(in);
    int limit = flag(in, 2);
    Place to = limit == 0 ? null : Place.read(in);
    Hash hash = limit == 2 ? new Hash(in.bytes(Hash.BYTES)) : null;
    return new Ask(from, offset, to, hash);
  }

  private static Part part(Hash id, ByteReader in) {
    Place from = Place.read(in);
    int offset = offset(in);
    @Nullable Place next = flag(in, 1) == 0 ? null : Place.read(in);
    int nextOffset = next == null ? 0 : offset(in);
    int count = in.count("rows of a part", MAX_ENTRIES);
    var entries = new ArrayList<SnapshotEntry>(Math.min(count, 1_024));
    for (int i = 0; i < count; i++) {
      entries.add(SnapshotEntry.read(in));
    }
    return new Part(id, from, offset, new SnapshotSource.Part(entries, next, nextOffset));
  }

  private static int offset(ByteReader in) {
    return in.count("offset", SnapshotEntry.MAX_ROW_BYTES);
  }

  private static int flag(ByteReader in, int max) {
    int flag = in.u8();
    if (flag > max) {
      throw new CodecException("flag must be 0 to " + max + ", but is " + flag);
    }
    return flag;
  }
}
