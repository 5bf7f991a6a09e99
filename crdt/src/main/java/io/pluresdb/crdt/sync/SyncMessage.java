package io.pluresdb.crdt.sync;

import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.op.ChangeRun.Genesis;
import java.util.ArrayList;
import java.util.List;

/**
 * What two replicas say to each other.
 *
 * <pre>
 * message := tag u8 | fields
 * 1 Hello   := version u8 | database 32 | frontierHash 32 | membersHash 32 | windowBytes varint
 * 2 Members := part u8 | count varint | entry *
 * 3 Heads   := wantReply u8 | frontier
 * 4 Changes := cursor varint | count varint | run *
 * 5 Ack     := bytes varint | cursor varint
 * 6 Probe   := frontierHash 32 | membersHash 32
 * 16 Origins := count varint | (deviceKey 32 | nonce 16) *
 * </pre>
 */
public sealed interface SyncMessage {
  /** The version of this protocol; both sides must speak the same. */
  int VERSION = 1;

  /** Largest message, in bytes before compression. */
  int MAX_BYTES = 4 << 20;

  /** Most actors in one {@link Origins}. */
  int MAX_ORIGINS = 4_096;

  /** Most runs in one message. */
  int MAX_RUNS = 65_536;

  /**
   * Opens a session: where the sender stands.
   *
   * @param windowBytes how much the receiver of this message may send before an {@link Ack}
   */
  record Hello(int version, Hash database, Hash frontierHash, Hash membersHash, int windowBytes)
      implements SyncMessage {}

  /** Membership entries. */
  record Members(Part part, List<MembershipEntry> entries) implements SyncMessage {
    /** What they are to the sender's whole set. */
    public enum Part {
      /** Some that the receiver may lack. */
      NEWS,
      /** A part of the whole set; more follows. */
      FIRST,
      /** The last part of the whole set: the receiver answers with what is missing in it. */
      LAST
    }

    /** Bytes of entries after which the next message begins. */
    static final int TARGET_BYTES = 1 << 20;

    /** The whole set, in as many messages as it takes. */
    public static List<Members> whole(Membership membership) {
      List<Members> messages = split(Part.FIRST, membership.entries());
      messages.set(messages.size() - 1, new Members(Part.LAST, messages.getLast().entries()));
      return messages;
    }

    /** Some entries, in as many messages as it takes. */
    public static List<Members> news(List<MembershipEntry> entries) {
      return entries.isEmpty() ? List.of() : split(Part.NEWS, entries);
    }

    private static List<Members> split(Part part, List<MembershipEntry> entries) {
      var messages = new ArrayList<Members>();
      var some = new ArrayList<MembershipEntry>();
      int bytes = 0;
      for (MembershipEntry entry : entries) {
        bytes += entry.toByteArray().length;
        if (bytes > TARGET_BYTES && !some.isEmpty()) {
          messages.add(new Members(part, List.copyOf(some)));
          some.clear();
          bytes = 0;
        }
        some.add(entry);
      }
      messages.add(new Members(part, some));
      return messages;
    }
  }

  /**
   * Whose the actors are of which nothing counts at the sender: changes may depend on theirs.
   *
   * @param actors at most {@link #MAX_ORIGINS}
   */
  record Origins(List<Genesis> actors) implements SyncMessage {}

  /** The sender's whole frontier. */
  record Heads(boolean wantReply, Frontier frontier) implements SyncMessage {}

  /**
   * Changes in causal order.
   *
   * @param cursor the sender's arrival up to which the receiver has everything once these are in
   */
  record Changes(long cursor, List<ChangeRun> runs) implements SyncMessage {
    /** What this message takes from the window. */
    public int bytes() {
      int bytes = 0;
      for (ChangeRun run : runs) {
        bytes += run.encodedBytes();
      }
      return bytes;
    }
  }

  /** Changes of that many bytes, and all up to {@code cursor}, are on the sender's disk. */
  record Ack(long bytes, long cursor) implements SyncMessage {}

  /** Asks for {@link Heads} if the receiver stands elsewhere. */
  record Probe(Hash frontierHash, Hash membersHash) implements SyncMessage {}

  default byte[] toByteArray() {
    var out = new ByteWriter(256);
    switch (this) {
      case Hello(var version, var database, var frontier, var members, var window) -> {
        out.u8(1).u8(version).bytes(database.bytes()).bytes(frontier.bytes());
        out.bytes(members.bytes()).varint(window);
      }
      case Members(var part, var entries) -> Membership.write(entries, out.u8(2).u8(part(part)));
      case Origins(var actors) -> {
        out.u8(16).varint(actors.size());
        actors.forEach(actor -> actor.write(out));
      }
      case Heads(var wantReply, var frontier) -> frontier.write(out.u8(3).u8(wantReply ? 1 : 0));
      case Changes(var cursor, var runs) -> {
        out.u8(4).varint(cursor).varint(runs.size());
        runs.forEach(run -> run.write(out));
      }
      case Ack(var bytes, var cursor) -> out.u8(5).varint(bytes).varint(cursor);
      case Probe(var frontier, var members) ->
          out.u8(6).bytes(frontier.bytes()).bytes(members.bytes());
    }
    return out.toByteArray();
  }

  /**
   * Decodes a message.
   *
   * @throws CodecException on anything this format does not allow
   */
  static SyncMessage read(byte[] bytes) {
    if (bytes.length > MAX_BYTES) {
      throw new CodecException(
          "message must be at most " + MAX_BYTES + " bytes, but is " + bytes.length);
    }
    var in = new ByteReader(bytes);
    int tag = in.u8();
    SyncMessage message =
        switch (tag) {
          case 1 -> new Hello(in.u8(), hash(in), hash(in), hash(in), in.count("window", 1 << 30));
          case 2 -> new Members(part(in.u8()), Membership.read(in));
          case 3 -> new Heads(in.u8() == 1, Frontier.read(in));
          case 4 -> changes(in);
          case 5 -> new Ack(in.varint(), in.varint());
          case 6 -> new Probe(hash(in), hash(in));
          case 16 -> origins(in);
          default -> throw new CodecException("unknown message " + tag);
        };
    in.end();
    return message;
  }

  private static Hash hash(ByteReader in) {
    return new Hash(in.bytes(Hash.BYTES));
  }

  private static int part(Members.Part part) {
    return switch (part) {
      case NEWS -> 0;
      case FIRST -> 1;
      case LAST -> 2;
    };
  }

  private static Members.Part part(int code) {
    return switch (code) {
      case 0 -> Members.Part.NEWS;
      case 1 -> Members.Part.FIRST;
      case 2 -> Members.Part.LAST;
      default -> throw new CodecException("part of a list must be 0 to 2, but is " + code);
    };
  }

  private static Origins origins(ByteReader in) {
    int count = in.count("actors without changes", MAX_ORIGINS);
    var actors = new ArrayList<Genesis>(Math.min(count, 64));
    for (int i = 0; i < count; i++) {
      actors.add(Genesis.read(in));
    }
    return new Origins(actors);
  }

  private static Changes changes(ByteReader in) {
    long cursor = in.varint();
    int count = in.count("runs of a message", MAX_RUNS);
    var runs = new ArrayList<ChangeRun>(Math.min(count, 1_024));
    for (int i = 0; i < count; i++) {
      runs.add(ChangeRun.read(in));
    }
    return new Changes(cursor, runs);
  }
}
